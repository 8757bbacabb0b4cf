"""Put an adapter of PEFT into a model, and see to it that its function stays."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import Tensor, nn

from clbench.contract import InputError, Problem
from clbench.lowrank import freeze
from clbench.seeding import derive, global_seed

from .configuration import Target
from .library import Adapter

NAME = "default"
"""What PEFT calls the one adapter that a model has here."""


def inject(
    model: nn.Module,
    problem: Problem,
    adapter: Adapter,
    config: Any,
    chosen: Sequence[Target],
) -> Any:
    """Wrap the modules that `config` names; everything else but the heads is frozen.

    Types that begin elsewhere than at the model's function are moved there: what they
    add at first is taken off the frozen weight, as PiSSA does it.

    Returns:
        PEFT's tuner, which holds the model and what its layers share.

    Raises:
        InputError: PEFT cannot put it into this model, or its function would change.
    """
    freeze(model, problem)
    before = _answers(model, chosen)
    with quiet(), global_seed(derive(problem.seed, "peft")):
        try:
            assert adapter.tuner is not None
            tuner = adapter.tuner(model, config, NAME)
        except Exception as error:
            line = " ".join(str(error).split())
            raise InputError(
                f"peft cannot put '{adapter.name}' into this model: {line}"
            ) from error
    _hold(model, adapter, before)
    for parameter in problem.heads(model):
        parameter.requires_grad_(True)
    return tuner


def remove(tuner: Any) -> nn.Module:
    """Take the adapter out again: the model as it was before `inject`."""
    with quiet():
        model: nn.Module = tuner.unload()
    if hasattr(model, "peft_config"):
        # Left behind by older releases, which would then find two of them.
        del model.peft_config
    return model


@contextmanager
def quiet() -> Iterator[None]:
    """Within, PEFT's advice is not shown: it speaks to those who call it themselves."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _hold(model: nn.Module, adapter: Adapter, before: Mapping[str, Tensor]) -> None:
    """Let every wrapped layer compute what it computed before."""
    for path, answer in before.items():
        layer = model.get_submodule(path)
        if not isinstance(layer, BaseTunerLayer):
            continue
        if _gap(layer, answer) > _tolerance(answer):
            _shift(layer)
        if (gap := _gap(layer, answer)) > _tolerance(answer):
            raise InputError(
                f"strategy.type={adapter.name} changes what the model computes when it "
                f"is put in: layer '{path}' moves by {gap:.1e} of its largest output"
            )


@torch.no_grad()
def _shift(layer: Any) -> None:
    """Take what the adapter adds at first off the weight that it is added to."""
    if hasattr(layer, "get_delta_weight"):
        weight = layer.get_base_layer().weight
        weight.sub_(layer.get_delta_weight(NAME).to(weight))


def _answers(model: nn.Module, chosen: Sequence[Target]) -> dict[str, Tensor]:
    """What each linear layer that will be wrapped gives for fixed random inputs."""
    return {
        target.path: _answer(module)
        for target in chosen
        if isinstance(module := model.get_submodule(target.path), nn.Linear)
    }


@torch.no_grad()
def _answer(layer: Any) -> Tensor:
    """(1, 4, d_out) for inputs of variance 1."""
    base = layer.get_base_layer() if isinstance(layer, BaseTunerLayer) else layer
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(1, 4, base.in_features, generator=generator)
    was = layer.training
    answer: Tensor = layer.eval()(inputs.to(base.weight))
    layer.train(was)
    return answer


def _gap(layer: Any, answer: Tensor) -> float:
    """Largest difference from `answer`, as a part of its largest entry."""
    gap = (_answer(layer) - answer).abs().max() / answer.abs().max().clamp(min=1e-12)
    return float(gap)


def _tolerance(answer: Tensor) -> float:
    """What rounding may do, decompositions of a weight included."""
    return max(1e-5, 4 * torch.finfo(answer.dtype).eps)
