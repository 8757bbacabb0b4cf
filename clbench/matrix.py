"""The score matrix of a cell: every task, judged at every evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Row:
    """One evaluation of every task."""

    experience: int
    step: int
    boundary: bool
    scores: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, kw_only=True)
class Matrix:
    """All rows of a cell, row 0 before any training."""

    rows: tuple[Row, ...]
    learned: Mapping[str, int]

    @property
    def tasks(self) -> tuple[str, ...]:
        return tuple(self.rows[0].scores)

    def boundaries(self) -> tuple[Row, ...]:
        return tuple(row for row in self.rows if row.boundary)

    def array(self, metric: str = "accuracy", boundaries: bool = True) -> np.ndarray:
        rows = self.boundaries() if boundaries else self.rows
        return np.array([[r.scores[t][metric] for t in self.tasks] for r in rows])
