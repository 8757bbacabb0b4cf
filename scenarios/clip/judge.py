"""Scores of every task, computing no feature twice.

A task's image features depend on the image tower alone, its text features on the text
tower alone. Both are kept under the hash of the weights that the tower computes with:
within a cell from one evaluation to the next, and for the pre-trained model, which all
cells begin with, in the cache of the machine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from clbench.contract import Result
from clbench.data.features import keep_features
from clbench.devices import arithmetic
from clbench.models.clip import Clip
from clbench.models.effective import effective_hash

from .model import ClipClassifier
from .parts import Part
from .tasks import Task

BATCH = 256
"""Images that are encoded at once."""

BINS = 15
"""Of the expected calibration error."""


class Judge:
    """Judges a model on every task of a stream.

    Args:
        tasks: In the order of the stream.
        clip: Whose tokenizer makes the test prompts.
        union: Whether a task is scored among the classes of all tasks.
        ensemble: Whether the features of all templates are averaged.
        cache: Whether features of the pre-trained model are kept on disk.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        clip: Clip,
        *,
        union: bool,
        ensemble: bool,
        cache: bool,
    ) -> None:
        self._tasks, self._union, self._cache = tasks, union, cache
        self._prompts = []
        for entry in tasks:
            ways = len(entry.templates) if ensemble else 1
            texts = entry.prompts(entry.templates[:ways])
            self._prompts.append(Prompts(texts, ways, *clip.tokenize(texts)))
        self._kept: dict[str, tuple[str, Tensor]] = {}

    def row(self, model: ClipClassifier, upto: int) -> dict[str, Result]:
        """A result for every task.

        Args:
            model: In evaluation mode.
            upto: Experiences learned so far; features of 0 are kept on disk.
        """
        disk = self._cache and upto == 0
        texts = self._hashes(model, [model.text_model, model.text_projection])
        classes = []
        for number, prompts in enumerate(self._prompts):
            key = _key(model, texts[number], *prompts.texts)
            make = partial(encode_prompts, model, prompts, self._known(number))
            classes.append(self._features(f"text {number}", key, make, disk))
        towers = self._hashes(model, [model.vision_model, model.visual_projection])
        starts = np.cumsum([0, *map(len, classes)])
        row = {}
        for number, entry in enumerate(self._tasks):
            images = self._features(
                f"image {number}",
                _key(model, towers[number], entry.test.fingerprint),
                partial(encode_images, model, entry.test, self._known(number)),
                disk,
            )
            label = torch.from_numpy(entry.test.labels)
            if self._union:
                names, label = torch.cat(classes), label + int(starts[number])
            else:
                names = classes[number]
            row[entry.name] = result(model.scale.cpu() * images @ names.T, label)
        return row

    def _known(self, number: int) -> int | None:
        """The task at `number`, if the model may know that an example is of it."""
        return None if self._union else number

    def _hashes(
        self, model: ClipClassifier, tower: Sequence[torch.nn.Module]
    ) -> list[str]:
        """Of each task, the hash of what `tower` computes with for it."""
        if self._union or not model.route.read:
            return [effective_hash(tower)] * len(self._tasks)
        hashes = []
        for number in range(len(self._tasks)):
            with model.route.of(torch.tensor([number])):
                hashes.append(effective_hash(tower))
        return hashes

    def _features(
        self, slot: str, key: str, make: Callable[[], Tensor], disk: bool
    ) -> Tensor:
        """What `make` gives; as it was last time where `key` is as it was."""
        if slot in self._kept and self._kept[slot][0] == key:
            return self._kept[slot][1]
        made = keep_features(key, make) if disk else make().cpu()
        self._kept[slot] = (key, made)
        return made


@dataclass(frozen=True)
class Prompts:
    """Texts that stand for the classes of a task.

    Attributes:
        texts: Class after class, each in all templates.
        ways: Number of templates.
        tokens: (C * ways, L).
        mask: (C * ways, L).
    """

    texts: list[str]
    ways: int
    tokens: Tensor
    mask: Tensor


def encode_prompts(
    model: ClipClassifier, prompts: Prompts, task: int | None = None
) -> Tensor:
    """(C, D) of length 1; of several templates the mean, as CLIP's authors have it."""
    device = model.owner.device
    each = model.all_texts(
        prompts.tokens.to(device),
        prompts.mask.to(device),
        _all(task, len(prompts.texts), device),
    )
    return F.normalize(each.view(-1, prompts.ways, each.shape[-1]).mean(1), dim=-1)


@torch.inference_mode()
def encode_images(model: ClipClassifier, part: Part, task: int | None = None) -> Tensor:
    """(N, D) of length 1, of every picture."""
    device = model.owner.device
    features = []
    for rows in np.array_split(
        np.arange(len(part.labels)), -(-len(part.labels) // BATCH)
    ):
        # Rows by their numbers are a copy, which torch may take.
        pictures = torch.from_numpy(part.album.pictures[rows])
        owner = _all(task, len(pictures), device)
        features.append(model.images(pictures.to(device), owner))
    return torch.cat(features)


def _all(task: int | None, count: int, device: torch.device) -> Tensor | None:
    return None if task is None else torch.full((count,), task, device=device)


def result(logits: Tensor, label: Tensor) -> Result:
    """Accuracy, calibration error and outcomes.

    Args:
        logits: (N, C).
        label: (N,) columns.
    """
    from torchmetrics.functional.classification import (
        multiclass_accuracy,
        multiclass_calibration_error,
    )

    classes = logits.shape[1]
    confidence, prediction = logits.softmax(-1).max(-1)
    error = multiclass_calibration_error(
        logits, label, num_classes=classes, n_bins=BINS, norm="l1"
    )
    return Result(
        metrics={
            "accuracy": float(
                multiclass_accuracy(logits, label, num_classes=classes, average="micro")
            ),
            "calibration_error": float(error),
        },
        outcomes={
            "prediction": prediction.numpy(),
            "confidence": confidence.numpy(),
            "label": label.numpy(),
        },
    )


def _key(model: ClipClassifier, *on: str) -> str:
    """Hash of all that features depend on: `on`, pixels' statistics, the arithmetic."""
    digest = hashlib.sha256()
    facts = (model.mean.tolist(), model.std.tolist(), model.owner.device.type)
    how = filter(None, [arithmetic(model)])
    for part in (*on, torch.__version__, repr(facts), *how):
        digest.update(part.encode() + b"\0")
    return digest.hexdigest()
