"""Linear maps with an update that all tasks share, and one of its own for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from clbench.contract import Role, Route
from clbench.lowrank import LowRank

Mode = Literal["matrix", "matrixv2", "addition", "lora_only"]
"""What a task's output has besides the frozen map: see `TaskLowRank`."""


class Shared(LowRank):
    """y = W x + b + s B A drop(x): the task-agnostic update.

    Args:
        base: The map that is wrapped and frozen.
        roles: What it does; of a fused projection all of them, on one pair of factors.
        rank: r.
        scale: s, as it stands: never divided by the rank.
        dropout: Part of x that the update does not see in training.
        learn_scale: Whether s is trained.
        name: Path of the layer, for error messages.
        generator: Draws A; B starts at 0.
    """

    def __init__(
        self,
        base: nn.Linear,
        *,
        roles: Sequence[Role],
        rank: int,
        scale: float,
        dropout: float,
        learn_scale: bool = False,
        name: str = "",
        generator: torch.Generator,
    ) -> None:
        super().__init__(
            base, roles=roles, rank=rank, scale=scale, name=name, generator=generator
        )
        self.dropout = dropout
        if learn_scale:
            del self.scale
            given = nn.Parameter(base.weight.new_tensor(scale))
            self.register_parameter("scale", given)

    def forward(self, x: Tensor) -> Tensor:
        """(..., d_in) -> (..., d_out)."""
        if not self.enabled or self.merged:
            return super().forward(x)
        P = F.linear(x, self.base.weight, self.base.bias)
        return P + self._update(F.dropout(x, self.dropout, self.training))

    def _update(self, x: Tensor) -> Tensor:
        return self.scale * F.linear(F.linear(x, self.A[0]), self.B[0])


