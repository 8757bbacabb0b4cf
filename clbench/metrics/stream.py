"""What boards of a stream of tasks say, whatever the tasks are scored by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clbench.contract import Metric, Tuning
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


def tuning(
    score: str,
    data: str,
    *,
    within: tuple[str, ...],
    usual: Mapping[str, Any] | None = None,
) -> Tuning:
    """Settings are chosen by the mean over tasks at the end, on held-out training data.

    For scenarios that hold them out with `judged_on=validation`, and that can have all
    tasks arrive at once: what is chosen so has seen no order of tasks.

    Args:
        score: Name of the number that stands for a task in its rows.
        data: What is held out, such as `training images`.
        within: See `Tuning`.
        usual: Further parameters of a search.
    """

    def mean(matrix: Matrix, first: Matrix, params: Mapping[str, Any]) -> float:
        return float(matrix.array(score)[-1].mean())

    return Tuning(
        metric=Metric(
            name="validation",
            title="Validation",
            definition=f"mean {score} over all tasks at the end, on held-out {data}",
        ),
        value=mean,
        fixed={"judged_on": "validation"},
        usual={"arrival": "joint", **(usual or {})},
        within=within,
    )
