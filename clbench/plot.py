"""Pictures of a record: its matrix, accuracy over the stream, ranks by layer."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from clbench.matrix import Matrix
from clbench.record import Record

METRIC = "accuracy"

RANK = "rank/"
"""Beginning of the names under which strategies log what rank they gave a map."""

FORMATS = ("png", "svg")


def write_plots(record: Record, stem: Path) -> list[Path]:
    """Write every picture of `record` as PNG and SVG.

    Args:
        record: One that has rows.
        stem: Path of the files, to which `.matrix.png` and the like are added.

    Returns:
        What was written.
    """
    written = []
    for name, figure in figures(record).items():
        for form in FORMATS:
            path = stem.with_name(f"{stem.name}.{name}.{form}")
            # Without a date, so that equal records give equal files.
            facts = {"Date": None} if form == "svg" else {}
            figure.savefig(path, format=form, dpi=150, metadata=facts)
            written.append(path)
    return written


def figures(record: Record) -> dict[str, Figure]:
    """`matrix` and `stream`; `ranks` where the strategy logged them."""
    made = {
        "matrix": matrix(record.matrix(), _title(record)),
        "stream": stream(record.matrix(), _title(record)),
    }
    if ranks_of(record):
        made["ranks"] = ranks(record)
    return made


def matrix(scores: Matrix, title: str) -> Figure:
    """The score matrix as a heat map; a frame marks when a task was learned."""
    values = 100 * scores.array(METRIC)
    tasks = scores.tasks
    figure, axes = _figure(1.6 + 0.8 * len(tasks), 1.6 + 0.45 * len(values))
    axes.imshow(values, vmin=0, vmax=100, cmap="viridis", aspect="auto")
    axes.set_xticks(range(len(tasks)), tasks, rotation=30, ha="right")
    axes.set_yticks(range(len(values)), _stages(scores))
    for (i, j), value in np.ndenumerate(values):
        dark = value < 60
        axes.text(
            j, i, f"{value:.0f}", ha="center", va="center",
            color="white" if dark else "black",
        )  # fmt: skip
    for j, task in enumerate(tasks):
        row = _learned_row(scores, task)
        if row is not None:
            axes.add_patch(_frame(j, row))
    axes.set_title(title)
    axes.set_xlabel("accuracy on, %")
    axes.set_ylabel("after")
    return figure


def stream(scores: Matrix, title: str) -> Figure:
    """Accuracy on each task over the stream; a dot marks when it was learned."""
    values = 100 * scores.array(METRIC)
    figure, axes = _figure(6.4, 4.0)
    for j, task in enumerate(scores.tasks):
        (line,) = axes.plot(values[:, j], label=task, linewidth=1.5)
        row = _learned_row(scores, task)
        if row is not None:
            axes.plot(row, values[row, j], "o", color=line.get_color())
    axes.set_xticks(range(len(values)), _stages(scores), rotation=30, ha="right")
    axes.set_ylim(0, 101)
    axes.set_ylabel("accuracy, %")
    axes.set_title(title)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    return figure


def ranks(record: Record) -> Figure:
    """Mean rank of each map over experiences: roles down, blocks across, by tower."""
    groups = ranks_of(record)
    top = max(value for cells in groups.values() for value in cells.values())
    width = max(len({block for _, block in cells}) for cells in groups.values())
    figure = Figure(
        figsize=(2.5 + 0.5 * width, 0.8 + 2.2 * len(groups)), layout="constrained"
    )
    for axes, (tower, cells) in zip(
        figure.subplots(len(groups), 1, squeeze=False)[:, 0],
        groups.items(),
        strict=True,
    ):
        roles = list(dict.fromkeys(role for role, _ in cells))
        blocks = sorted({block for _, block in cells})
        values = np.array([[cells.get((r, b), np.nan) for b in blocks] for r in roles])
        axes.imshow(values, vmin=0, vmax=top, cmap="viridis", aspect="auto")
        axes.set_xticks(range(len(blocks)), blocks)
        axes.set_yticks(range(len(roles)), roles)
        for (i, j), value in np.ndenumerate(values):
            axes.text(
                j, i, f"{value:.1f}", ha="center", va="center", fontsize=7,
                color="white" if value < 0.6 * top else "black",
            )  # fmt: skip
        axes.set_title(f"{tower}: mean rank", fontsize=9)
        axes.set_xlabel("block")
    figure.suptitle(_title(record), fontsize=10)
    return figure


def ranks_of(record: Record) -> dict[str, dict[tuple[str, int], float]]:
    """Tower -> (role, block) -> mean rank, of what the strategy logged."""
    found: dict[str, dict[tuple[str, int], list[float]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for name, entries in record.log.items():
        place = re.fullmatch(rf"{RANK}(.*?)\.?(\d+)\.(.*)\.(\w+)", name)
        if place is not None:
            tower, block, _, role = place.groups()
            found[tower][role, int(block)] += [value for _, value in entries]
    return {
        tower: {where: fmean(values) for where, values in cells.items()}
        for tower, cells in found.items()
    }


def _figure(width: float, height: float) -> tuple[Figure, Any]:
    # Not through pyplot, which keeps every figure and picks a screen to show it on.
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def _frame(column: int, row: int) -> Any:
    from matplotlib.patches import Rectangle

    corner = (column - 0.5, row - 0.5)
    return Rectangle(corner, 1, 1, fill=False, edgecolor="red", linewidth=2)


def _stages(scores: Matrix) -> Sequence[str]:
    """Names of the rows: what was learned last."""
    names = ["start"]
    for number in range(1, len(scores.boundaries())):
        tasks = [task for task, when in scores.learned.items() if when == number]
        names.append("+".join(tasks) if 0 < len(tasks) <= 2 else f"part {number}")
    return names


def _learned_row(scores: Matrix, task: str) -> int | None:
    return scores.learned.get(task)


def _title(record: Record) -> str:
    card = record.scenario.card
    return (
        f"{record.strategy.name} on {record.scenario.name} "
        f"({card.data}), seed {record.seed}"
    )
