"""Scores of every task on the texts that judge."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean

import torch
from torch import Tensor, nn

from clbench.contract import Result
from clbench.metrics.labels import accuracy, f1, matthews

from .parts import Tokens
from .tasks import NUMBERS, TASKS, Form

BATCH = 128
"""Texts that are judged at once."""

BINS = 15
"""Of the expected calibration error."""


def judge(model: nn.Module, parts: Mapping[str, Tokens]) -> dict[str, Result]:
    """How good `model` is at every task.

    Args:
        model: In evaluation mode, on its device.
        parts: Task -> the texts that judge, in the order of the stream.
    """
    return {
        name: result(logits(model, tokens, number), tokens.label, TASKS[name].form)
        for number, (name, tokens) in enumerate(parts.items())
    }


@torch.inference_mode()
def logits(model: nn.Module, tokens: Tokens, number: int) -> Tensor:
    """(N, C) of all texts, on the CPU, computed in the order of their lengths."""
    device = next(model.parameters()).device
    order = tokens.lengths.argsort(stable=True)
    made = []
    for rows in order.split(BATCH):
        batch = {name: values[rows] for name, values in tokens.inputs.items()}
        batch["task"] = torch.full((len(rows),), number)
        made.append(model({k: v.to(device) for k, v in batch.items()}).float().cpu())
    return torch.cat(made)[order.argsort()]


def result(logits: Tensor, label: Tensor, form: Form) -> Result:
    """GLUE's numbers for a task of this form, calibration error and outcomes.

    Args:
        logits: (N, C).
        label: (N,).
        form: Of the task.
    """
    from torchmetrics.functional.classification import multiclass_calibration_error

    confidence, prediction = logits.softmax(-1).max(-1)
    found = {"accuracy": accuracy(prediction, label)}
    if "matthews" in NUMBERS[form]:
        found["matthews"] = matthews(prediction, label)
    if "f1" in NUMBERS[form]:
        found["f1"] = f1(prediction, label)
    error = multiclass_calibration_error(
        logits, label, num_classes=logits.shape[1], n_bins=BINS, norm="l1"
    )
    return Result(
        metrics={
            "score": fmean(found[name] for name in NUMBERS[form]),
            **found,
            "calibration_error": float(error),
        },
        outcomes={
            "prediction": prediction.numpy(),
            "confidence": confidence.numpy(),
            "label": label.numpy(),
        },
    )
