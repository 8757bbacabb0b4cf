"""Normalisation over a minibatch whose rows are in several processes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.modules.batchnorm import _BatchNorm

if TYPE_CHECKING:
    from clbench.devices.plan import Plan
    from clbench.devices.team import Team


def normalises(model: nn.Module) -> bool:
    """Whether rows of `model` depend on one another by a normalisation."""
    return any(isinstance(module, _BatchNorm) for module in model.modules())


def normalise_over_all(model: nn.Module, plan: Plan) -> None:
    """Let what normalises over a batch see the rows of all processes.

    Args:
        model: Whose modules get classes that do so; copies of them do so too.
        plan: Says which rows are computed here.
    """
    for module in list(model.modules()):
        if isinstance(module, _BatchNorm):
            module.__class__ = _over_all(type(module), plan)


def _over_all(kind: type[_BatchNorm], plan: Plan) -> type[_BatchNorm]:
    def forward(self: Any, x: Tensor) -> Tensor:
        made: Tensor
        if not self.training or plan.dividing is None:
            made = kind.forward(self, x)
            return made
        count, own = plan.dividing
        each = len(x) // len(own)
        # Equally many rows of each example, one after another.
        of_examples = x.reshape(len(own), each, *x.shape[1:])
        whole = _Gathered.apply(of_examples, plan.team, count, own)
        made = kind.forward(self, whole.flatten(0, 1))
        return made[each * own.start : each * own.stop]

    names = {"forward": forward, "__module__": kind.__module__}
    made: type[_BatchNorm] = type(kind.__name__, (kind,), names)
    return made


class _Gathered(torch.autograd.Function):
    """Rows of all processes; gradients by own rows, from what all made of them."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, team: Team, count: int, own: range) -> Tensor:
        ctx.team, ctx.own = team, own
        return team.gathered(x, count)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, given: Tensor) -> tuple[Any, ...]:
        (every,) = ctx.team.summed([given], [given])
        return every[ctx.own.start : ctx.own.stop], None, None, None
