"""How good dense predictions are, gathered picture batch by picture batch; delta-m.

Definitions follow the released evaluation of MTLoRA and its predecessors where they
are sound; `docs/scenarios/mtl.md` says where they are not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

IGNORED = 255
"""Label of a pixel that does not count."""

EDGE_WEIGHT = 0.95
"""Weight of edge pixels in the balanced cross-entropy of edges."""

THRESHOLDS = tuple(round(0.2 + 0.05 * step, 2) for step in range(15))
"""Of saliency: 0.2 to 0.9."""

BIN = 0.01
"""Degrees of a bin of the histogram that the median angle is read from."""

EPS = 1e-12


class Meter(Protocol):
    """Gathers predictions and labels of a task, and says how good they are."""

    def add(self, prediction: Tensor, label: Tensor) -> None:
        """One more batch: (B, K, S, S) raw outputs, and labels as losses take them."""

    def value(self) -> dict[str, float]:
        """Named numbers over all that was added."""


class Segmentation:
    """Mean intersection over union of classes, pooled over all pixels.

    A class that neither occurs nor is predicted counts as 0, as in the released code.

    Args:
        classes: K.
    """

    def __init__(self, classes: int) -> None:
        self._classes = classes
        self._counts = torch.zeros(classes, classes, dtype=torch.int64)

    def add(self, prediction: Tensor, label: Tensor) -> None:
        """Label (B, S, S), 255 ignored."""
        from torchmetrics.functional.classification import multiclass_confusion_matrix

        self._counts += multiclass_confusion_matrix(
            prediction.argmax(1),
            label,
            num_classes=self._classes,
            ignore_index=IGNORED,
        ).cpu()

    def value(self) -> dict[str, float]:
        """`miou`, in [0, 1]."""
        hit = self._counts.diagonal().double()
        union = self._counts.sum(0) + self._counts.sum(1) - hit
        return {"miou": float((hit / union.clamp_min(1)).mean())}


class Saliency:
    """The best of 15 thresholds: mean IoU of pictures, F of mean precision and recall.

    The F-measure weighs precision and recall alike, as the released code does.
    """

    def __init__(self) -> None:
        self._sums = torch.zeros(3, len(THRESHOLDS), dtype=torch.float64)
        self._pictures = 0

    def add(self, prediction: Tensor, label: Tensor) -> None:
        """Logits (B, 1, S, S); label (B, 1, S, S) 0 or 1, 255 ignored."""
        valid = label != IGNORED
        truth = (label > 0.5) & valid
        chance = prediction.sigmoid()
        for place, threshold in enumerate(THRESHOLDS):
            said = (chance > threshold) & valid
            both = (said & truth).flatten(1).sum(1).double()
            either = (said | truth).flatten(1).sum(1)
            found = said.flatten(1).sum(1)
            there = truth.flatten(1).sum(1)
            parts = (_ratio(both, either), _ratio(both, found), _ratio(both, there))
            self._sums[:, place] += torch.stack([p.sum() for p in parts]).cpu()
        self._pictures += len(label)

    def value(self) -> dict[str, float]:
        """`miou` and `max_f`, in [0, 1]."""
        iou, precision, recall = self._sums / max(1, self._pictures)
        f = 2 * precision * recall / (precision + recall).clamp_min(EPS)
        return {"miou": float(iou.max()), "max_f": float(f.max())}


class Normals:
    """Angles between predicted and true surface normals, over all valid pixels."""

    def __init__(self) -> None:
        self._angles = torch.zeros(round(180 / BIN) + 1, dtype=torch.int64)
        self._sum = self._squares = 0.0
        self._within = torch.zeros(3, dtype=torch.int64)
        self._pixels = 0

    def add(self, prediction: Tensor, label: Tensor) -> None:
        """Prediction of any length and unit label, (B, 3, S, S); 255 ignored."""
        valid = (label != IGNORED).all(1)
        unit = F.normalize(prediction.double(), dim=1, eps=EPS)
        truth = F.normalize(label.double(), dim=1, eps=EPS)
        cosine = (unit * truth).sum(1)[valid].clamp(-1, 1)
        angles = torch.rad2deg(torch.acos(cosine)).cpu()
        self._angles += torch.bincount(
            (angles / BIN).round().long(), minlength=len(self._angles)
        )
        self._sum += float(angles.sum())
        self._squares += float(angles.square().sum())
        limits = torch.tensor([11.25, 22.5, 30.0])
        self._within += (angles[:, None] < limits).sum(0)
        self._pixels += len(angles)

    def value(self) -> dict[str, float]:
        """`mean`, `median` and `root_mean_square` in degrees, parts within three."""
        count = max(1, self._pixels)
        middle = torch.searchsorted(self._angles.cumsum(0), (count + 1) // 2)
        near = (self._within / count).tolist()
        return {
            "mean": self._sum / count,
            "median": float(middle) * BIN,
            "root_mean_square": (self._squares / count) ** 0.5,
            "within_11": near[0],
            "within_22": near[1],
            "within_30": near[2],
        }


class Edges:
    """Balanced cross-entropy of edges: what stands in for odsF without its tool."""

    def __init__(self) -> None:
        self._sum, self._pixels = 0.0, 0

    def add(self, prediction: Tensor, label: Tensor) -> None:
        """Logits and label (B, 1, S, S), 0 or 1, 255 ignored."""
        valid = label != IGNORED
        truth = (label > 0.5).to(prediction)
        each = F.binary_cross_entropy_with_logits(
            prediction.double(), truth.double(), reduction="none"
        )
        weight = EDGE_WEIGHT * truth + (1 - EDGE_WEIGHT) * (1 - truth)
        self._sum += float((weight * each)[valid].sum())
        self._pixels += int(valid.sum())

    def value(self) -> dict[str, float]:
        """`loss`, per pixel."""
        return {"loss": self._sum / max(1, self._pixels)}


class Depth:
    """Root mean square error of depths, over all valid pixels."""

    def __init__(self) -> None:
        self._squares, self._pixels = 0.0, 0

    def add(self, prediction: Tensor, label: Tensor) -> None:
        """Depth and label (B, 1, S, S), 255 ignored."""
        valid = label != IGNORED
        gap = (prediction.double() - label.double())[valid]
        self._squares += float(gap.square().sum())
        self._pixels += int(valid.sum())

    def value(self) -> dict[str, float]:
        """`rmse`, in the unit of the labels."""
        return {"rmse": (self._squares / max(1, self._pixels)) ** 0.5}


def delta_m(
    scores: Mapping[str, float],
    single: Mapping[str, float],
    higher_is_better: Mapping[str, bool],
) -> float:
    """Mean relative gain over single-task models (Maninis et al., CVPR 2019).

    1/T sum_t (-1)^{l_t} (M_t - S_t) / S_t with l_t = 1 where lower is better; a part of
    1, not percent.

    Args:
        scores: M_t of each task.
        single: S_t of the model that learned nothing else.
        higher_is_better: Which way is up.
    """
    gains = [
        (1 if higher_is_better[task] else -1) * (value - single[task]) / single[task]
        for task, value in scores.items()
    ]
    return sum(gains) / len(gains)


def _ratio(part: Tensor, whole: Tensor) -> Tensor:
    """`part` / `whole`; 0 where `whole` is 0."""
    return part / whole.clamp_min(1)
