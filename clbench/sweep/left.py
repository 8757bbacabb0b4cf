"""How long a sweep still takes, from what it has done."""

from __future__ import annotations

import time
from collections.abc import Sequence
from statistics import fmean

from clbench.sweep.driver import Task

ENOUGH = 0.1
"""Part of a cell that must be done before its speed says how long it takes."""


def seconds_left(tasks: Sequence[Task], workers: int) -> float | None:
    """Seconds until all `tasks` are done; None while nothing says.

    A cell that has not begun takes as long as those of its scenario and strategy did
    here, or those of its scenario, or all.
    """
    known = [(task, length) for task in tasks if (length := _length(task)) is not None]
    if not known:
        return None
    work = longest = 0.0
    for task in tasks:
        if task.state in ("waiting", "running"):
            rest = (1 - task.part) * _expected(task, known)
            work, longest = work + rest, max(longest, rest)
    return max(work / workers, longest)


def _length(task: Task) -> float | None:
    """How long a cell takes; None where nothing says."""
    if task.state == "done":
        return task.seconds if task.ran and task.record is not None else None
    if task.state == "running" and task.part > ENOUGH:
        return (time.monotonic() - task.begun) / task.part
    return None


def _expected(task: Task, known: Sequence[tuple[Task, float]]) -> float:
    cell = task.cell
    like = [s for t, s in known if t.cell.scenario.name == cell.scenario.name]
    very = [
        s
        for t, s in known
        if (t.cell.scenario.name, t.cell.name) == (cell.scenario.name, cell.name)
    ]
    return fmean(very or like or [s for _, s in known])
