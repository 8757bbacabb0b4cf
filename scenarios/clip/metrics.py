"""The numbers that a stream of tasks is scored by."""

from __future__ import annotations

from clbench.contract import Metric
from clbench.matrix import Matrix
from clbench.metrics import continual, stream
from clbench.metrics.stream import CALIBRATION_ERROR, intransigence, tuning

MAIN = Metric(
    name="last",
    title="Last",
    definition="MTIL's Last: mean accuracy over all tasks after the last experience.",
)

METRICS: tuple[Metric, ...] = (
    MAIN,
    Metric(
        name="average",
        title="Average",
        definition=(
            "MTIL's Average: mean accuracy over all tasks, seen and unseen, and over "
            "all stages after the first experience."
        ),
    ),
    Metric(
        name="transfer",
        title="Transfer",
        definition=(
            "MTIL's Transfer: for each task but the first the mean accuracy over the "
            "stages before it was learned, then the mean over tasks; undefined when "
            "all tasks arrive at once."
        ),
    ),
    Metric(
        name="forgetting",
        title="Forgetting",
        definition=(
            "Chaudhry et al. 2018: mean over old tasks of the best earlier accuracy "
            "less the last one; undefined when all tasks arrive at once."
        ),
        higher_is_better=False,
    ),
    Metric(
        name="backward_transfer",
        title="BWT",
        definition=(
            "Lopez-Paz and Ranzato 2017: mean over old tasks of the last accuracy less "
            "that when just learned."
        ),
    ),
    Metric(
        name="learning_accuracy",
        title="Learning accuracy",
        definition="Mean accuracy on each task when just learned: plasticity.",
    ),
    Metric(
        name="zero_shot",
        title="Zero-shot",
        definition="Mean accuracy over all tasks before any training.",
    ),
    CALIBRATION_ERROR,
)

COMPARED: tuple[Metric, ...] = (intransigence("accuracy"),)

TUNING = tuning("accuracy", "training images", within=("dataset",))


def score(matrix: Matrix) -> dict[str, float]:
    """Every number of `METRICS` for one record."""
    R, learned = stream.after(matrix, "accuracy")
    return {
        "last": continual.mtil_last(R),
        "average": continual.mtil_average(R),
        "transfer": continual.mtil_transfer(R, learned),
        **stream.retention(R, learned),
        "learning_accuracy": continual.learning_accuracy(R, learned),
        "zero_shot": float(matrix.array("accuracy")[0].mean()),
        "calibration_error": float(matrix.array("calibration_error")[-1].mean()),
    }
