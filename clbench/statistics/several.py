"""Strategies over several boards: mean ranks, and which are told apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from clbench.contract import InputError
from clbench.statistics.multiple import ALPHA, holm

Array = NDArray[np.float64]

Posthoc = Literal["nemenyi", "wilcoxon"]
POSTHOCS: tuple[Posthoc, ...] = get_args(Posthoc)

EXTRA = "scikit-posthocs is not installed: pip install 'clbench[stats]'"


@dataclass(frozen=True)
class MeanRanks:
    """Ranks of k strategies, averaged over N boards.

    Attributes:
        names: Of the strategies, the best mean rank first.
        means: Their mean ranks.
        ranks: (N, k) on each board; equal scores share the mean of their ranks.
        friedman: p of Friedman's test that all are alike.
        posthoc: Which test compares two.
        p: (k, k) of every two.
        critical: Difference of mean ranks that Nemenyi's test calls significant; None
            for Wilcoxon's, which has none.
        alike: Strategies that are not told apart: maximal runs of neighbours, each two
            of which do not differ.
    """

    names: list[str]
    means: list[float]
    ranks: Array
    friedman: float
    posthoc: Posthoc
    p: Array
    critical: float | None
    alike: list[list[str]]


def mean_ranks(
    names: Sequence[str], scores: Array, posthoc: Posthoc = "nemenyi"
) -> MeanRanks:
    """Compare strategies over boards, as Demšar does.

    Friedman's test asks whether they differ at all. Nemenyi's test compares every two
    by their mean ranks, corrected for all pairs; `wilcoxon` compares every two by the
    signed ranks of their differences, with Holm's correction, and does not depend on
    which others are there (Benavoli, Corani, Mangili, JMLR 2016).

    Source: Demšar, Statistical Comparisons of Classifiers over Multiple Data Sets, JMLR
    2006; the tests are those of scipy and scikit-posthocs.

    Args:
        names: k strategies.
        scores: (N, k) higher is better on every board.
        posthoc: Which test compares two.

    Raises:
        InputError: There are fewer than three strategies or two boards, or
            scikit-posthocs is not installed.
    """
    from scipy import stats

    boards, count = scores.shape
    if count < 3 or boards < 2:
        raise InputError(
            f"mean ranks need three strategies on two boards at least; {count} "
            f"strategies are on all of {boards} boards"
        )
    ranks = stats.rankdata(-scores, axis=1)
    order = np.argsort(ranks.mean(0), kind="stable")
    ranks, scores = ranks[:, order], scores[:, order]
    ordered = [names[i] for i in order]
    with np.errstate(invalid="ignore", divide="ignore"):
        friedman = float(stats.friedmanchisquare(*scores.T).pvalue)
    means = ranks.mean(0)
    p = _nemenyi(scores) if posthoc == "nemenyi" else _wilcoxon(scores)
    return MeanRanks(
        names=ordered,
        means=means.tolist(),
        ranks=ranks,
        friedman=1.0 if np.isnan(friedman) else friedman,
        posthoc=posthoc,
        p=p,
        critical=critical_difference(count, boards) if posthoc == "nemenyi" else None,
        alike=_runs(ordered, p),
    )


def critical_difference(count: int, boards: int) -> float:
    """How far mean ranks of two of `count` must differ to be told apart by Nemenyi.

    q sqrt(k (k + 1) / (6 N)), q the studentized range at 0.95 for k and infinitely many
    degrees of freedom, divided by sqrt 2.

    Args:
        count: k strategies.
        boards: N boards.
    """
    from scipy.stats import studentized_range

    q = float(studentized_range.ppf(1 - ALPHA, count, np.inf)) / sqrt(2)
    return q * sqrt(count * (count + 1) / (6 * boards))


def _nemenyi(scores: Array) -> Array:
    try:
        import scikit_posthocs
    except ImportError as error:
        raise InputError(EXTRA) from error
    p: Array = scikit_posthocs.posthoc_nemenyi_friedman(scores).to_numpy()
    return p


def _wilcoxon(scores: Array) -> Array:
    from scipy import stats

    count = scores.shape[1]
    p = np.ones((count, count))
    above = np.triu_indices(count, 1)
    found = [
        stats.wilcoxon(scores[:, i], scores[:, j]).pvalue
        if (scores[:, i] != scores[:, j]).any()
        else 1.0
        for i, j in zip(*above, strict=True)
    ]
    p[above] = holm(np.array(found))
    return np.minimum(p, p.T)


def _runs(names: Sequence[str], p: Array) -> list[list[str]]:
    """Maximal runs of two or more neighbours, no two of which differ."""
    found: list[tuple[int, int]] = []
    for first in range(len(names)):
        last = first
        while last + 1 < len(names) and (p[first : last + 1, last + 1] >= ALPHA).all():
            last += 1
        if last > first and not (found and found[-1][1] >= last):
            found.append((first, last))
    return [list(names[first : last + 1]) for first, last in found]
