"""How sure a mean over few repeats is."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from statistics import stdev

LEVEL = 0.95
"""How often an interval holds the true mean."""


def half_width(values: Sequence[float]) -> float | None:
    """Half the width of the 95 % interval of the mean of `values`, by Student's t.

    Values are taken as normal and independent, such as those of different seeds. None
    where there are fewer than two.
    """
    if len(values) < 2:
        return None
    from scipy.stats import t

    quantile = float(t.ppf((1 + LEVEL) / 2, len(values) - 1))
    return quantile * stdev(values) / sqrt(len(values))
