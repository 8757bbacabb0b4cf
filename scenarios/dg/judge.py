"""Predictions of a model for the pictures of a domain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from clbench.contract import Result

from .datasets import Domain

BATCH = 256


def judge(
    model: nn.Module,
    domain: Domain,
    *,
    reported: NDArray[np.int64],
    holdout: NDArray[np.int64],
    number: int | None = None,
) -> Result:
    """Accuracy on two parts of a domain, which may be the same one.

    Args:
        model: In evaluation mode, on its device.
        domain: Whose pictures.
        reported: Rows of the metric `accuracy`.
        holdout: Rows of the metric `holdout`.
        number: Position of the domain among the sources; None for the target, which
            the model is told nothing of.
    """
    same = reported is holdout
    rows = reported if same else np.concatenate([reported, holdout])
    outcomes = _predict(model, domain, rows, number)
    correct = outcomes["prediction"] == outcomes["label"]
    first, rest = correct[: len(reported)], correct[0 if same else len(reported) :]
    return Result(
        metrics={"accuracy": float(first.mean()), "holdout": float(rest.mean())},
        outcomes={
            **outcomes,
            "row": rows.astype(np.int32),
            "reported": (np.arange(len(rows)) < len(reported)).astype(np.uint8),
        },
    )


@torch.inference_mode()
def _predict(
    model: nn.Module, domain: Domain, rows: NDArray[np.int64], number: int | None
) -> Mapping[str, Any]:
    device = next(model.parameters()).device
    predictions, confidences = [], []
    for start in range(0, len(rows), BATCH):
        pictures = domain.pictures[rows[start : start + BATCH]]
        batch = {"image": torch.from_numpy(pictures).to(device)}
        if number is not None:
            batch["domain"] = torch.full((len(pictures),), number, device=device)
        logits = model(batch)
        confidence, prediction = logits.float().softmax(-1).max(-1)
        predictions.append(prediction.cpu().numpy())
        confidences.append(confidence.cpu().numpy())
    return {
        "prediction": np.concatenate(predictions),
        "confidence": np.concatenate(confidences),
        "label": domain.labels[rows],
    }
