"""Layers with several updates of one size, of which each computes by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from clbench.lowrank.attention import LowRankAttention
from clbench.lowrank.layer import Adapter, LowRank
from clbench.lowrank.parts import product_of_parts


class Turn:
    """Whose turn it is: one for all layers of a model.

    Attributes:
        lead: Number of the update that computes.
        split: Whether all do, each on its part: the first axis of an input is that of
            update 0, then as many rows of update 1, and so on.
    """

    def __init__(self) -> None:
        self.lead = 0
        self.split = False

    @contextmanager
    def of(self, number: int) -> Iterator[None]:
        """Within, update `number` computes."""
        before, self.lead = self.lead, number
        try:
            yield
        finally:
            self.lead = before

    def kept(self) -> Callable[[], AbstractContextManager[None]]:
        """Makes a context in which it is what it is now: layers compute again in it."""
        lead, split = self.lead, self.split

        @contextmanager
        def again() -> Iterator[None]:
            before = self.lead, self.split
            self.lead, self.split = lead, split
            try:
                yield
            finally:
                self.lead, self.split = before

        return again


class _Updates(Adapter):
    """What a layer with several updates has, whatever it wraps.

    Args:
        base: The module that is wrapped and frozen.
        updates: M, how many there are; number 0 is `A`, `B`.
        turn: Says which of them computes.
        alike: Whether all start with one A; else each draws its own. B starts at 0.
        generator: Draws.
        settings: The others of the layer.
    """

    fixed_A: Tensor | None
    fixed_B: Tensor | None

    def __init__(
        self,
        base: Any,
        *,
        updates: int,
        turn: Turn,
        alike: bool,
        generator: torch.Generator,
        **settings: Any,
    ) -> None:
        super().__init__(base, generator=generator, **settings)
        self.turn, self.alike = turn, alike
        # Of the state, so that a copy of the model can be what another was.
        self.register_buffer("fixed_A", None, persistent=False)
        self.register_buffer("fixed_B", None, persistent=False)
        count = range(updates - 1)
        self.more_A = nn.ParameterList(torch.zeros_like(self.A) for _ in count)
        self.more_B = nn.ParameterList(torch.zeros_like(self.B) for _ in count)
        self._draw_others(generator)

    def update(self, number: int) -> tuple[nn.Parameter, nn.Parameter]:
        """A and B of one update."""
        if number == 0:
            return self.A, self.B
        return self.more_A[number - 1], self.more_B[number - 1]

    @property
    def updates(self) -> list[tuple[nn.Parameter, nn.Parameter]]:
        """A and B of every update."""
        return [self.update(number) for number in range(1 + len(self.more_A))]

    @property
    def current(self) -> tuple[Tensor, Tensor]:
        """The factors that the layer computes with: `fixed`, or those of the lead.

        Raises:
            RuntimeError: All compute, each on its part: there is no one map.
        """
        if self.fixed is not None:
            return self.fixed
        if self.turn.split:
            raise RuntimeError(
                f"layer '{self.name}' computes with several updates at once, and has "
                f"no one weight now"
            )
        return self.update(self.turn.lead)

    @property
    def fixed(self) -> tuple[Tensor, Tensor] | None:
        """Factors that compute instead of any update; None leaves it to the turn."""
        if self.fixed_A is None or self.fixed_B is None:
            return None
        return self.fixed_A, self.fixed_B

    @fixed.setter
    def fixed(self, factors: tuple[Tensor, Tensor] | None) -> None:
        self.fixed_A, self.fixed_B = (None, None) if factors is None else factors

    def get_extra_state(self) -> Tensor:
        """Whose turn it is."""
        return torch.tensor(self.turn.lead)

    def set_extra_state(self, state: Tensor) -> None:
        """Let it be the turn of another update, in all layers of the model."""
        self.turn.lead = int(state)

    @torch.no_grad()
    def renew(self, generator: torch.Generator) -> None:
        """Begin anew: A is drawn, B is 0, nothing is fixed."""
        self.fixed = None
        self._draw(generator)
        self._draw_others(generator)

    @torch.no_grad()
    def _draw_others(self, generator: torch.Generator) -> None:
        first = self.A.detach().clone()
        for A, B in self.updates[1:]:
            if not self.alike:
                self._draw(generator)
            A.copy_(self.A)
            B.zero_()
        self.A.copy_(first)


class Several(_Updates, LowRank):
    """`nn.Linear` with several updates; see `Turn` for which of them computes.

    `fixed` are factors that compute instead of any update, such as a combination.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(..., d_in) -> (..., d_out)."""
        whole = self.fixed is not None or not self.turn.split
        if whole or not self.enabled or self.merged:
            return super().forward(x)
        base = self.base
        return product_of_parts(
            x, base.weight, base.bias, self.updates, self.rows, self.scale
        )


class SeveralAttention(_Updates, LowRankAttention):
    """`nn.MultiheadAttention` with several updates, one at a time: it has no parts."""
