"""What boards of a stream of tasks say, whatever the tasks are scored by."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from clbench.contract import Metric
from clbench.matrix import Matrix
from clbench.metrics import continual

Array = NDArray[np.floating]


CALIBRATION_ERROR = Metric(
    name="calibration_error",
    title="ECE",
    definition=(
        "Expected calibration error (15 bins of equal width), mean over all tasks "
        "after the last experience."
    ),
    higher_is_better=False,
)


def intransigence(score: str) -> Metric:
    """What `beside_joint` gives, of tasks whose number is called `score`."""
    return Metric(
        name="intransigence",
        title="Intransigence",
        definition=(
            f"Chaudhry et al. 2018: mean over tasks of the {score} of a model that "
            f"learned all tasks at once (the same strategy's where there is one, else "
            f"the best) less that when just learned; can be negative."
        ),
        higher_is_better=False,
    )


def after(matrix: Matrix, metric: str) -> tuple[Array, list[int]]:
    """(E, T) scores after each experience, and the experience that taught each task.

    Row 0 of the matrix, before any training, is left out.

    Args:
        matrix: Of one record.
        metric: Name of the score, the same for all tasks.
    """
    learned = [matrix.learned[task] for task in matrix.tasks]
    return matrix.array(metric)[1:], learned


def retention(R: Array, learned: list[int]) -> dict[str, float]:
    """`forgetting` and `backward_transfer`: what became of tasks learned earlier."""
    return {
        "forgetting": continual.forgetting_chaudhry(R, learned),
        "backward_transfer": continual.backward_transfer(R, learned),
    }


def beside_joint(matrix: Matrix, bound: Matrix, metric: str) -> dict[str, float]:
    """`intransigence` of a sequence beside a model that learned all tasks at once.

    Args:
        matrix: Of the sequence.
        bound: Of the joint training; its tasks may stand in another order.
        metric: Name of the score.
    """
    R, learned = after(matrix, metric)
    columns = [bound.tasks.index(task) for task in matrix.tasks]
    joint = bound.array(metric)[-1][columns]
    return {"intransigence": continual.intransigence(R, joint, learned)}
