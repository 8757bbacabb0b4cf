"""Ranks, how sure they are, and which rows are told apart at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clbench.statistics.multiple import ALPHA, holm
from clbench.statistics.paired import FEW, smallest_p, t_test

Array = NDArray[np.float64]

DIGITS = 10
"""Means that agree in so many digits are equal."""


@dataclass(frozen=True)
class Place:
    """Where a row stands.

    Attributes:
        rank: 1 is best; equal means share one, and the next are counted after them.
        group: Number of the rank group; None where there are too few seeds to test.
        interval: The best and the worst rank that the tests leave it; None likewise.
    """

    rank: int
    group: int | None
    interval: tuple[int, int] | None


def places(values: Array, higher_is_better: bool) -> list[Place]:
    """The place of each row, in the order of the rows.

    Every two rows with at least three seeds in common are compared by a paired t-test,
    all p values corrected by Holm's rule. With B rows significantly better and W
    significantly worse than it, the rank of one of R rows lies in [1 + B, R - W]
    (Mogstad, Romano, Shaikh, Wilhelm, Inference for Ranks, Review of Economic Studies
    2024): all intervals hold together at 95 %.

    The best row opens group 1. Going down, a row joins the group at hand unless it is
    significantly worse than the row that opened it; then it opens the next group.

    Args:
        values: (R, S) scores of R rows; NaN where a row lacks a seed.
        higher_is_better: Which way is up.
    """
    values = np.asarray(values, dtype=np.float64)
    sign = 1.0 if higher_is_better else -1.0
    means = [_rounded(sign * float(np.nanmean(row))) for row in values]
    better = _better(sign * values, means)
    tested = (~np.isnan(values)).sum(1) >= FEW
    ranks = [1 + sum(other > mean for other in means) for mean in means]
    groups = _groups(ranks, better, tested)
    above, below = better.sum(0), better.sum(1)
    return [
        Place(
            rank,
            groups[row],
            (1 + int(above[row]), len(ranks) - int(below[row]))
            if tested[row]
            else None,
        )
        for row, rank in enumerate(ranks)
    ]


def _better(values: Array, means: Sequence[float]) -> NDArray[np.bool_]:
    """(R, R) whether the row is significantly better than the column."""
    count = len(values)
    found = np.zeros((count, count), dtype=np.bool_)
    pairs = [_pairs(values, row) for row in range(count - 1)]
    if not any(len(p) for _, p, _ in pairs):
        return found
    below = holm(np.concatenate([p for _, p, _ in pairs])) < ALPHA
    at = np.array(means)
    start = 0
    for row, (others, p, gained) in enumerate(pairs):
        sure = below[start : start + len(p)]
        start += len(p)
        # Seeds that only one of the two has must not say the opposite.
        found[row, others[sure & (gained > 0) & (at[row] > at[others])]] = True
        found[others[sure & (gained < 0) & (at[row] < at[others])], row] = True
    return found


def _pairs(values: Array, row: int) -> tuple[NDArray[np.intp], Array, Array]:
    """Rows below that can be compared with `row`, their p values and differences."""
    differences = values[row] - values[row + 1 :]
    shared = (~np.isnan(differences)).sum(1)
    tested = np.flatnonzero(shared >= FEW)
    if not len(tested):
        return tested, np.empty(0), np.empty(0)
    p = t_test(differences[tested])
    flat = np.isnan(p)
    p[flat] = [smallest_p(int(n)) for n in shared[tested][flat]]
    return tested + row + 1, p, np.nanmean(differences[tested], axis=1)


def _groups(
    ranks: Sequence[int], better: NDArray[np.bool_], tested: NDArray[np.bool_]
) -> list[int | None]:
    groups: list[int | None] = [None] * len(ranks)
    number, leader = 0, -1
    for row in sorted(range(len(ranks)), key=lambda row: ranks[row]):
        if not tested[row]:
            continue
        if leader < 0 or better[leader, row]:
            number, leader = number + 1, row
        groups[row] = number
    return groups


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
