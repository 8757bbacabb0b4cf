"""Names for everything that an optimizer may hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torch import nn

from clbench.contract import Strategy


def names_of(model: nn.Module, strategy: Strategy) -> dict[str, nn.Parameter]:
    """Parameters by name: the model's own, and those that a strategy's attributes hold.

    The latter are called by their place, such as `strategy._logs.depth`; those of
    members of a composition and of modules are found as well.
    """
    held = dict(_held(strategy, "strategy", set()))
    own = dict(model.named_parameters())
    known = {id(parameter) for parameter in own.values()}
    return {**{n: p for n, p in held.items() if id(p) not in known}, **own}


def _held(value: Any, place: str, seen: set[int]) -> Iterator[tuple[str, nn.Parameter]]:
    """Parameters within `value`, with where they are."""
    if isinstance(value, nn.Parameter):
        yield place, value
    elif isinstance(value, nn.Module):
        for name, parameter in value.named_parameters():
            yield f"{place}.{name}", parameter
    elif id(value) not in seen:
        seen.add(id(value))
        for name, item in _inside(value):
            yield from _held(item, f"{place}.{name}", seen)


def _inside(value: Any) -> list[tuple[Any, Any]]:
    if isinstance(value, Strategy):
        return list(vars(value).items())
    if isinstance(value, Mapping):
        return list(value.items())
    if isinstance(value, list | tuple):
        return list(enumerate(value))
    return []
