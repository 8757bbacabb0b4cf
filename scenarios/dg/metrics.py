"""The numbers that leaving one domain out is scored by."""

from __future__ import annotations

import numpy as np

from clbench.contract import Metric
from clbench.matrix import Matrix
from clbench.metrics.continual import forgetting_chaudhry

from .selection import LAST, ORACLE, VALIDATION, Rule

MAIN = Metric(
    name="target_accuracy",
    title="Target accuracy",
    definition=(
        "Accuracy on the training part (80 %) of the domain left out, at the "
        "evaluation selected by training-domain validation: the largest unweighted "
        "mean of the sources' held-out accuracies, the first of equal ones."
    ),
)

METRICS = (
    MAIN,
    Metric(
        name="source_accuracy",
        title="Source accuracy",
        definition=(
            "Unweighted mean accuracy on the sources' held-out parts (in-domain), "
            "at the selected evaluation."
        ),
    ),
    Metric(
        name="oracle_accuracy",
        title="Oracle",
        definition=(
            "As target accuracy, selected by the target's own held-out part "
            "(20 %): an oracle, not a result."
        ),
    ),
    Metric(
        name="last_accuracy",
        title="Last step",
        definition="As target accuracy, at the last evaluation, none selected.",
    ),
    Metric(
        name="forgetting",
        title="Forgetting",
        definition=(
            "Chaudhry et al. 2018, over the sources' held-out parts, at the ends "
            "of experiences; undefined when all sources arrive at once."
        ),
        higher_is_better=False,
    ),
    Metric(
        name="selected_step",
        title="Selected step",
        definition="Optimizer steps taken before the selected evaluation.",
        higher_is_better=None,
        percent=False,
    ),
)


def score(matrix: Matrix, target: str) -> dict[str, float]:
    """Every number of `METRICS` for one record, whose `target` was left out."""
    sources = [task for task in matrix.tasks if task != target]

    def accuracy(rule: Rule) -> float:
        row = matrix.rows[rule.choose(matrix, target)]
        return row.scores[target]["accuracy"]

    selected = matrix.rows[VALIDATION.choose(matrix, target)]
    columns = [matrix.tasks.index(task) for task in sources]
    after = matrix.array("accuracy")[1:, columns]
    learned = [matrix.learned.get(task, 1) for task in sources]
    return {
        "target_accuracy": accuracy(VALIDATION),
        "source_accuracy": float(
            np.mean([selected.scores[task]["accuracy"] for task in sources])
        ),
        "oracle_accuracy": accuracy(ORACLE),
        "last_accuracy": accuracy(LAST),
        "forgetting": forgetting_chaudhry(after, learned),
        "selected_step": float(selected.step),
    }
