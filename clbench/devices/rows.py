"""Rows of batches and of outputs: counted, parted and put together again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from torch import Tensor


def count(given: Any) -> int:
    """How many rows there are: the length of the first tensor in `given`; else 0."""
    return next((len(tensor) for tensor in tensors(given) if tensor.dim()), 0)


def tensors(value: Any) -> Iterator[Tensor]:
    """Every tensor in mappings, lists and tuples within `value`, in their order."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from tensors(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from tensors(part)


def change(value: Any, of: Callable[[Tensor], Tensor]) -> Any:
    """`value` with another tensor in the place of each, asked for in their order."""
    if isinstance(value, Tensor):
        return of(value)
    if isinstance(value, Mapping):
        parts = {name: change(part, of) for name, part in value.items()}
        return parts if type(value) is dict else type(value)(**parts)
    if isinstance(value, list | tuple):
        changed = [change(part, of) for part in value]
        if hasattr(value, "_fields"):
            return type(value)(*changed)
        return type(value)(changed)
    return value


def part(given: Any, rows: int, chosen: range) -> Any:
    """Those rows alone; what has no row for each example stays as it is."""

    def some(tensor: Tensor) -> Tensor:
        whole = tensor.dim() == 0 or len(tensor) != rows
        return tensor if whole else tensor[chosen.start : chosen.stop]

    return given if len(chosen) == rows else change(given, some)


def replaced(value: Any, by: Sequence[Tensor]) -> Any:
    """`value` with `by` in the place of its tensors, in their order."""
    rest = iter(by)
    return change(value, lambda tensor: next(rest))


def divided(rows: range, parts: int) -> list[range]:
    """`rows` in so many runs of almost equal length, none of them empty."""
    parts = max(1, min(parts, len(rows)))
    cuts = [rows.start + len(rows) * part // parts for part in range(parts + 1)]
    return [range(a, b) for a, b in pairwise(cuts)]


def check(tensor: Tensor, rows: int) -> None:
    """Refuse an output that does not have a row for each example.

    Raises:
        TypeError: It has not.
    """
    if tensor.dim() == 0 or len(tensor) != rows:
        raise TypeError(
            f"the model's output has a tensor of shape {tuple(tensor.shape)} for "
            f"{rows} examples: its rows cannot be divided, as `per_example` or "
            f"`rowwise` says"
        )
