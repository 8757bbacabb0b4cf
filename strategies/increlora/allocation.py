"""Which maps gain rank: smoothed importance, and the allocator that spends a budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from clbench.lowrank import Components
from clbench.lowrank.growing import TINY

from .schedule import Plan


class Importance:
    """Smoothed scores of n maps, and how uncertain they are.

    Args:
        beta1: Decay of the importance.
        beta2: Decay of the uncertainty.

    Attributes:
        I: (n,) I <- beta1 I + (1 - beta1) s; no bias correction. None before a score.
        U: (n,) U <- beta2 U + (1 - beta2) |s - I|, with the new I.
    """

    def __init__(self, beta1: float = 0.85, beta2: float = 0.85) -> None:
        self.beta1, self.beta2 = beta1, beta2
        self.I: Tensor | None = None
        self.U: Tensor | None = None

    def update(self, scores: Tensor) -> None:
        """Take the scores (n,) of one step."""
        zero = torch.zeros_like(scores)
        old, spread = (zero if m is None else m for m in (self.I, self.U))
        self.I = self.beta1 * old + (1 - self.beta1) * scores
        self.U = self.beta2 * spread + (1 - self.beta2) * (scores - self.I).abs()

    @property
    def combined(self) -> list[float]:
        """S = I U of each map."""
        assert self.I is not None
        assert self.U is not None
        values: list[float] = (self.I * self.U).tolist()
        return values


def gains(
    scores: Sequence[float],
    names: Sequence[str],
    *,
    missing: int,
    top: int,
    add: int,
    released: bool = False,
) -> list[int]:
    """Components that each map gains in one round.

    The `top` maps of the highest score gain `add` each, equal scores in the order of
    names, until nothing is missing. As released, every map whose score is not below the
    k-th highest gains `add`, k = min(top, missing): more than `top` where scores are
    equal, and more than is missing in the last round.

    Args:
        scores: S of each map.
        names: Of the maps.
        missing: Target less total.
        top: Maps in a round.
        add: Components for each.
        released: See above.
    """
    if released:
        threshold = sorted(scores, reverse=True)[min(top, missing, len(scores)) - 1]
        return [add if score >= threshold else 0 for score in scores]
    gained = [0] * len(scores)
    order = sorted(range(len(scores)), key=lambda n: (-scores[n], names[n]))
    for n in order[:top]:
        gained[n] = min(add, missing)
        missing -= gained[n]
    return gained


class Allocator:
    """Lets maps grow by a plan, and prepares reserves for the next round.

    Args:
        maps: Name -> the update of that map.
        plan: When, how many, and up to which total.
        importance: Smoothed scores; goes on from what it is.
        generator: Draws reserves.
        advance: Whether reserves learn in advance.
        released: Whether the budget may be overshot, as in the released code, whose
            reserves then are never set to 0.
    """

    def __init__(
        self,
        maps: Mapping[str, Components],
        plan: Plan,
        importance: Importance,
        generator: torch.Generator,
        *,
        advance: bool = True,
        released: bool = False,
    ) -> None:
        self.maps, self.plan, self.importance = dict(maps), plan, importance
        self._generator, self._advance = generator, advance
        self._released = released
        self._watch()

    @property
    def total(self) -> int:
        """Active components of all maps."""
        return sum(update.rank for update in self.maps.values())

    @property
    def open(self) -> bool:
        """Whether there is rank left to give."""
        return self.total < self.plan.target

    def step(self, t: int, scores: Tensor) -> list[nn.Parameter]:
        """What happens at step t, after the backward pass.

        Args:
            t: From 0.
            scores: (n,) of this step; not looked at once the budget is spent.

        Returns:
            Parameters that are trained from now on and were not before.
        """
        if not self.open:
            return []
        new: list[nn.Parameter] = []
        if t == 0:
            new += self._prepare()
        self.importance.update(scores)
        if self.plan.grows(t):
            new += self._grow()
        return new

    def state(self) -> dict[str, Any]:
        """The plan, as plain values."""
        return dict(vars(self.plan))

    def _prepare(self) -> list[nn.Parameter]:
        """Reserves for every map; those of an earlier experience wait again."""
        new = []
        for update in self.maps.values():
            update.arm(TINY if self._advance else 0.0)
            short = self.plan.add - len(update.reserves)
            new += update.reserve(short, self._generator, advance=self._advance)
        return new

    def _grow(self) -> list[nn.Parameter]:
        new = []
        gained = gains(
            self.importance.combined,
            list(self.maps),
            missing=self.plan.target - self.total,
            top=self.plan.top,
            add=self.plan.add,
            released=self._released,
        )
        for update, gain in zip(self.maps.values(), gained, strict=True):
            if gain:
                new += update.promote(gain)
                new += update.reserve(gain, self._generator, advance=self._advance)
        reached = self.total == self.plan.target
        if reached or not (self.open or self._released):
            for update in self.maps.values():
                update.arm(0.0)
        self._watch()
        return new

    def _watch(self) -> None:
        """Keep gradients for scores as long as they are looked at."""
        for update in self.maps.values():
            update.watched = self.open
            update.forget()
