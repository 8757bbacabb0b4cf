"""The tasks of a stream: pictures, classes and prompts, and batches of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from clbench.contract import Batch, Data, InputError
from clbench.data.augment import crop_and_flip, crop_boxes, to_float
from clbench.seeding import derive

from .parts import Images, Part
from .protocol import TaskSpec

CROP = (0.9, 1.0)
"""Smallest and largest part of a picture that training sees, as open_clip trains."""


@dataclass(frozen=True)
class Task:
    """One task of the stream.

    Attributes:
        name: Column of the matrix.
        classes: Names of the classes as prompts have them.
        templates: Prompts with `{}` for the class; the first one is trained with.
        train: What is learned from.
        test: What judges.
        rows: (N,) rows of `train` that are learned from.
    """

    name: str
    classes: tuple[str, ...]
    templates: tuple[str, ...]
    train: Part
    test: Part
    rows: NDArray[np.int64]

    @property
    def fingerprint(self) -> str:
        """Hash of all pictures and labels, those that are not drawn included."""
        both = self.train.fingerprint + self.test.fingerprint
        return hashlib.sha256(both.encode()).hexdigest()

    def prompts(self, templates: Sequence[str]) -> list[str]:
        """Each class in each of `templates`, class after class."""
        return [t.format(name) for name in self.classes for t in templates]


def task(
    name: str, spec: TaskSpec, images: Images, shots: int | None, seed: int
) -> Task:
    """The task `name`, with `shots` training images of each class drawn by `seed`.

    Raises:
        InputError: The protocol's classes are not those of the data.
    """
    classes = spec.classes or tuple(c.replace("_", " ") for c in images.classes)
    if len(classes) != len(images.classes):
        raise InputError(
            f"'{name}' has {len(images.classes)} classes here, the protocol names "
            f"{len(classes)}: the data are not those that it is about"
        )
    labels = images.train.labels
    rows = np.arange(len(labels))
    if shots is not None:
        rng = np.random.default_rng(derive(seed, "shots", name))
        rows = np.concatenate(
            [
                np.sort(rng.permutation(np.flatnonzero(labels == label))[:shots])
                for label in range(len(classes))
            ]
        )
    return Task(name, classes, spec.templates, images.train, images.test, rows)


class Pairs(Data):
    """Training images of some tasks with their labels, in shuffled epochs.

    Args:
        tasks: Those that are learned from.
        numbers: Number of each in the stream.
        first: Number of each one's first class in the stream.
        batch: Images in a step.
        vary: Whether images are cropped at random.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        numbers: Sequence[int],
        first: Sequence[int],
        *,
        batch: int,
        vary: bool,
    ) -> None:
        self._tasks, self._numbers, self._first = tasks, numbers, first
        self._batch, self._vary = batch, vary
        self._starts = np.cumsum([0, *(len(entry.rows) for entry in tasks)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        """`image` (B, S, S, 3) uint8; `label`, of all classes, and `task` (B,)."""
        wanted = np.asarray(indices)
        owner = np.searchsorted(self._starts, wanted, side="right") - 1
        order = np.argsort(owner, kind="stable")
        images, labels, numbers = [], [], []
        for position in np.unique(owner):
            entry = self._tasks[position]
            here = wanted[owner == position] - self._starts[position]
            rows = entry.rows[here]
            images.append(entry.train.album.pictures[rows])
            labels.append(entry.train.labels[rows] + self._first[position])
            numbers.append(np.full(len(rows), self._numbers[position]))
        back = np.argsort(order, kind="stable")
        return {
            "image": torch.from_numpy(np.concatenate(images)[back]),
            "label": torch.from_numpy(np.concatenate(labels)[back]),
            "task": torch.from_numpy(np.concatenate(numbers)[back]),
        }

    def batches(self, seed: int, steps: int) -> Iterator[Sequence[int]]:
        """Epoch after epoch, each in an order of its own; a batch may span two."""
        count, batch = len(self), self._batch
        order = np.zeros(0, dtype=np.int64)
        epoch = 0
        for _ in range(steps):
            while len(order) < batch:
                rng = np.random.default_rng((seed, epoch))
                order = np.concatenate([order, rng.permutation(count)])
                epoch += 1
            yield order[:batch].tolist()
            order = order[batch:]

    def augment(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Random crops of 0.9 to 1 of the area, where that is asked for."""
        if not self._vary:
            return batch
        images = to_float(batch["image"])
        count, size = len(images), images.shape[-1]
        boxes = crop_boxes(count, size, generator, scale=CROP)
        never = torch.zeros(count, dtype=torch.bool)
        return {**batch, "image": crop_and_flip(images, boxes, never)}
