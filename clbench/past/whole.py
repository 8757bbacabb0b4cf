"""A model as tensors and names, and a model that is given them back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn


class Structure(ValueError):
    """A model is not built as the one that was saved; the message says where."""


def weights_of(model: nn.Module) -> dict[str, Any]:
    """Parameters, buffers, what is trained, what is in evaluation mode."""
    state = dict(model.state_dict())
    return {
        "state": state,
        "buffers": {
            name: value
            for name, value in model.named_buffers(remove_duplicate=False)
            if name not in state
        },
        "trained": [n for n, p in model.named_parameters() if p.requires_grad],
        "still": [n for n, m in model.named_modules() if not m.training],
    }


def give_back(model: nn.Module, saved: Mapping[str, Any]) -> None:
    """Let `model` be as the one that `weights_of` was asked of.

    Raises:
        Structure: It has other parameters, or of other shapes.
    """
    try:
        model.load_state_dict(saved["state"], strict=True)
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines()[1:]]
        raise Structure(" ".join(lines) or str(error)) from error
    known = dict(model.named_buffers(remove_duplicate=False))
    kept = set(model.state_dict())
    for name in {**known, **saved["buffers"]}:
        if name not in kept:
            _set_buffer(model, name, saved["buffers"].get(name))
    trained, still = set(saved["trained"]), set(saved["still"])
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in trained)
    for name, module in model.named_modules():
        module.training = name not in still


def _set_buffer(model: nn.Module, name: str, value: Tensor | None) -> None:
    path, _, own = name.rpartition(".")
    module = model.get_submodule(path)
    now = module._buffers.get(own)
    if now is not None and value is not None and now.shape == value.shape:
        with torch.no_grad():
            now.copy_(value)
    elif own in module._buffers:
        module._buffers[own] = value
    else:
        module.register_buffer(own, value, persistent=False)
