"""Which weights a sum of domains' modules may have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import comb

from clbench.contract import InputError

LARGEST = 100
"""Weights that are tried at the most."""


def uniform(count: int) -> tuple[float, ...]:
    """Equal weights that sum to 1."""
    return (1 / count,) * count


def given(weights: Sequence[float], count: int) -> tuple[float, ...]:
    """The first `count` of `weights`, scaled so that they sum to 1.

    Raises:
        InputError: `weights` are not on the simplex, too few, or these are all 0.
    """
    text = ",".join(f"{weight:g}" for weight in weights)
    if min(weights, default=0) < 0 or abs(sum(weights) - 1) > 1e-6:
        raise InputError(
            f"strategy.weights=[{text}]: weights are at least 0 and sum to 1"
        )
    if len(weights) < count:
        raise InputError(
            f"strategy.weights=[{text}] has {len(weights)} weights; the stream has "
            f"experience number {count}"
        )
    total = sum(weights[:count])
    if total == 0:
        raise InputError(
            f"strategy.weights=[{text}]: the first {count} are 0, which leaves nothing "
            f"to combine after experience number {count}"
        )
    return tuple(weight / total for weight in weights[:count])


def candidates(count: int, steps: int) -> list[tuple[float, ...]]:
    """Equal weights first, then every point of a grid on the simplex.

    Args:
        count: Number of modules.
        steps: Weights are multiples of 1 / steps; of a coarser grid where there would
            be more than `LARGEST` points.
    """
    while steps > 1 and comb(steps + count - 1, count - 1) > LARGEST:
        steps -= 1
    grid = [tuple(n / steps for n in whole) for whole in _sums(count, steps)]
    equal = uniform(count)
    return [equal, *(weights for weights in grid if weights != equal)]


def _sums(count: int, total: int) -> Iterator[tuple[int, ...]]:
    """Every way to write `total` as a sum of `count` whole numbers, at least 0."""
    if count == 1:
        yield (total,)
        return
    for first in range(total, -1, -1):
        for rest in _sums(count - 1, total - first):
            yield (first, *rest)
