"""The critical-difference view: strategies that every family's first board ranks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clbench.statistics.several import critical_difference

FEWEST = 3
"""Strategies below which mean ranks say nothing."""

MOST = 50
"""Strategies above which nobody could read the picture."""


@dataclass(frozen=True)
class Place:
    """A strategy over several boards.

    Attributes:
        label: Its name.
        mean: Its mean rank; equal scores share the mean of theirs.
        bars: For each group that is not told apart, whether it belongs to it.
        whisker: Mean and half the critical difference to either side, on a scale, as
            CSS variables: what overlaps is not told apart.
    """

    label: str
    mean: float
    bars: list[bool]
    whisker: str


def leading(board: Mapping[str, Any]) -> dict[str, float]:
    """Main score of each ranked row of a board, by label; higher is better."""
    main = next(c for c in board["columns"] if c["key"] == board["main"])
    sign = -1.0 if main["higher_is_better"] is False else 1.0
    return {
        row["label"]: sign * row["scores"][board["main"]]["mean"]
        for row in board["rows"]
        if row["rank"] is not None
    }


def across(scores: Sequence[Mapping[str, float]]) -> dict[str, Any] | None:
    """Mean ranks over boards, and what Nemenyi's test does not tell apart.

    Args:
        scores: Of each board, as `leading` gives them.

    Returns:
        `places` by mean rank, `boards`, their number, and `critical`; None with fewer
        than two boards or `FEWEST` strategies on all of them, or more than `MOST`.
    """
    names = [x for x in scores[0] if all(x in s for s in scores)] if scores else []
    if len(scores) < 2 or not FEWEST <= len(names) <= MOST:
        return None
    from scipy.stats import rankdata  # takes a second to import

    ranks = [rankdata([-entry[name] for name in names]).tolist() for entry in scores]
    means = [sum(of) / len(scores) for of in zip(*ranks, strict=True)]
    order = sorted(range(len(names)), key=lambda i: (means[i], names[i]))
    ordered = [means[i] for i in order]
    critical = critical_difference(len(names), len(scores))
    groups = alike(ordered, critical)
    low, high = ordered[0] - critical / 2, ordered[-1] + critical / 2
    places = []
    for position, i in enumerate(order):
        ends = (means[i] - critical / 2, means[i], means[i] + critical / 2)
        at = (100 * (end - low) / (high - low) for end in ends)
        style = ";".join(f"--{n}:{x:.1f}" for n, x in zip("amb", at, strict=True))
        bars = [first <= position <= last for first, last in groups]
        places.append(Place(names[i], means[i], bars, style))
    return {"places": places, "boards": len(scores), "critical": critical}


def alike(means: Sequence[float], critical: float) -> list[tuple[int, int]]:
    """First and last of the longest runs of sorted mean ranks within `critical`."""
    found: list[tuple[int, int]] = []
    for first, mean in enumerate(means):
        last = max(i for i, other in enumerate(means) if other - mean < critical)
        if last > first and not (found and found[-1][1] >= last):
            found.append((first, last))
    return found
