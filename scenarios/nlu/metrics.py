"""The numbers that a stream of text tasks is scored by."""

from __future__ import annotations

from clbench.contract import Metric
from clbench.matrix import Matrix
from clbench.metrics import continual, stream
from clbench.metrics.stream import CALIBRATION_ERROR, intransigence, tuning

from .tasks import NUMBERS, TASKS, Form

MAIN = Metric(
    name="last",
    title="Last",
    definition=(
        "Mean over all tasks of a task's score after the last experience, as GLUE "
        "averages: Matthews correlation of acceptability, accuracy, and of paraphrases "
        "the mean of F1 and accuracy."
    ),
)

TITLES = {"matthews": "Matthews", "accuracy": "accuracy", "f1": "F1"}

FORMS: tuple[tuple[Form, str], ...] = tuple(
    (form, number) for form, numbers in NUMBERS.items() for number in numbers
)

METRICS: tuple[Metric, ...] = (
    MAIN,
    *(
        Metric(
            name=f"{form}_{number}",
            title=f"{form.capitalize()} {TITLES[number]}",
            definition=f"{TITLES[number]} on the {form} task at the end.",
        )
        for form, number in FORMS
    ),
    Metric(
        name="forgetting",
        title="Forgetting",
        definition=(
            "Chaudhry et al. 2018: mean over old tasks of the best earlier score less "
            "the last one; undefined when all tasks arrive at once."
        ),
        higher_is_better=False,
    ),
    Metric(
        name="backward_transfer",
        title="BWT",
        definition=(
            "Lopez-Paz and Ranzato 2017: mean over old tasks of the last score less "
            "that when just learned."
        ),
    ),
    Metric(
        name="learned",
        title="Learned",
        definition="Mean score on each task when just learned: plasticity.",
    ),
    CALIBRATION_ERROR,
)

COMPARED: tuple[Metric, ...] = (intransigence("score"),)

TUNING = tuning("score", "training texts", within=("backbone",))


def score(matrix: Matrix) -> dict[str, float]:
    """Every number of `METRICS` for one record; NaN of tasks that it lacks."""
    R, learned = stream.after(matrix, "score")
    last = matrix.rows[-1].scores
    own = {f"{form}_{number}": float("nan") for form, number in FORMS}
    for task, values in last.items():
        form = TASKS[task].form
        own |= {f"{form}_{number}": values[number] for number in NUMBERS[form]}
    return {
        "last": continual.average_accuracy(R),
        **own,
        **stream.retention(R, learned),
        "learned": continual.learning_accuracy(R, learned),
        "calibration_error": float(matrix.array("calibration_error")[-1].mean()),
    }
