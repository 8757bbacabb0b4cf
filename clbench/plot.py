"""Pictures of a record: its matrix, scores over the stream, ranks, predictions.

How outcomes are spread, and every further number, are in `clbench.panels`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from clbench import drawn, growth, panels, registry
from clbench.contract import InputError, Metric, Scenario
from clbench.inside import inside
from clbench.matrix import Matrix
from clbench.outcomes import Outcomes, Pictures
from clbench.record import Record

RANK = "rank/"
"""Beginning of the names under which strategies log what rank they gave a map.

Once an experience, as it ends; how a rank moves meanwhile is logged as `growth.GROWTH`.
"""

FORMATS = ("png", "svg")


def write_plots(
    record: Record,
    stem: Path,
    shown: Pictures | None = None,
    outcomes: Outcomes = (),
) -> list[Path]:
    """Write every picture of `record` as PNG and SVG.

    Args:
        record: One that has rows.
        stem: Path of the files, to which `.matrix.png` and the like are added.
        shown: The examples that lie beside the record, if there are.
        outcomes: Of every row, if they lie beside the record.

    Returns:
        What was written.
    """
    written = []
    made = figures(record)
    for name in panels.real(outcomes):
        made[f"outcomes-{name}"] = panels.distributions(
            outcomes, name, record.matrix(), _title(record)
        )
    if shown:
        made["examples"] = examples(shown, _title(record))
    for name, figure in made.items():
        for form in FORMATS:
            path = inside(stem.parent, f"{stem.name}.{name}.{form}")
            drawn.save(figure, path, form)
            written.append(path)
    return written


def figures(record: Record) -> dict[str, Figure]:
    """`matrix` and `stream`, and what the record has more to show.

    `measures` where there are more numbers; `ranks` and `growth` where the strategy
    logged them.
    """
    scores, found, title = record.matrix(), Headlines.of(record), _title(record)
    made = {
        "matrix": matrix(scores, found, title),
        "stream": stream(scores, found, title),
    }
    more = panels.common(scores, [metric.name for metric in found.metrics])
    if more:
        made["measures"] = panels.measures(scores, more, _stages(scores), title)
    if ranks_of(record):
        made["ranks"] = ranks(record)
    if (moves := growth.Growth.of(record.log)) is not None:
        ends = [row.step for row in record.rows if row.boundary]
        made["growth"] = growth.growth(moves, ends, title)
    return made


@dataclass(frozen=True)
class Headlines:
    """How good a model is at each task, in the task's own measure.

    Attributes:
        metrics: Of each task.
        values: (rows, T), percent where the metric is a part of 1.
        shares: (rows, T) in [0, 1]: the value itself where it is a part of 1, else how
            near it is to the task's best.
        label: What axes call them.
    """

    metrics: Sequence[Metric]
    values: NDArray[np.float64]
    shares: NDArray[np.float64]
    label: str

    @classmethod
    def of(cls, record: Record) -> Headlines:
        """Those of `record`, by its scenario; accuracy where that is not installed."""
        scores = record.matrix()
        headline = Scenario.headline
        with suppress(InputError):
            headline = registry.load("scenario", record.scenario.name).headline
        metrics = [headline(task) for task in scores.tasks]
        columns, shares = [], []
        for place, metric in enumerate(metrics):
            column = scores.column(metric.name, place)
            columns.append(100 * column if metric.percent else column)
            shares.append(column if metric.percent else _nearness(column, metric))
        same = len({metric.name for metric in metrics}) == 1 and metrics[0].percent
        label = f"{metrics[0].title.lower()}, %" if same else "own measure"
        return cls(metrics, np.stack(columns, 1), np.stack(shares, 1), label)


def _nearness(column: NDArray[np.float64], metric: Metric) -> NDArray[np.float64]:
    """Best over value, or value over best where more is better."""
    best = column.max() if metric.higher_is_better else column.min()
    ratio = column / best if metric.higher_is_better else best / column
    nearness: NDArray[np.float64] = np.nan_to_num(np.clip(ratio, 0, 1))
    return nearness


def matrix(scores: Matrix, found: Headlines, title: str) -> Figure:
    """The score matrix as a heat map; a frame marks when a task was learned."""
    tasks = scores.tasks
    figure, axes = _figure(1.6 + 0.8 * len(tasks), 1.6 + 0.45 * len(found.values))
    axes.imshow(found.shares, vmin=0, vmax=1, cmap="viridis", aspect="auto")
    names = [
        task if metric.percent else f"{task}\n({metric.title})"
        for task, metric in zip(tasks, found.metrics, strict=True)
    ]
    axes.set_xticks(range(len(tasks)), names, rotation=30, ha="right")
    axes.set_yticks(range(len(found.values)), _stages(scores))
    for (i, j), value in np.ndenumerate(found.values):
        text = f"{value:.0f}" if found.metrics[j].percent else f"{value:.3g}"
        dark = found.shares[i, j] < 0.6
        axes.text(
            j, i, text, ha="center", va="center", color="white" if dark else "black"
        )
    for j, task in enumerate(tasks):
        row = _learned_row(scores, task)
        if row is not None:
            axes.add_patch(_frame(j, row))
    axes.set_title(title)
    axes.set_xlabel(f"{found.label}, of" if "%" not in found.label else found.label)
    axes.set_ylabel("after")
    return figure


def stream(scores: Matrix, found: Headlines, title: str) -> Figure:
    """How good each task is over the stream; a dot marks when it was learned."""
    values = 100 * found.shares
    figure, axes = _figure(6.4, 4.0)
    for j, task in enumerate(scores.tasks):
        (line,) = axes.plot(values[:, j], label=task, linewidth=1.5)
        row = _learned_row(scores, task)
        if row is not None:
            axes.plot(row, values[row, j], "o", color=line.get_color())
    axes.set_xticks(range(len(values)), _stages(scores), rotation=30, ha="right")
    axes.set_ylim(0, 101)
    mixed = "%" not in found.label
    axes.set_ylabel("% (of the best, where not a part of 1)" if mixed else found.label)
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


def examples(shown: Pictures, title: str) -> Figure:
    """A few examples, one in each row: input, then what was asked and answered.

    Args:
        shown: Task -> name -> (N, S, S, 3). What all tasks have alike is shown once.
        title: Above all.
    """
    columns: dict[str, NDArray[np.uint8]] = {}
    for task, arrays in shown.items():
        for name, pictures in arrays.items():
            first = next(iter(shown.values())).get(name)
            alike = first is not None and np.array_equal(first, pictures)
            columns[name if alike and name == "input" else f"{task}\n{name}"] = pictures
    rows = max(len(pictures) for pictures in columns.values())
    figure = Figure(
        figsize=(1.3 * len(columns), 1.3 * rows + 0.7), layout="constrained"
    )
    grid = figure.subplots(rows, len(columns), squeeze=False)
    for column, (name, pictures) in enumerate(columns.items()):
        grid[0, column].set_title(name, fontsize=8)
        for row in range(rows):
            grid[row, column].set_axis_off()
            if row < len(pictures):
                grid[row, column].imshow(pictures[row], interpolation="nearest")
    figure.suptitle(title, fontsize=10)
    return figure


def ranks_of(record: Record) -> dict[str, dict[tuple[str, int], float]]:
    """Tower -> (role, block) -> mean rank, of what the strategy logged."""
    found: dict[str, dict[tuple[str, int], list[float]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for name, entries in record.log.items():
        place = re.fullmatch(rf"{RANK}(.*?)\.?(\d+)\.(.*)\.(\w+)", name)
        values = [value for _, value in entries if value is not None]
        if place is not None and values:
            tower, block, _, role = place.groups()
            found[tower][role, int(block)] += values
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
