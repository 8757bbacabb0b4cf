"""Names for what an optimizer may hold, and a strategy may keep."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torch import nn

from clbench.contract import Strategy

OF_MODEL, OWN = "! parameter of the model", "! parameter of the strategy"
"""What a tuple begins with that stands for a parameter."""


def names_of(model: nn.Module, strategy: Strategy) -> dict[str, nn.Parameter]:
    """Parameters by name: the model's own, and those that a strategy's attributes hold.

    The latter are called by their place, such as `strategy._logs.depth`; those of
    members of a composition and of modules are found as well.
    """
    held = dict(_held(strategy, "strategy", set()))
    own = dict(model.named_parameters())
    known = {id(parameter) for parameter in own.values()}
    return {**{n: p for n, p in held.items() if id(p) not in known}, **own}


def refer(value: Any, model: nn.Module) -> Any:
    """`value` with names in the place of the model's parameters, as values and keys."""
    return _refer(value, {id(p): name for name, p in model.named_parameters()})


def resolve(value: Any, model: nn.Module) -> Any:
    """`value` with parameters of `model` in the place of their names.

    Raises:
        ValueError: The model has no parameter of a name, or not yet.
    """
    return _resolve(value, dict(model.named_parameters()))


def _refer(value: Any, names: Mapping[int, str]) -> Any:
    if isinstance(value, nn.Parameter):
        if id(value) in names:
            return OF_MODEL, names[id(value)]
        return OWN, value.detach(), value.requires_grad
    if isinstance(value, Mapping):
        return {_key(k, names): _refer(item, names) for k, item in value.items()}
    if isinstance(value, list | tuple):
        items = [_refer(item, names) for item in value]
        return items if isinstance(value, list) else tuple(items)
    return value


def _key(key: Any, names: Mapping[int, str]) -> Any:
    """A parameter that is not the model's stays, and is refused as a key later."""
    return (OF_MODEL, names[id(key)]) if id(key) in names else key


def _resolve(value: Any, parameters: Mapping[str, nn.Parameter]) -> Any:
    if isinstance(value, tuple) and value[:1] == (OF_MODEL,):
        if value[1] not in parameters:
            raise ValueError(
                f"the strategy keeps parameter '{value[1]}', which the model has not "
                f"got before `load_state`"
            )
        return parameters[value[1]]
    if isinstance(value, tuple) and value[:1] == (OWN,):
        return nn.Parameter(value[1], requires_grad=value[2])
    if isinstance(value, Mapping):
        return {
            _resolve(key, parameters): _resolve(item, parameters)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        items = [_resolve(item, parameters) for item in value]
        return items if isinstance(value, list) else tuple(items)
    return value


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
