"""Uncertainty weighting: tasks' losses are weighted by variances that are learned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import torch
from torch import Tensor, nn

from clbench.contract import (
    Batch,
    Between,
    Experience,
    Group,
    Positive,
    Problem,
    Reference,
    Run,
    Strategy,
)

LOG_EVERY = 20
"""Steps between two logged values; reading them waits for the device."""


class Uncertainty(Strategy):
    """Homoscedastic uncertainty: each task has a variance, a scalar that is trained.

    With s_t = log sigma_t^2, 0 at first, the sum of the losses L_t becomes
    sum_t exp(-s_t) L_t + s_t / 2. It is least in s_t where exp(-s_t) L_t = 1 / 2.

    Args:
        lr: Learning rate of the log variances, before the recipe's schedule.
    """

    reference = Reference(
        paper=(
            "Kendall, Gal and Cipolla: Multi-Task Learning Using Uncertainty to Weigh "
            "Losses for Scene Geometry and Semantics. CVPR 2018"
        ),
        url="https://arxiv.org/abs/1705.07115",
        equations=("10",),
        differs=(
            "The term of classification, L / sigma^2 + log sigma, for every task; the "
            "paper halves the losses of regression, which moves s by log 2. Losses "
            "have the scenario's weights already."
        ),
    )

    def __init__(
        self, *, lr: Annotated[Positive, Between(1e-4, 1e-1, log=True)] = 0.01
    ) -> None:
        self.lr = lr
        self._logs: dict[str, nn.Parameter] = {}
        self._trained: set[str] = set()

    def unsupported(self, problem: Problem) -> str | None:
        """Where no step learns several tasks."""
        if problem.shares_steps:
            return None
        return "every step learns one task: there is no other loss to weigh it against"

    def before_experience(self, run: Run, experience: Experience) -> None:
        """Its optimizer is new: log variances have yet to enter it."""
        self._trained = set()

    def penalty(self, run: Run, output: Any, batch: Batch) -> Tensor | None:
        """What turns the sum of the losses into the weighted one."""
        losses = run.problem.losses(output, batch)
        self._enter(run, [name for name in losses if name not in self._trained])
        L = torch.stack(list(losses.values()))
        s = torch.stack([self._logs[name] for name in losses])
        if run.total_step % LOG_EVERY == 0:
            for name, value in zip(losses, s.tolist(), strict=True):
                run.log(f"log_variance/{name}", value)
        return weighted(L, s) - L.sum()

    def _enter(self, run: Run, names: list[str]) -> None:
        """Let the log variances of `names` enter the running optimizer."""
        for name in names:
            value = self._logs.get(name, torch.zeros(()))
            self._logs[name] = nn.Parameter(value.detach().to(run.device, copy=True))
        if names:
            params = [self._logs[name] for name in names]
            run.add_group(Group(params=params, lr=self.lr, name="uncertainty"))
            self._trained.update(names)

    def state(self) -> dict[str, Any]:
        """The log variances, and which of them are trained now."""
        return {
            "logs": {name: value.detach() for name, value in self._logs.items()},
            "trained": sorted(self._trained),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take them back."""
        logs = state["logs"]
        self._logs = {name: nn.Parameter(value.clone()) for name, value in logs.items()}
        self._trained = set(state["trained"])


def weighted(losses: Tensor, logs: Tensor) -> Tensor:
    """Scalar sum_t exp(-s_t) L_t + s_t / 2 (equation 10).

    Args:
        losses: (T,) L.
        logs: (T,) s, the logs of the variances.
    """
    return (torch.exp(-logs) * losses + logs / 2).sum()
