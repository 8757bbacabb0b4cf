"""Put low-rank layers into a model, and switch them off for a while."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

import torch
from torch import nn

from clbench.contract import InputError, Layer, Problem, Role
from clbench.lowrank.attention import LowRankAttention
from clbench.lowrank.layer import Adapter, LowRank


def freeze(model: nn.Module, problem: Problem) -> None:
    """Freeze every parameter of `model` but its heads."""
    heads = {id(p) for p in problem.heads(model)}
    for parameter in model.parameters():
        parameter.requires_grad_(id(parameter) in heads)


def inject(
    model: nn.Module,
    problem: Problem,
    *,
    roles: Collection[Role],
    rank: int,
    groups: int = 1,
    scale: float = 1.0,
    generator: torch.Generator,
    kind: Callable[..., Adapter] = LowRank,
    attention: Callable[..., Adapter] = LowRankAttention,
) -> list[Adapter]:
    """Wrap the layers of `model` whose role is wanted, and freeze all but the heads.

    Roles that share one weight (q and v of a fused projection) share one layer.

    Args:
        model: Changed in place; computes what it computed before.
        problem: Says which layers may be wrapped.
        roles: Those that are.
        rank: r, of each adapter.
        groups: G, adapters in parallel on each slice.
        scale: Factor of the updates.
        generator: Draws the factors.
        kind: Makes the layer that takes the place of an `nn.Linear`.
        attention: Makes that of an `nn.MultiheadAttention`.

    Returns:
        The new layers, in the order of the model.

    Raises:
        InputError: No layer has such a role, or the rank does not fit one.
    """
    known = list(problem.adaptable(model))
    wanted: dict[str, list[Layer]] = {}
    for layer in known:
        if layer.role in roles:
            wanted.setdefault(layer.path, []).append(layer)
    if not wanted:
        there = ", ".join(dict.fromkeys(layer.role for layer in known))
        raise InputError(
            f"roles={','.join(roles)}: the model has none of these; it has {there}"
        )
    freeze(model, problem)
    made: dict[str, Adapter] = {}
    for path, layers in wanted.items():
        base = model.get_submodule(path)
        rows = [layer.rows for layer in layers if layer.rows is not None]
        wrapper = attention if isinstance(base, nn.MultiheadAttention) else kind
        made[path] = wrapper(
            base,
            roles=[layer.role for layer in layers],
            rows=rows or None,
            rank=rank,
            groups=groups,
            scale=scale,
            name=path,
            generator=generator,
        )
    # Inner modules first: wrapping an attention hides its output projection's path.
    for path in sorted(made, key=lambda p: p.count("."), reverse=True):
        model.set_submodule(path, made[path])
    return list(made.values())


@contextmanager
def disabled(model: nn.Module) -> Iterator[None]:
    """Within, `model` computes without its low-rank updates: the reference model.

    Nests: on leaving, every layer is switched as it was before.
    """
    adapters = [m for m in model.modules() if isinstance(m, Adapter)]
    before = [adapter.enabled for adapter in adapters]
    for adapter in adapters:
        adapter.enabled = False
    try:
        yield
    finally:
        for adapter, enabled in zip(adapters, before, strict=True):
            adapter.enabled = enabled
