"""MTLoRA as a strategy: shared updates everywhere, own ones where streams part."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import torch
from annotated_types import Ge
from torch import nn

from clbench.contract import (
    Among,
    Between,
    Count,
    Experience,
    Fraction,
    Group,
    InputError,
    Layer,
    Positive,
    Problem,
    Recipe,
    Reference,
    Role,
    Route,
    Run,
    Strategy,
)
from clbench.lowrank import RATES, freeze
from clbench.seeding import derive

from .layer import Mode, Shared, TaskLowRank
from .schedule import cosine

Beside = Literal["norm", "patch", "position", "merge"]
"""What is trained besides low-rank updates and heads."""

OWN: tuple[Role, ...] = ("out", "fc1", "fc2")
"""Roles that get updates of each task; never attention, which is computed once."""


class Mtlora(Strategy):
    """Updates that all tasks share in every block, and own ones in last blocks.

    Where every example is an example of all tasks (dense multi-task), the last block of
    each stage gives a stream for each task, which its decoder reads; attention and
    whatever follows see the shared stream alone. Where every example belongs to one
    task, it takes the path of its task, or the shared one where that is not known.

    Args:
        rank: Rank r of the shared updates; 0 leaves all updates out, also the tasks'.
        task_rank: Rank r_t of each task's updates.
        task_ranks: Ranks of the tasks in their order, where they differ.
        scale: Factor s of the shared updates, as it stands, never divided by the rank.
        task_scale: Factor s_t of the tasks'; None is `scale`, as in the released code.
        learn_scale: Whether the factors are trained.
        mode: What a task's output has besides the frozen map: `matrix` its own update,
            `matrixv2` the shared one too; `addition` adds up the tasks' instead of a
            shared update; `lora_only` has no updates of tasks.
        dropout: Part of the input that updates do not see in training.
        downsampler: The `+` variant: patch merging is frozen and gets a shared update.
        beside: What else is trained: normalisation, the patch embedding, positions
            (parameters of no layer, such as relative position tables), patch merging.
        schedule: Whether the learning rate follows the released code (a floor of 1 %)
            where the recipe asks for a cosine.
    """

    search = RATES
    reference = Reference(
        paper=(
            "Agiza, Neseem and Reda: MTLoRA: A Low-Rank Adaptation Approach for "
            "Efficient Multi-Task Learning. CVPR 2024"
        ),
        url="https://arxiv.org/abs/2403.20320",
        differs=(
            "Follows the released code since June 2024, whose parameter counts are "
            "those of the paper: shared updates in every block, and tasks' outputs "
            "without them (mode matrix). In mode addition the normalisation's gain "
            "starts at 0 instead of 1, so that nothing changes before training. Where "
            "an example belongs to one task there is one stream, not one for each."
        ),
    )

    def __init__(
        self,
        *,
        rank: Annotated[int, Ge(0)] = 16,
        task_rank: Count = 4,
        task_ranks: tuple[int, ...] = (),
        scale: Annotated[Positive, Between(5e-1, 8.0, log=True)] = 4.0,
        task_scale: Positive | None = None,
        learn_scale: bool = False,
        mode: Mode = "matrix",
        dropout: Annotated[Fraction, Among(0.0, 0.05, 0.1)] = 0.05,
        downsampler: bool = False,
        beside: tuple[Beside, ...] = ("norm", "patch", "position", "merge"),
        schedule: bool = True,
    ) -> None:
        self.rank = rank
        self.task_rank = task_rank
        self.task_ranks = task_ranks
        self.scale = scale
        self.task_scale = task_scale
        self.learn_scale = learn_scale
        self.mode = mode
        self.dropout = dropout
        self.downsampler = downsampler
        self.beside = beside
        self.schedule = schedule
        self._steps = 0

    def prepare(self, model: nn.Module, problem: Problem) -> None:
        """Inject the updates; free what is trained beside them."""
        if self.task_ranks and len(self.task_ranks) != len(problem.tasks):
            raise InputError(
                f"strategy.task_ranks names {len(self.task_ranks)} ranks, there are "
                f"{len(problem.tasks)} tasks: {', '.join(problem.tasks)}"
            )
        known = list(problem.adaptable(model))
        heads = {id(p) for p in problem.heads(model)}
        freeze(model, problem)
        merges = {layer.path for layer in known if layer.role == "merge"}
        for name, module in model.named_modules():
            for parameter in module.parameters(recurse=False):
                kind = "merge" if name in merges else _kind(module)
                if kind in self.beside and not (kind == "merge" and self.downsampler):
                    parameter.requires_grad_(True)
        for parameter in model.parameters():
            if id(parameter) in heads:
                parameter.requires_grad_(True)
        if self.rank:
            self._inject(model, problem, known)

    def groups(self, model: nn.Module, recipe: Recipe) -> list[Group]:
        """Weights decay, vectors (biases, normalisation) do not."""
        trained = [p for p in model.parameters() if p.requires_grad]
        own = self.schedule and recipe.schedule == "cosine" and self._steps
        shape = cosine(self._steps, recipe.warmup) if own else None
        return [
            Group(
                params=[p for p in trained if (p.dim() > 1) == matrices],
                lr=recipe.lr,
                weight_decay=recipe.weight_decay if matrices else 0.0,
                schedule=shape,
                clip=recipe.clip,
                name="matrices" if matrices else "vectors",
            )
            for matrices in (True, False)
        ]

    def before_experience(self, run: Run, experience: Experience) -> None:
        """Note how long the learning rate has."""
        self._steps = experience.steps

    def _inject(
        self, model: nn.Module, problem: Problem, known: Sequence[Layer]
    ) -> None:
        generator = torch.Generator().manual_seed(derive(problem.seed, "mtlora"))
        places, route = _places(model, known)
        roles: dict[str, list[Role]] = {}
        for layer in known:
            if layer.role != "merge" or self.downsampler:
                roles.setdefault(layer.path, []).append(layer.role)
        numbers = {task: place for place, task in enumerate(problem.tasks)}
        for path, found in roles.items():
            base = model.get_submodule(path)
            if not isinstance(base, nn.Linear):
                raise InputError(
                    f"mtlora wraps linear layers only, '{path}' is a packed attention"
                )
            tasks = _tasks_of(path, places) if found[0] in OWN else None
            common: dict[str, Any] = {
                "roles": found,
                "rank": self.rank,
                "scale": self.scale,
                "dropout": self.dropout,
                "learn_scale": self.learn_scale,
                "name": path,
                "generator": generator,
            }
            made: Shared
            if tasks is None or self.mode == "lora_only":
                made = Shared(base, **common)
            else:
                # A route tells tasks by their number among all of the problem's.
                chosen = problem.tasks if route is not None else tasks
                made = TaskLowRank(
                    base,
                    **common,
                    ranks=[self._rank(numbers[task]) for task in chosen],
                    scales=[self.task_scale or self.scale] * len(chosen),
                    mode=self.mode,
                    route=route,
                    opens=found[0] == "out",
                )
            model.set_submodule(path, made)

    def _rank(self, task: int) -> int:
        return self.task_ranks[task] if self.task_ranks else self.task_rank


def _places(
    model: nn.Module, known: Sequence[Layer]
) -> tuple[Mapping[str, tuple[str, ...]], Route | None]:
    """Paths of the blocks whose layers get updates of tasks, and the model's route.

    Where the model names branches it is these; where it has a route, the last block of
    every stack of blocks; else there are none: the model says nothing of tasks.
    """
    branches = getattr(model, "branches", None)
    if branches is not None:
        return branches(), None
    route = getattr(model, "route", None)
    if route is None:
        return {}, None
    route.read = True
    last: dict[str, int] = {}
    for layer in known:
        block = re.match(r"(.*)\.(\d+)\.", layer.path)
        if block is not None:
            stack, number = block.groups()
            last[stack] = max(last.get(stack, 0), int(number))
    return {f"{stack}.{number}": () for stack, number in last.items()}, route


def _tasks_of(
    path: str, places: Mapping[str, tuple[str, ...]]
) -> tuple[str, ...] | None:
    """The tasks that branch at the block around `path`; None where none does."""
    for place, tasks in places.items():
        if path.startswith(f"{place}."):
            return tasks
    return None


def _kind(module: nn.Module) -> Beside | None:
    """Which of what is trained beside `module` is; None for maps and tables."""
    if isinstance(module, nn.LayerNorm | nn.GroupNorm | nn.BatchNorm2d):
        return "norm"
    if isinstance(module, nn.Conv2d):
        return "patch"
    if isinstance(module, nn.Linear | nn.Embedding | nn.MultiheadAttention):
        return None
    return "position"
