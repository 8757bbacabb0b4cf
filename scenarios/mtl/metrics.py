"""The numbers that dense multi-task learning is scored by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from statistics import fmean
from typing import Any

from clbench.contract import Metric, Tuning
from clbench.matrix import Matrix
from clbench.metrics.dense import delta_m

from .tasks import TASKS

DELTA_M = Metric(
    name="delta_m",
    title="Δm",
    definition=(
        "Maninis et al. 2019: mean over tasks of the relative gain in each task's "
        "first number over models that each learned one task alone, signed so that "
        "more is better."
    ),
)

COMPARED: tuple[Metric, ...] = (DELTA_M,)

FORGETTING = Metric(
    name="forgetting",
    title="Forgetting",
    definition=(
        "Mean over earlier tasks of the relative loss of a task's first number from "
        "its best earlier value to the last, as measures differ in unit; undefined "
        "when all tasks arrive at once."
    ),
    higher_is_better=False,
)

METRICS: tuple[Metric, ...] = (
    *(
        replace(metric, name=f"{task}_{metric.name}")
        for task, entry in TASKS.items()
        for metric in entry.metrics
    ),
    FORGETTING,
)


def score(matrix: Matrix) -> dict[str, float]:
    """Every number of `METRICS` for one record; NaN of tasks that it lacks."""
    last = matrix.rows[-1].scores
    found = {metric.name: float("nan") for metric in METRICS}
    for task, values in last.items():
        found |= {f"{task}_{name}": value for name, value in values.items()}
    return {**found, "forgetting": forgetting(matrix)}


def forgetting(matrix: Matrix) -> float:
    """Mean relative loss on earlier tasks; see `FORGETTING`.

    NaN where one experience teaches all tasks, and where each task has a model of its
    own there is nothing to forget: 0.
    """
    rows = matrix.boundaries()
    lost = []
    for task, learned in matrix.learned.items():
        if learned == len(rows) - 1:
            continue
        main = TASKS[task].main
        values = [row.scores[task][main.name] for row in rows]
        since = values[learned:-1]
        best = max(since) if main.higher_is_better else min(since)
        sign = 1 if main.higher_is_better else -1
        lost.append(sign * (best - values[-1]) / best if best else 0.0)
    return fmean(lost) if lost else float("nan")


def gain(matrix: Matrix, other: Matrix) -> float:
    """Delta-m of the last row of `matrix` over that of `other`; see `DELTA_M`.

    NaN where a task's number there is 0, of which nothing is a part.
    """
    mains = {task: TASKS[task].main for task in matrix.tasks}
    last, base = matrix.rows[-1].scores, other.rows[-1].scores
    before = {task: base[task][main.name] for task, main in mains.items()}
    if not all(before.values()):
        return float("nan")
    return delta_m(
        {task: last[task][main.name] for task, main in mains.items()},
        before,
        {task: bool(main.higher_is_better) for task, main in mains.items()},
    )


def _over_first(matrix: Matrix, first: Matrix, params: Mapping[str, Any]) -> float:
    return gain(matrix, first)


TUNING = Tuning(
    metric=Metric(
        name="gain",
        title="Gain",
        definition=(
            "mean relative gain of the tasks' first numbers over the search's first "
            "trial, on held-out training pictures"
        ),
    ),
    value=_over_first,
    fixed={"judged_on": "validation"},
    within=("dataset",),
)
"""Measures differ in unit, so that a mean needs something to compare each with."""
