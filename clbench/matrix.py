"""The score matrix of a cell: every task, judged at every evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Row:
    """One evaluation of every task.

    Attributes:
        experience: Experiences learned before it.
        step: Optimizer steps taken before it, over the whole stream.
        boundary: Whether it ends an experience; so does the one before training.
        scores: Task -> metric -> value; NaN where a metric is not defined.
    """

    experience: int
    step: int
    boundary: bool
    scores: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, kw_only=True)
class Matrix:
    """All rows of a cell, row 0 before any training.

    Attributes:
        rows: In the order of evaluation.
        learned: Task -> number of the experience, from 1, that teaches it first; a
            task that no experience teaches is not in it.
    """

    rows: tuple[Row, ...]
    learned: Mapping[str, int]

    @property
    def tasks(self) -> tuple[str, ...]:
        """T names, the columns."""
        return tuple(self.rows[0].scores)

    def boundaries(self) -> tuple[Row, ...]:
        """The row before training and those that end an experience: E + 1."""
        return tuple(row for row in self.rows if row.boundary)

    def column(self, metric: str, task: int) -> NDArray[np.float64]:
        """(E + 1,) one metric of the task at position `task`, at the boundaries."""
        name = self.tasks[task]
        values = [row.scores[name][metric] for row in self.boundaries()]
        return np.array(values, dtype=np.float64)

    def array(
        self, metric: str = "accuracy", boundaries: bool = True
    ) -> NDArray[np.float64]:
        """(rows, T) one metric of every task.

        Args:
            metric: Its name in the rows.
            boundaries: Whether rows within experiences are left out.
        """
        rows = self.boundaries() if boundaries else self.rows
        values = [[row.scores[task][metric] for task in self.tasks] for row in rows]
        return np.array(values, dtype=np.float64)
