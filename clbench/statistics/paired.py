"""Is one strategy better than another? Tests over the seeds that both have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from clbench.statistics.multiple import ALPHA

Array = NDArray[np.float64]

FEW = 3
"""Seeds below which nothing is tested, and a mean and its interval say little."""

FLIPS = 19_999
"""Sign flips that are drawn where there are too many to try all."""

NOTHING = 1e-12
"""Differences whose spread is this part of their size are equal but for rounding."""


@dataclass(frozen=True)
class Test:
    """What a paired test found.

    Attributes:
        p: Two-sided.
        by: `t` is the paired t-test, `sign flips` the permutation test.
        smallest: The smallest p that the permutation test can give here.
        t: p of the t-test; None where the differences have no spread.
        flips: p of the permutation test.
    """

    __test__ = False
    p: float
    by: Literal["t", "sign flips"]
    smallest: float
    t: float | None
    flips: float


def test(differences: Array) -> Test | None:
    """Whether the mean of paired `differences` is other than 0; None below `FEW`.

    The permutation test assumes only that a difference and its opposite are equally
    likely where there is no effect. It decides once it can: from 6 seeds on it can fall
    below 0.05. With fewer, the t-test decides, which takes differences as normal. Where
    they are all equal, t has no meaning, and the permutation test decides again.

    Args:
        differences: (n,) one for each seed.
    """
    differences = np.asarray(differences, dtype=np.float64)
    if len(differences) < FEW:
        return None
    flips = sign_flips(differences)
    by_t = float(t_test(differences[None])[0])
    t = None if np.isnan(by_t) else by_t
    smallest = smallest_p(len(differences))
    if t is None or smallest <= ALPHA:
        return Test(flips, "sign flips", smallest, t, flips)
    return Test(t, "t", smallest, t, flips)


def smallest_p(n: int) -> float:
    """The smallest two-sided p of all 2^n sign flips: 0.25 for three seeds."""
    return float(max(2.0 ** (1 - n), 1 / (FLIPS + 1)))


def sign_flips(differences: Array) -> float:
    """Two-sided p of the mean among those with signs flipped.

    Exact, over all 2^n flips, where there are no more than `FLIPS`; else by that many
    that are drawn, always the same, counting the one at hand.

    Source: Fisher, The Design of Experiments, 1935; scipy.stats.permutation_test.

    Args:
        differences: (n,).
    """
    from scipy import stats

    differences = np.asarray(differences, dtype=np.float64)
    if not differences.any():
        return 1.0
    found = stats.permutation_test(
        (differences,),
        lambda x, axis: x.mean(axis=axis),
        permutation_type="samples",
        n_resamples=FLIPS,
        vectorized=True,
        rng=np.random.default_rng(0),
    )
    return float(found.pvalue)


def t_test(differences: Array) -> Array:
    """(m,) two-sided p values of Student's paired t-test.

    NaN where all differences of a row are equal and not 0: there is no spread to judge
    by. 1 where all are 0.

    Args:
        differences: (m, n), n at least 2; NaN marks a pair that is not there.
    """
    from scipy.special import stdtr  # `scipy.stats` takes a second to import

    with np.errstate(invalid="ignore", divide="ignore"):
        known = ~np.isnan(differences)
        n = known.sum(1)
        filled = np.where(known, differences, 0.0)
        mean = filled.sum(1) / n
        off = np.where(known, filled - mean[:, None], 0.0)
        deviation = np.sqrt((off**2).sum(1) / (n - 1))
        size = np.abs(filled).max(1, initial=0.0)
        flat = deviation <= NOTHING * size
        t = np.where(flat, np.nan, mean / (deviation / np.sqrt(n)))
        p = 2 * stdtr(n - 1, -np.abs(t))
    found: Array = np.where(size == 0, 1.0, p)
    return found
