"""An optimizer made from a strategy's groups: schedules, clipping, late arrivals."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import nn

from clbench.contract import Group, Recipe


class Groups:
    """The running optimizer and, for each of its groups, when and how fast it goes.

    Args:
        groups: What is trained; at least one group with a parameter.
        recipe: Which optimizer, and the schedule of groups that name none.
        steps: Optimizer steps of the experience, over which schedules are shaped.
    """

    def __init__(self, groups: Sequence[Group], recipe: Recipe, steps: int) -> None:
        self._recipe = recipe
        self._steps = steps
        self._members: list[tuple[Group, Callable[[int], float], int]] = []
        groups = [group for group in groups if group.params]
        self.optimizer = _optimizer([self._entry(group) for group in groups], recipe)
        for group in groups:
            self._join(group, 0)

    def add(self, group: Group, step: int) -> None:
        """Let `group` enter at `step`; its schedule counts from there.

        Raises:
            ValueError: A parameter is already in the optimizer.
        """
        self.optimizer.add_param_group(self._entry(group))
        self._join(group, step)

    def before_step(self, step: int) -> None:
        """Clip each group's gradient and set its learning rate for `step`."""
        for entry, (group, schedule, start) in zip(
            self.optimizer.param_groups, self._members, strict=True
        ):
            entry["lr"] = group.lr * schedule(step - start)
            if group.clip is not None:
                nn.utils.clip_grad_norm_(group.params, group.clip)

    def _join(self, group: Group, start: int) -> None:
        default = schedule_of(self._recipe, self._steps - start)
        self._members.append((group, group.schedule or default, start))

    def _entry(self, group: Group) -> dict[str, Any]:
        return {
            "params": group.params,
            "lr": group.lr,
            "weight_decay": group.weight_decay,
        }


def schedule_of(recipe: Recipe, steps: int) -> Callable[[int], float]:
    """The recipe's schedule over `steps` steps: step from 0 -> factor in [0, 1].

    Warm-up rises linearly to 1 over `recipe.warmup` steps; what remains is constant, or
    falls to 0 linearly or as half a cosine.
    """
    warmup, shape = recipe.warmup, recipe.schedule

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        progress = min(1.0, (step - warmup) / max(1, steps - warmup))
        if shape == "linear":
            return 1.0 - progress
        if shape == "cosine":
            return 0.5 * (1.0 + math.cos(math.pi * progress))
        return 1.0

    return factor


def _optimizer(
    entries: Iterable[dict[str, Any]], recipe: Recipe
) -> torch.optim.Optimizer:
    entries = list(entries)
    # One kernel per group instead of about ten per parameter.
    fused = all(
        p.is_floating_point() and p.device.type in {"cpu", "cuda"}
        for entry in entries
        for p in entry["params"]
    )
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(
            entries, lr=recipe.lr, momentum=recipe.momentum, fused=fused
        )
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[recipe.optimizer]
    made: torch.optim.Optimizer = kind(
        entries, lr=recipe.lr, betas=recipe.betas, fused=fused
    )
    return made
