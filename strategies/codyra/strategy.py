"""CoDyRA as a strategy: gated updates everywhere, merged after each experience."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from torch import nn

from clbench.contract import (
    Between,
    Count,
    Experience,
    Fraction,
    InputError,
    Positive,
    Problem,
    Reference,
    Role,
    Run,
    Strategy,
)
from clbench.lowrank import RATES, inject
from clbench.seeding import derive

from .layer import Gated, released_operator, soft_threshold
from .schedule import thresholds

OPERATORS = {"soft": soft_threshold, "released": released_operator}


class Codyra(Strategy):
    """Low-rank updates on every projection, whose ranks are selected by gates.

    A gate that a step of the schedule shrinks to 0 takes its component out. After each
    experience the updates are merged, and new ones begin at 0.

    Args:
        rank: Rank r that every update starts with.
        dense: Part of an experience's steps before gates begin to shrink.
        levels: Number of thresholds; None is 50, or fewer in short experiences.
        kappa: Largest threshold; None scales it to the number of steps, so that the sum
            of all is that of the published run (0.005 at 500 steps).
        shrink: `soft` is the paper's soft threshold, `released` the operator of the
            released code, whose dead zone is twice as wide.
        roles: Which projections are adapted.
    """

    search = RATES
    reference = Reference(
        paper=(
            "Lu, Zhao, Peng, Gong and Yao: Take Only What You Need: Rank Minimization "
            "as an Implicit Forgetting Regularizer in Continual Learning. Findings of "
            "EMNLP 2026 (Dynamic Rank-Selective LoRA)"
        ),
        url="https://arxiv.org/abs/2412.01004",
        differs=(
            "Gates shrink by the paper's soft threshold; the released code's operator "
            "is a switch. Updates are merged right after an experience instead of "
            "before the next, which computes the same. Thresholds are scaled to short "
            "experiences, in which the released schedule never prunes."
        ),
    )

    def __init__(
        self,
        *,
        rank: Count = 16,
        dense: Annotated[Fraction, Between(0.2, 0.8)] = 0.5,
        levels: Count | None = None,
        kappa: Annotated[Positive | None, Between(1e-4, 5e-2, log=True)] = None,
        shrink: Literal["soft", "released"] = "soft",
        roles: tuple[Role, ...] = ("q", "k", "v", "out", "fc1", "fc2"),
    ) -> None:
        self.rank = rank
        self.dense = dense
        self.levels = levels
        self.kappa = kappa
        self.shrink = shrink
        self.roles = roles

    def prepare(self, model: nn.Module, problem: Problem) -> None:
        """Inject the gated updates; everything else but the heads is frozen."""
        seed = derive(problem.seed, "codyra")
        self._generator = torch.Generator().manual_seed(seed)
        made = inject(
            model,
            problem,
            roles=self.roles,
            rank=self.rank,
            generator=self._generator,
            kind=Gated,
        )
        self._layers = [layer for layer in made if isinstance(layer, Gated)]
        if len(self._layers) < len(made):
            packed = next(a.name for a in made if not isinstance(a, Gated))
            raise InputError(
                f"codyra has gates on linear layers only, '{packed}' is a packed "
                f"attention: leave q, k and v out of strategy.roles"
            )

    def before_experience(self, run: Run, experience: Experience) -> None:
        """Lay out the thresholds of this experience."""
        found = thresholds(
            experience.steps, dense=self.dense, levels=self.levels, largest=self.kappa
        )
        self._thresholds: list[float] = found.applied.tolist()

    @torch.no_grad()
    def after_step(self, run: Run) -> None:
        """Shrink the gates."""
        kappa = self._thresholds[run.step - 1]
        if kappa:
            for layer in self._layers:
                layer.w.copy_(OPERATORS[self.shrink](layer.w, kappa))

    def after_experience(self, run: Run, experience: Experience) -> None:
        """Log the ranks that are left, merge, and begin anew."""
        for layer in self._layers:
            for role, active in zip(layer.roles, layer.active.tolist(), strict=True):
                run.log(f"rank/{layer.name}.{role}", active)
        for layer in self._layers:
            layer.absorb(self._generator)
