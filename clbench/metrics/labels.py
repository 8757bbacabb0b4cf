"""How well labels are predicted: accuracy, F1, Matthews correlation, as in GLUE.

Predictions and labels are (N,) whole numbers from 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True)
class Meaning:
    """What a number about predicted labels is.

    Attributes:
        formula: With TP, FP, FN, TN of label 1.
        source: Where it comes from.
        undefined: Why it may have no value, and what is given then.
    """

    formula: str
    source: str
    undefined: str = ""


MEANINGS: dict[str, Meaning] = {
    "accuracy": Meaning("(TP + TN) / N", "GLUE: SST-2, MRPC, RTE"),
    "f1": Meaning(
        "2 TP / (2 TP + FP + FN), of label 1",
        "van Rijsbergen 1979; GLUE: MRPC",
        "no positive label and none predicted: 0",
    ),
    "matthews": Meaning(
        "(TP TN - FP FN) / sqrt((TP + FP)(TP + FN)(TN + FP)(TN + FN))",
        "Matthews 1975; for more labels Gorodkin 2004; GLUE: CoLA",
        "only one label predicted, or only one there: 0, as scikit-learn has it",
    ),
}


def accuracy(prediction: ArrayLike, label: ArrayLike) -> float:
    """Part of the labels that are predicted."""
    return float(np.mean(np.asarray(prediction) == np.asarray(label)))


def f1(prediction: ArrayLike, label: ArrayLike) -> float:
    """Harmonic mean of precision and recall of label 1; 0 where neither has a value."""
    from sklearn.metrics import f1_score

    found = f1_score(np.asarray(label), np.asarray(prediction), zero_division=0)
    return float(found)


def matthews(prediction: ArrayLike, label: ArrayLike) -> float:
    """Correlation of prediction and label; 0 where one of them is constant."""
    from sklearn.metrics import matthews_corrcoef

    return float(matthews_corrcoef(np.asarray(label), np.asarray(prediction)))
