"""How well labels are predicted: accuracy, F1, Matthews correlation, as in GLUE.

Predictions and labels are (N,) whole numbers from 0.
"""

from __future__ import annotations

import torch
from torch import Tensor


def accuracy(prediction: Tensor, label: Tensor) -> float:
    """Part of the labels that are predicted."""
    return float((prediction == label).double().mean())


def f1(prediction: Tensor, label: Tensor) -> float:
    """Harmonic mean of precision and recall of label 1; 0 where neither has a value."""
    from torchmetrics.functional.classification import binary_f1_score

    return float(binary_f1_score(prediction == 1, label == 1, zero_division=0))


def matthews(prediction: Tensor, label: Tensor) -> float:
    """Correlation of prediction and label; 0 where one of them is constant.

    With C the confusion matrix, s its sum, c its trace, t and p the sums of its rows
    and columns: (c s - t . p) / sqrt((s^2 - p . p)(s^2 - t . t)).
    torchmetrics' own gives 1 or -1 where both are constant.
    """
    from torchmetrics.functional.classification import multiclass_confusion_matrix

    count = int(torch.stack([prediction.max(), label.max()]).max()) + 1
    C = multiclass_confusion_matrix(prediction, label, max(2, count)).double()
    s, c, t, p = C.sum(), C.trace(), C.sum(1), C.sum(0)
    below = ((s * s - p @ p) * (s * s - t @ t)).sqrt()
    return float((c * s - t @ p) / below) if below > 0 else 0.0
