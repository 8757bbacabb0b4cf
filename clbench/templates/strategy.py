"""Newcomer: one line that `clbench list` shows."""

from __future__ import annotations

from typing import Annotated, Any

import torch
from torch import Tensor, nn

from clbench.contract import (
    Batch,
    Between,
    Count,
    NonNegative,
    Problem,
    Role,
    Run,
    Strategy,
)
from clbench.lowrank import Adapter, inject
from clbench.seeding import derive


class Newcomer(Strategy):
    """What it does, in a sentence: here low-rank updates that are kept small.

    Args:
        rank: Rank of each update.
        roles: Which projections are adapted.
        small: Weight of the updates' squared size.
    """

    # Keywords with defaults and annotations are the command line: strategy.rank=8.
    # `__init__` stores them under their names and does nothing else. `Between` and
    # `Among` say what `clbench tune` searches (docs/tuning.md).
    def __init__(
        self,
        *,
        rank: Count = 4,
        roles: tuple[Role, ...] = ("v", "out"),
        small: Annotated[NonNegative, Between(1e-5, 1e-1, log=True)] = 1e-3,
    ) -> None:
        self.rank = rank
        self.roles = roles
        self.small = small
        self._layers: list[Adapter] = []

    def prepare(self, model: nn.Module, problem: Problem) -> None:
        """Once: inject and freeze. The model must compute what it computed before."""
        # Whatever is random is drawn from a generator of your own.
        generator = torch.Generator().manual_seed(derive(problem.seed, "newcomer"))
        self._layers = inject(
            model, problem, roles=self.roles, rank=self.rank, generator=generator
        )

    def penalty(self, run: Run, output: Any, batch: Batch) -> Tensor | None:
        """In each step: what is added to the scenario's loss."""
        sizes = [layer.delta().square().sum() for layer in self._layers]
        return self.small * torch.stack(sizes).sum()

    # Further hooks; leave out what is not needed (docs/adding-a-strategy.md):
    #
    # unsupported(self, problem)             why there is no meaning here, or None
    # groups(self, model, recipe)            what is trained, and how fast
    # before_experience(self, run, experience)  before its optimizer is made
    # before_step(self, run)                 after the backward pass: edit gradients
    # after_step(self, run)                  after the optimizer
    # after_experience(self, run, experience)   merge, consolidate, solve
    # state(self), load_state(self, state)   what is neither in parameters nor plain
