"""Which evaluation of a run counts: rules that select a model, each with its name.

A rule sees a record's whole matrix and answers with a row. Which rule selected is part
of every number's definition.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

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
