"""The dense tasks: what each predicts, minimises and is judged by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from clbench.contract import Metric
from clbench.metrics import dense

from . import losses


@dataclass(frozen=True, kw_only=True)
class DenseTask:
    """One task.

    Attributes:
        title: As boards print it.
        weight: Of its loss, as MTLoRA trains.
        loss: Raw output and label -> scalar.
        distance: Two raw outputs -> scalar, 0 where they are equal.
        metrics: Names that its meter gives, the first one ranking, with what they are.
    """

    title: str
    weight: float
    loss: losses.Loss
    distance: Callable[[Tensor, Tensor], Tensor]
    metrics: tuple[Metric, ...]

    @property
    def main(self) -> Metric:
        """The number that delta-m and forgetting are computed from."""
        return self.metrics[0]


def _miou(title: str, text: str) -> Metric:
    return Metric(name="miou", title=f"{title} mIoU", definition=text)


def _degrees(name: str, title: str, text: str) -> Metric:
    return Metric(
        name=name, title=title, definition=text, higher_is_better=False, percent=False
    )


def _within(name: str, limit: str) -> Metric:
    return Metric(
        name=name,
        title=f"Normals < {limit}°",
        definition=f"Part of the pixels whose normal is off by less than {limit}°.",
    )


TASKS: dict[str, DenseTask] = {
    "semseg": DenseTask(
        title="Semantic segmentation",
        weight=1.0,
        loss=losses.segmentation,
        distance=losses.class_distance,
        metrics=(
            _miou(
                "SemSeg",
                "Mean intersection over union of the classes, pixels pooled over all "
                "pictures; a class that is neither there nor predicted counts as 0.",
            ),
        ),
    ),
    "human_parts": DenseTask(
        title="Human parts",
        weight=2.0,
        loss=losses.segmentation,
        distance=losses.class_distance,
        metrics=(
            _miou(
                "Parts",
                "As of semantic segmentation, over parts of people; pictures without "
                "people do not count.",
            ),
        ),
    ),
    "sal": DenseTask(
        title="Saliency",
        weight=5.0,
        loss=losses.saliency,
        distance=losses.chance_distance,
        metrics=(
            _miou(
                "Saliency",
                "Mean over pictures of the intersection over union, at the best of 15 "
                "thresholds from 0.2 to 0.9.",
            ),
            Metric(
                name="max_f",
                title="Saliency maxF",
                definition=(
                    "F-measure of mean precision and mean recall, at the best of the "
                    "same thresholds."
                ),
            ),
        ),
    ),
    "normals": DenseTask(
        title="Surface normals",
        weight=10.0,
        loss=losses.normals,
        distance=losses.direction_distance,
        metrics=(
            _degrees(
                "mean",
                "Normals mean °",
                "Mean angle between predicted and true normals, in degrees: what "
                "MTLoRA's code and paper call RMSE.",
            ),
            _degrees("median", "Normals median °", "Median of that angle."),
            _degrees(
                "root_mean_square",
                "Normals RMSE °",
                "Root of the mean squared angle.",
            ),
            _within("within_11", "11.25"),
            _within("within_22", "22.5"),
            _within("within_30", "30"),
        ),
    ),
    "edge": DenseTask(
        title="Edges",
        weight=50.0,
        loss=losses.edges,
        distance=losses.chance_distance,
        metrics=(
            Metric(
                name="loss",
                title="Edge loss",
                definition=(
                    "Balanced cross-entropy of edges (weight 0.95) per pixel; odsF "
                    "needs its authors' tool."
                ),
                higher_is_better=False,
                percent=False,
            ),
        ),
    ),
    "depth": DenseTask(
        title="Depth",
        weight=1.0,
        loss=losses.absolute,
        distance=losses.square_distance,
        metrics=(
            Metric(
                name="rmse",
                title="Depth RMSE",
                definition="Root mean square error of the depth.",
                higher_is_better=False,
                percent=False,
            ),
        ),
    ),
}
"""By name, in the order in which they arrive where they come one after another."""

DEFAULT: tuple[str, ...] = ("semseg", "human_parts", "sal", "normals")
"""The four that MTLoRA learns on PASCAL."""


def meter(task: str, outputs: int) -> dense.Meter:
    """What gathers the predictions of `task`.

    Args:
        task: Its name.
        outputs: K, channels of its prediction.
    """
    if task in ("semseg", "human_parts"):
        return dense.Segmentation(outputs)
    kinds: dict[str, Callable[[], dense.Meter]] = {
        "sal": dense.Saliency,
        "normals": dense.Normals,
        "edge": dense.Edges,
        "depth": dense.Depth,
    }
    return kinds[task]()
