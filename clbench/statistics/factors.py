"""Where the spread comes from: seeds and orders of tasks, told apart."""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt

import numpy as np


def components(values: Mapping[tuple[int, int], float]) -> dict[str, float]:
    """Standard deviations due to two crossed factors, and to all else.

    For a score y[i, j] = mean + a[i] + b[j] + e[i, j] with random a, b and e, the
    analysis of variance without replication gives their variances; one that comes out
    below 0 is 0. Empty unless at least two levels of each are crossed in full.

    Source: Searle, Casella, McCulloch, Variance Components, 1992, chapter 4.

    Args:
        values: Score by (level of the first, level of the second).

    Returns:
        `first`, `second` and `rest`, in the unit of the scores.
    """
    first = sorted({i for i, _ in values})
    second = [j for j in sorted({j for _, j in values}) if _crossed(values, first, j)]
    if len(first) < 2 or len(second) < 2:
        return {}
    y = np.array([[values[i, j] for j in second] for i in first])
    r, c = y.shape
    rows, columns, mean = y.mean(1), y.mean(0), y.mean()
    rest = ((y - rows[:, None] - columns + mean) ** 2).sum() / ((r - 1) * (c - 1))
    between_rows = c * ((rows - mean) ** 2).sum() / (r - 1)
    between_columns = r * ((columns - mean) ** 2).sum() / (c - 1)
    return {
        "first": sqrt(max(0.0, float(between_rows - rest) / c)),
        "second": sqrt(max(0.0, float(between_columns - rest) / r)),
        "rest": sqrt(float(rest)),
    }


def _crossed(
    values: Mapping[tuple[int, int], float], first: list[int], second: int
) -> bool:
    """Whether every level of the first factor was crossed with `second`."""
    return all((i, second) in values for i in first)
