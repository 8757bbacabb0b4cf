"""PCGrad: gradients of tasks that conflict are projected off each other."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from clbench.contract import Batch, Problem, Reference, Run, Strategy, trainable


class Pcgrad(Strategy):
    """Gradient surgery, where a step learns several tasks.

    The gradient of each task loses what points against that of another, one after
    another in a random order; their sum takes the place of the tasks' plain sum, and
    gradients of anything else, such as penalties, stay in it. Inner products are over
    what at least two tasks reach; what one task reaches alone keeps its gradient.
    """

    reference = Reference(
        paper=(
            "Yu, Kumar, Gupta, Levine, Hausman and Finn: Gradient Surgery for "
            "Multi-Task Learning. NeurIPS 2020"
        ),
        url="https://arxiv.org/abs/2001.06782",
        equations=("Algorithm 1",),
        differs=(
            "Computed by the inner products of the tasks' gradients. The released code "
            "projects in one fixed order; here each task has a random one at each "
            "step, as in the paper."
        ),
    )

    def __init__(self) -> None:
        self._kept: list[tuple[nn.Parameter, Tensor]] = []

    def unsupported(self, problem: Problem) -> str | None:
        """Where no step learns several tasks."""
        if problem.shares_steps:
            return None
        return "every step learns one task: there is no other gradient to conflict with"

    def penalty(self, run: Run, output: Any, batch: Batch) -> Tensor | None:
        """Adds nothing; keeps each task's gradient until the step."""
        losses = run.problem.losses(output, batch)
        known = trainable(run.model.parameters())
        found = zip(
            *(
                torch.autograd.grad(loss, known, retain_graph=True, allow_unused=True)
                for loss in losses.values()
            ),
            strict=True,
        )
        self._kept = [
            (
                parameter,
                common([torch.zeros_like(parameter) if g is None else g for g in each]),
            )
            for parameter, each in zip(known, found, strict=True)
            if sum(g is not None for g in each) > 1
        ]
        return None

    def before_step(self, run: Run) -> None:
        """g <- g - sum_t g_t + sum_t g_t^PC."""
        kept, self._kept = self._kept, []
        if not kept:
            return
        gram = torch.stack([rows @ rows.T for _, rows in kept]).sum(0)
        others = orders(len(gram), run.rng).to(run.device)
        change = surgery(gram, others) - 1
        for parameter, rows in kept:
            if parameter.grad is not None:
                parameter.grad.add_((change @ rows).view_as(parameter))


def surgery(gram: Tensor, orders: Tensor) -> Tensor:
    """(T,) c with sum_t g_t^PC = sum_t c_t g_t: Algorithm 1, exactly.

    Where g_i . g_j < 0: g_i <- g_i - (g_i . g_j / g_j . g_j) g_j, with g_j as it was
    given. So every projected gradient is a combination of those given, and its inner
    products follow from theirs; all tasks take their k-th projection at once.

    Args:
        gram: (T, T) inner products of the given gradients.
        orders: (T, T - 1) for each task, the others in the order of projection.
    """
    tasks = torch.arange(len(gram), device=gram.device)
    mixed = torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    for others in orders.T:
        product = (mixed * gram[others]).sum(1)
        # Without asking the device: what does not conflict is projected by nothing.
        factor = product / gram[others, others].clamp_min(1e-30)
        mixed[tasks, others] -= factor.clamp_max(0)
    return mixed.sum(0)


def orders(tasks: int, generator: torch.Generator) -> Tensor:
    """(T, T - 1) for each of T `tasks`, all others in a random order of its own."""
    keys = torch.rand(tasks, tasks, generator=generator)
    return keys.fill_diagonal_(2).argsort(1)[:, :-1]


def common(gradients: list[Tensor]) -> Tensor:
    """(T, N) the tasks' gradients of one parameter, 0 where fewer than two reach it.

    A parameter of three or more axes is a stack along the first one, as of low-rank
    factors, one pair for each task: each slice is looked at by itself.

    Args:
        gradients: T times the parameter's shape; 0 of a task that does not reach it.
    """
    slices = len(gradients[0]) if gradients[0].dim() > 2 else 1
    parts = torch.stack(gradients).reshape(len(gradients), slices, -1)
    reached = parts.ne(0).any(-1)
    return (parts * (reached.sum(0) > 1)[:, None]).flatten(1)