class TaskLowRank(Shared):
    """The shared update for the shared stream, and for each task t one of its own.

    With P = W x + b of the shared stream (MTLoRA's released code, mode by mode):

    - `matrix`: y = P + s B A x; y_t = P + s_t B_t A_t x_t.
    - `matrixv2`: y as before; y_t = P + s B A x + s_t B_t A_t x_t.
    - `addition`: y_t as in `matrix`; y = P + LayerNorm(sum_t y_t), no shared pair. Its
      gain starts at 0, not 1, so that the layer starts as the map it wraps.

    x_t is the input of the task's own stream; where streams part, x_t = drop(x), and
    what comes from a stream of its own is not dropped. Tasks of equal rank are one
    batched product.

    Args:
        base, roles, rank, scale, dropout, learn_scale, name, generator: As of `Shared`.
        ranks: r_t of each task.
        scales: s_t of each task, as they stand.
        mode: See above; `lora_only` has no tasks and is `Shared`.
        route: Says to which task an example belongs, which then takes its task's path
            alone, its own input being that of P too, or the shared one where its task
            is not known. None where every example belongs to all tasks: outputs are
            1 + T streams along the first axis, the shared one first.
        opens: Whether streams part here; else the input is of streams already.
    """

    def __init__(
        self,
        base: nn.Linear,
        *,
        roles: Sequence[Role],
        rank: int,
        scale: float,
        dropout: float,
        ranks: Sequence[int],
        scales: Sequence[float],
        mode: Mode = "matrix",
        route: Route | None = None,
        opens: bool = True,
        learn_scale: bool = False,
        name: str = "",
        generator: torch.Generator,
    ) -> None:
        super().__init__(
            base,
            roles=roles,
            rank=rank,
            scale=scale,
            dropout=dropout,
            learn_scale=learn_scale,
            name=name,
            generator=generator,
        )
        self.mode, self.route, self.opens = mode, route, opens
        self.tasks = len(ranks)
        weight = base.weight
        # Which tasks share a batched product, in the order of their first.
        self.alike = [
            [t for t, r in enumerate(ranks) if r == each]
            for each in dict.fromkeys(ranks)
        ]
        self.task_A, self.task_B = nn.ParameterList(), nn.ParameterList()
        bound = self.in_features**-0.5
        for each, members in zip(dict.fromkeys(ranks), self.alike, strict=True):
            shape = (len(members), each, self.in_features)
            drawn = torch.empty(shape).uniform_(-bound, bound, generator=generator)
            self.task_A.append(nn.Parameter(drawn.to(weight)))
            empty = weight.new_zeros(len(members), self.out_features, each)
            self.task_B.append(nn.Parameter(empty))
        given = weight.new_tensor(list(scales))
        if learn_scale:
            self.task_scale = nn.Parameter(given)
        else:
            self.register_buffer("task_scale", given, persistent=False)
        self.norm: nn.LayerNorm | None = None
        if mode == "addition":
            self.norm = nn.LayerNorm(self.out_features).to(weight)
            nn.init.zeros_(self.norm.weight)
            self.A.requires_grad_(False)
            self.B.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, ..., d_in) -> (B, ..., d_out); 1 + T times as many rows of streams."""
        if not self.enabled:
            return super().forward(x)
        return self._streams(x) if self.route is None else self._routed(x, self.route)

    def factors(self, task: int) -> tuple[Tensor, Tensor]:
        """A_t (r_t, d_in) and B_t (d_out, r_t)."""
        for A, B, members in zip(self.task_A, self.task_B, self.alike, strict=True):
            if task in members:
                place = members.index(task)
                return A[place], B[place]
        raise IndexError(f"layer '{self.name}' has no task {task}")

    def task_weight(self, task: int) -> Tensor:
        """(d_out, d_in) W + s_t B_t A_t: the map of a task whose input is shared.

        In `fc1` and `fc2` it is not, W taking the shared stream and the update the
        task's: there the map does not amount to one weight.
        """
        A, B = self.factors(task)
        bare = self.frozen if self._bare is None else self._bare
        whole = self.effective() if self.mode == "matrixv2" else bare
        return whole + self.task_scale[task] * (B @ A)

    @property
    def plain(self) -> dict[str, Tensor]:
        """As of `LowRank`, for the task that all examples belong to."""
        given = None if self.route is None else self.route.task
        task = -1 if given is None else int(given[0])
        weight = self.weight if task < 0 else self.task_weight(task)
        return {"weight": weight} | ({} if self.bias is None else {"bias": self.bias})

    def _streams(self, x: Tensor) -> Tensor:
        T = self.tasks
        if self.opens:
            shared = F.dropout(x, self.dropout, self.training)
            own = shared.flatten(0, -2).expand(T, -1, -1)
            first = x
        else:
            first, rest = x.split([len(x) // (1 + T), len(x) - len(x) // (1 + T)])
            shared = F.dropout(first, self.dropout, self.training)
            own = rest.reshape(T, -1, x.shape[-1])
        P, y = self._outputs(first, shared)
        ground = (y if self.mode == "matrixv2" else P).reshape(-1, self.out_features)
        tasks = self._tasks(ground, own)
        if self.norm is not None:
            y = P + self.norm(tasks.sum(0)).view(P.shape)
        return torch.cat([y, tasks.view(T * len(P), *P.shape[1:])])

    def _outputs(self, x: Tensor, dropped: Tensor) -> tuple[Tensor, Tensor]:
        """P and the shared output."""
        bare = self.frozen if self._bare is None else self._bare
        P = F.linear(x, bare, self.base.bias)
        if self.norm is not None:
            return P, P
        if self.merged:
            return P, F.linear(x, self.frozen, self.base.bias)
        return P, P + self._update(dropped)

    def _tasks(self, ground: Tensor, own: Tensor) -> Tensor:
        """(T, N, d_out) ground + s_t B_t A_t x_t, equal ranks at once.

        Args:
            ground: (N, d_out) what all tasks share.
            own: (T, N, d_in) input of each.
        """
        made = []
        for A, B, members in zip(self.task_A, self.task_B, self.alike, strict=True):
            every = len(members) == self.tasks
            x = own if every else own[members]
            scale = self.task_scale if every else self.task_scale[members]
            h = torch.bmm(x, A.mT) * scale[:, None, None]
            shape = (len(members), *ground.shape)
            made.append(torch.baddbmm(ground.expand(shape), h, B.mT))
        if len(made) == 1:
            return made[0]
        order = torch.tensor([t for members in self.alike for t in members])
        return torch.cat(made)[order.argsort().to(ground.device)]

    def _routed(self, x: Tensor, route: Route) -> Tensor:
        dropped = F.dropout(x, self.dropout, self.training)
        P, y = self._outputs(x, dropped)
        if route.task is None:
            return y
        task = route.task.to(x.device).repeat_interleave(len(x) // len(route.task))
        shape = (-1, *[1] * (x.dim() - 1))
        ground = y
        if self.mode == "matrix":
            ground = torch.where((task < 0).view(shape), y, P)
        return ground + self._own(dropped, task)

    def _own(self, x: Tensor, task: Tensor) -> Tensor:
        """s_t B_t A_t x with t the task of each row; 0 where it is not known.

        All tasks' factors are one pair, of which each row uses those of its task.
        """
        A = torch.cat([A.flatten(0, 1) for A in self.task_A])
        B = torch.cat([B.transpose(0, 1).flatten(1) for B in self.task_B], dim=1)
        owner = torch.cat(
            [
                torch.tensor(members, device=x.device).repeat_interleave(B.shape[-1])
                for B, members in zip(self.task_B, self.alike, strict=True)
            ]
        )
        mine = (task[:, None] == owner) * self.task_scale[owner]
        h = F.linear(x, A) * mine.view(len(x), *[1] * (x.dim() - 2), -1).to(x.dtype)
        return F.linear(h, B)
