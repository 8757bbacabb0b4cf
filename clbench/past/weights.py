"""Weights as they were: copies of a model, and anchors of what is trained."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from clbench.contract import Batch
from clbench.past.whole import give_back, weights_of


def frozen_copy(model: nn.Module) -> nn.Module:
    """The model as it is now, in evaluation mode: a teacher."""
    return copy.deepcopy(model).eval().requires_grad_(False)


class Teacher:
    """A model as it was at one moment, in evaluation mode, which nothing trains.

    Args:
        weights: Its parameters and buffers, of which a copy of the model in training
            is made when its first answer is asked for. Modules that grow give their
            size among them (`get_extra_state`).
    """

    def __init__(self, weights: Mapping[str, Any]) -> None:
        self._weights: Mapping[str, Any] | None = weights
        self._model: nn.Module | None = None

    @classmethod
    def of(cls, model: nn.Module) -> Teacher:
        """The model as it is now."""
        made = cls({})
        made._weights, made._model = None, frozen_copy(model)
        return made

    @torch.no_grad()
    def answer(self, model: nn.Module, batch: Batch) -> Any:
        """What it answers.

        Args:
            model: That in training.
            batch: What is asked.
        """
        return self.beside(model)(batch)

    def beside(self, model: nn.Module) -> nn.Module:
        """The teacher itself, made of a copy of `model` if it is not there yet."""
        if self._model is None:
            assert self._weights is not None
            self._model = frozen_copy(model)
            give_back(self._model, self._weights)
            self._weights = None
        return self._model

    def state(self) -> Mapping[str, Any]:
        """What makes it again."""
        if self._weights is not None:
            return self._weights
        assert self._model is not None
        return weights_of(self._model)


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
