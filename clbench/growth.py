"""How the rank of every map moves while a cell learns, and a picture of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

GROWTH = "growth/"
"""Beginning of the names under which strategies log the rank of a map as it changes."""


@dataclass(frozen=True)
class Growth:
    """Ranks over steps.

    Attributes:
        maps: Names, `<path>.<role>`, by role and then in the order of the model.
        steps: (S,) steps at which some rank was logged, ascending.
        ranks: (maps, S) rank from each of these steps on; NaN before the first.
    """

    maps: Sequence[str]
    steps: NDArray[np.int64]
    ranks: NDArray[np.float64]

    @classmethod
    def of(cls, log: Mapping[str, Sequence[tuple[int, float | None]]]) -> Growth | None:
        """What `log` says of ranks; None where it says nothing."""
        known = {
            name.removeprefix(GROWTH): dict(entries)
            for name, entries in log.items()
            if name.startswith(GROWTH)
        }
        if not known:
            return None
        roles = list(dict.fromkeys(name.rpartition(".")[2] for name in known))
        maps = sorted(known, key=lambda name: roles.index(name.rpartition(".")[2]))
        steps = sorted({step for entries in known.values() for step in entries})
        ranks = np.full((len(maps), len(steps)), np.nan)
        for row, name in enumerate(maps):
            now = np.nan
            for column, step in enumerate(steps):
                logged = known[name].get(step, now)
                now = np.nan if logged is None else logged
                ranks[row, column] = now
        return cls(maps, np.array(steps), ranks)

    @property
    def total(self) -> NDArray[np.float64]:
        """(S,) all ranks added up."""
        total: NDArray[np.float64] = np.nansum(self.ranks, axis=0)
        return total


def growth(found: Growth, ends: Sequence[int], title: str) -> Figure:
    """The total rank over steps, and below it the rank of every map.

    Args:
        found: What to draw.
        ends: Steps at which experiences end.
        title: Above all.
    """
    last = max([*ends, int(found.steps[-1]) + 1])
    edges = np.append(found.steps, last)
    figure = Figure(figsize=(7.5, 2.8 + 0.14 * len(found.maps)), layout="constrained")
    top, axes = figure.subplots(
        2, 1, sharex=True, height_ratios=[1.6, 0.4 + 0.14 * len(found.maps)]
    )
    top.stairs(found.total, edges, baseline=None)
    top.set_ylabel("total rank")
    mesh = axes.pcolormesh(
        edges, np.arange(len(found.maps) + 1), found.ranks, cmap="viridis", vmin=0
    )
    axes.invert_yaxis()
    axes.set_yticks(
        np.arange(len(found.maps)) + 0.5, [_short(m) for m in found.maps], fontsize=6
    )
    axes.set_xlabel("step")
    for end in ends:
        if 0 < end < last:
            top.axvline(end, color="grey", linewidth=0.8)
            axes.axvline(end, color="white", linewidth=0.8)
    figure.colorbar(mesh, ax=axes, label="rank")
    figure.suptitle(title, fontsize=10)
    return figure


def _short(name: str) -> str:
    """Role, what comes before the first number in the path, and all numbers."""
    path, _, role = name.rpartition(".")
    parts = path.split(".")
    numbers = [part for part in parts if part.isdigit()]
    if not numbers:
        return f"{role} {path}"
    return f"{role} {'.'.join([*parts[: parts.index(numbers[0])], *numbers])}"
