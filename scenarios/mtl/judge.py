"""Scores of every task, and a few pictures to look at."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from clbench.contract import Result
from clbench.metrics.dense import IGNORED

from .data import Examples
from .tasks import TASKS, meter

BATCH = 32
"""Pictures that are judged at once."""

SHOWN = 4
"""Pictures that are kept to look at."""


@torch.inference_mode()
def judge(
    model: nn.Module, examples: Examples, outputs: Mapping[str, int]
) -> dict[str, Result]:
    """How good `model` is at every task.

    Args:
        model: In evaluation mode, on its device.
        examples: What it is judged on, with the labels of all tasks.
        outputs: Task -> channels of its prediction.
    """
    device = next(model.parameters()).device
    meters = {task: meter(task, K) for task, K in outputs.items()}
    losses: dict[str, list[float]] = {task: [] for task in outputs}
    shown: dict[str, dict[str, NDArray[np.uint8]]] = {task: {} for task in outputs}
    for start in range(0, len(examples), BATCH):
        rows = np.arange(start, min(start + BATCH, len(examples)))
        batch = {k: v.to(device) for k, v in examples.batch(rows).items()}
        made = model({"image": batch["image"]})
        for task in outputs:
            prediction, label = made[task].float(), batch[task]
            meters[task].add(prediction, label)
            losses[task] += each(task, prediction, label).tolist()
            if start == 0:
                first = slice(0, SHOWN)
                shown[task] = {
                    "input": batch["image"][first].cpu().numpy(),
                    "label": painted(task, label[first].cpu()),
                    "prediction": painted(task, read(task, prediction[first].cpu())),
                }
    return {
        task: Result(
            metrics=meters[task].value(),
            outcomes={"loss": np.array(losses[task], dtype=np.float32)},
            pictures=shown[task],
        )
        for task in outputs
    }


def each(task: str, output: Tensor, label: Tensor) -> Tensor:
    """(B,) unweighted loss of every example, as if it were a batch of its own."""
    loss = TASKS[task].loss
    return torch.stack(
        [
            loss(one, its)
            for one, its in zip(output.split(1), label.split(1), strict=True)
        ]
    )


def read(task: str, output: Tensor) -> Tensor:
    """A raw prediction as the label that it stands for."""
    if task in ("semseg", "human_parts"):
        return output.argmax(1)
    if task in ("sal", "edge"):
        return output.sigmoid()
    return output


def painted(task: str, label: Tensor) -> NDArray[np.uint8]:
    """(B, S, S, 3) a label as a picture; what is ignored is grey."""
    if task in ("semseg", "human_parts"):
        colours = torch.from_numpy(_palette())
        return colours[label].numpy()
    ignored = (label == IGNORED).all(1, keepdim=True)
    if task == "normals":
        unit = nn.functional.normalize(label.masked_fill(ignored, 0), dim=1)
        value = (unit + 1) / 2
    else:
        value = label.clamp(0, 1).expand(-1, 3, -1, -1)
    value = value.masked_fill(ignored, 0.5)
    pixels = (value * 255).round().byte().permute(0, 2, 3, 1)
    return np.ascontiguousarray(pixels.numpy())


def _palette() -> NDArray[np.uint8]:
    """(256, 3) PASCAL VOC's colours: the bits of a label, spread over three channels.

    The ignored label is grey.
    """
    colours = np.zeros((256, 3), dtype=np.uint8)
    for label in range(256):
        for place in range(9):
            bit = (label >> place) & 1
            colours[label, place % 3] |= bit << (7 - place // 3)
    colours[IGNORED] = 128
    return colours
