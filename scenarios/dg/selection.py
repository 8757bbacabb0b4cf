"""Which evaluation of a run counts: rules that select a model, each with its name.

A rule sees a record's whole matrix and answers with a row. Which rule selected is part
of every number's definition.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from clbench.contract import Metric, Tuning
from clbench.matrix import Matrix


@dataclass(frozen=True)
class Rule:
    """A way to select a row of the matrix.

    Attributes:
        name: As boards print it.
        choose: (matrix, target) -> position of the row.
    """

    name: str
    choose: Callable[[Matrix, str], int]


def by_sources(matrix: Matrix, target: str) -> int:
    """The row with the largest unweighted mean of the sources' held-out accuracies.

    Of equal rows the first one (DomainBed's "training-domain validation"). Never looks
    at the target.
    """
    sources = [task for task in matrix.tasks if task != target]
    means = [
        np.mean([row.scores[task]["holdout"] for task in sources])
        for row in matrix.rows
    ]
    return int(np.argmax(means))


def by_target(matrix: Matrix, target: str) -> int:
    """The row with the largest accuracy on the target's held-out part: an oracle."""
    return int(np.argmax([row.scores[target]["holdout"] for row in matrix.rows]))


def last(matrix: Matrix, target: str) -> int:
    """The last row."""
    return len(matrix.rows) - 1


VALIDATION = Rule("training-domain validation", by_sources)
ORACLE = Rule("oracle", by_target)
LAST = Rule("last step", last)


def _held_out(task: str, params: Mapping[str, Any]) -> tuple[str, ...]:
    """Of a source what is held out of training; of the target nothing."""
    return () if task == params["target"] else ("holdout",)


def _best_of_sources(matrix: Matrix, first: Matrix, params: Mapping[str, Any]) -> float:
    row = matrix.rows[VALIDATION.choose(matrix, params["target"])]
    return float(np.mean([scores["holdout"] for scores in row.scores.values()]))


TUNING = Tuning(
    metric=Metric(
        name="validation",
        title="Validation",
        definition=(
            "mean of the sources' held-out accuracies over all targets, of each at the "
            "evaluation that training-domain validation selects"
        ),
    ),
    value=_best_of_sources,
    columns=_held_out,
    within=("dataset",),
)
"""How settings are chosen: the target has no column in what is compared."""
