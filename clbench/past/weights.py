"""Weights as they were: copies of a model, and anchors of what is trained."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn


def frozen_copy(model: nn.Module) -> nn.Module:
    """The model as it is now, in evaluation mode: a teacher."""
    return copy.deepcopy(model).eval().requires_grad_(False)


class Anchor:
    """What trained parameters were at one moment, by their names.

    Args:
        values: Name -> value.
    """

    def __init__(self, values: Mapping[str, Tensor]) -> None:
        self.values = dict(values)

    @classmethod
    def of(cls, model: nn.Module) -> Anchor:
        """The parameters of `model` that require a gradient, as they are now."""
        return cls(
            {
                name: parameter.detach().clone()
                for name, parameter in model.named_parameters()
                if parameter.requires_grad
            }
        )

    def pairs(self, model: nn.Module) -> Iterator[tuple[str, nn.Parameter, Tensor]]:
        """Name, parameter of `model` and anchored value; those that both still have."""
        for name, parameter in model.named_parameters():
            value = self.values.get(name)
            if value is not None and value.shape == parameter.shape:
                yield name, parameter, value

    def distance(self, model: nn.Module) -> Tensor:
        """Scalar, the sum of all squared differences, differentiable."""
        gaps = [
            (parameter - value.to(parameter)).square().sum()
            for _, parameter, value in self.pairs(model)
        ]
        return torch.stack(gaps).sum() if gaps else torch.zeros(())

    @torch.no_grad()
    def interpolate(self, model: nn.Module, alpha: float) -> None:
        """Let `model` be alpha of what it is and 1 - alpha of the anchor."""
        for _, parameter, value in self.pairs(model):
            parameter.lerp_(value.to(parameter), 1 - alpha)
