"""What a module computes with, as one number: equal functions, equal hash."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn


@torch.no_grad()
def effective_hash(modules: Iterable[nn.Module]) -> str:
    """SHA-256 of the weights that `modules` compute with.

    A module that has an attribute `plain`, as low-rank layers do, counts as the map
    whose parameters that mapping gives: one whose updates are 0 equals what it wraps.
    Any other module counts with its kind, its parameters and its buffers.
    """
    digest = hashlib.sha256()
    for position, module in enumerate(modules):
        _add(digest, str(position), module)
    return digest.hexdigest()


def _add(digest: hashlib._Hash, name: str, module: nn.Module) -> None:
    plain: Mapping[str, Tensor] | None = getattr(module, "plain", None)
    if plain is not None:
        for key, value in plain.items():
            _note(digest, f"{name}.{key}", value)
        return
    kind = type(module)
    if kind.__module__.split(".")[0] != "torch":
        digest.update(f"{name}:{kind.__module__}.{kind.__qualname__}".encode())
    for key, value in module.named_parameters(recurse=False):
        _note(digest, f"{name}.{key}", value)
    for key, value in module.named_buffers(recurse=False):
        _note(digest, f"{name}.{key}", value)
    for key, child in module.named_children():
        _add(digest, f"{name}.{key}", child)


def _note(digest: hashlib._Hash, name: str, value: Tensor) -> None:
    digest.update(f"{name}{tuple(value.shape)}{value.dtype}".encode())
    plain = value.detach().contiguous().cpu()
    digest.update(plain.view(torch.uint8).numpy().tobytes() if plain.numel() else b"")
