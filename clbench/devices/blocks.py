"""Blocks of a backbone that compute again in the backward pass, to save memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from clbench.contract import Layer
from clbench.devices.ambient import Again


def blocks(layers: Iterable[Layer]) -> list[str]:
    """Paths of the modules that a backbone repeats, as its linear maps show them.

    Of every map it is the innermost numbered module that holds another map as well.

    Args:
        layers: The maps that an adapter may wrap.
    """
    inside: dict[str, set[str]] = defaultdict(set)
    for layer in layers:
        names = layer.path.split(".")
        for place, name in enumerate(names[:-1], start=1):
            if name.isdigit():
                inside[".".join(names[:place])].add(layer.path)
    several = {path for path, maps in inside.items() if len(maps) > 1}
    outer = {
        path
        for path in several
        for other in several
        if other != path and other.startswith(f"{path}.")
    }
    return sorted(several - outer)


def compute_again(block: nn.Module, now: Callable[[], Again]) -> None:
    """Let `block` keep its input alone, and compute again when gradients are asked for.

    Args:
        block: Whose class becomes one that does so; a copy of it does so too.
        now: Called when it computes: what it reads besides its input.
    """
    kind = type(block)

    def contexts() -> tuple[AbstractContextManager[Any], AbstractContextManager[Any]]:
        return nullcontext(), now()()

    def forward(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not torch.is_grad_enabled():
            return kind.forward(self, *args, **kwargs)
        return checkpoint(
            kind.forward,
            self,
            *args,
            use_reentrant=False,
            context_fn=contexts,
            **kwargs,
        )

    names = {"forward": forward, "__module__": kind.__module__}
    block.__class__ = type(kind.__name__, (kind,), names)
