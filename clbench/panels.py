"""Small pictures side by side: every number over the stream, outcomes before and after.

They name no scenario: whatever numbers all tasks of a record have, and whatever real
numbers its examples have, are drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from clbench.matrix import Matrix
from clbench.outcomes import Outcomes

ACROSS = 3
"""Panels beside each other."""

BINS = 24


def common(scores: Matrix, shown: Sequence[str]) -> list[str]:
    """Numbers that every task has, but for those `shown` elsewhere."""
    first = scores.rows[0].scores
    names = next(iter(first.values()))
    return [
        name
        for name in names
        if name not in shown and all(name in numbers for numbers in first.values())
    ]


def measures(
    scores: Matrix, names: Sequence[str], stages: Sequence[str], title: str
) -> Figure:
    """A panel for each number: a line for each task, a dot when it was learned.

    Args:
        scores: Of the record.
        names: The numbers.
        stages: What was learned before each row.
        title: Above all.
    """
    figure, grid = _grid(len(names), title)
    for name, axes in zip(names, grid, strict=True):
        for place, task in enumerate(scores.tasks):
            values = scores.column(name, place)
            (line,) = axes.plot(values, label=task, linewidth=1.2)
            row = scores.learned.get(task)
            if row is not None:
                axes.plot(row, values[row], "o", color=line.get_color(), markersize=4)
        axes.set_title(name, fontsize=9)
        axes.set_xticks(range(len(stages)), stages, rotation=30, ha="right", fontsize=7)
        axes.tick_params(axis="y", labelsize=7)
    handles, labels = grid[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper", frameon=False, fontsize=8)
    return figure


def real(outcomes: Outcomes) -> list[str]:
    """Names of outcomes that are real numbers, and that every task has."""
    first = list(outcomes[0].values()) if outcomes else []
    return [
        name
        for name, values in (first[0].items() if first else ())
        if all(name in task for task in first) and values.dtype.kind == "f"
    ]


def distributions(outcomes: Outcomes, name: str, scores: Matrix, title: str) -> Figure:
    """A panel for each task: how `name` is spread before, when learned and at the end.

    Args:
        outcomes: Of every row of the record.
        name: The outcome.
        scores: Of the record.
        title: Above all.
    """
    figure, grid = _grid(len(scores.tasks), f"{title}: {name} of held-out examples")
    for task, axes in zip(scores.tasks, grid, strict=True):
        stages: dict[str, NDArray[Any]] = {"before": _finite(outcomes[0], task, name)}
        row = _own_row(scores, task)
        if row is not None and row < len(outcomes) - 1:
            stages["when learned"] = _finite(outcomes[row], task, name)
        stages["at the end"] = _finite(outcomes[-1], task, name)
        edges = np.histogram_bin_edges(np.concatenate(list(stages.values())), BINS)
        for (stage, values), colour in zip(
            stages.items(), ("0.6", "C0", "C3"), strict=False
        ):
            filled = stage == "before"
            axes.hist(
                values,
                bins=edges,
                histtype="stepfilled" if filled else "step",
                color=colour if stage != "at the end" else "C3",
                alpha=0.5 if filled else 1.0,
                label=f"{stage} (mean {values.mean():.3g})" if len(values) else stage,
            )
        axes.set_title(task, fontsize=9)
        axes.tick_params(labelsize=7)
        axes.legend(fontsize=6, frameon=False)
    return figure


def _own_row(scores: Matrix, task: str) -> int | None:
    """Number, among all rows, of the one that ends the experience of `task`."""
    for number, row in enumerate(scores.rows):
        if row.boundary and row.experience == scores.learned.get(task):
            return number
    return None


def _finite(row: Any, task: str, name: str) -> NDArray[Any]:
    values = np.asarray(row[task][name], dtype=np.float64)
    kept: NDArray[Any] = values[np.isfinite(values)]
    return kept


def _grid(count: int, title: str) -> tuple[Figure, list[Any]]:
    rows, across = -(-count // ACROSS), min(count, ACROSS)
    figure = Figure(figsize=(3.2 * across + 1, 2.4 * rows + 0.5), layout="constrained")
    axes = figure.subplots(rows, across, squeeze=False).ravel()
    for unused in axes[count:]:
        unused.set_axis_off()
    figure.suptitle(title, fontsize=10)
    return figure, list(axes[:count])
