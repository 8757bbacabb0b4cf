"""Pictures and labels of a task, and how they are divided."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from clbench.data.cache import Album, pixels_hash

HELD = 0.2
"""Part of a dataset without a split of its own that judges, as MTIL has it."""

SPLIT_SEED = 42
"""Seed of that split."""


@dataclass(frozen=True)
class Part:
    """Pictures and labels of one part of a task.

    Attributes:
        album: (N, S, S, 3) uint8 pictures and their hash.
        labels: (N,) positions in the task's classes.
    """

    album: Album
    labels: NDArray[np.int64]

    @property
    def fingerprint(self) -> str:
        """Hash of pixels and labels."""
        digest = hashlib.sha256(self.album.sha256.encode())
        digest.update(np.ascontiguousarray(self.labels, dtype="<i8").tobytes())
        return digest.hexdigest()


@dataclass(frozen=True)
class Images:
    """A task's pictures.

    Attributes:
        classes: Names as the data have them, in the order of the labels.
        train: What is learned from.
        test: What judges.
    """

    classes: tuple[str, ...]
    train: Part
    test: Part


def split(whole: Part) -> tuple[Part, Part]:
    """A fifth of the images judges, drawn from each class by a fixed seed."""
    rng = np.random.default_rng(SPLIT_SEED)
    test = np.zeros(len(whole.labels), dtype=bool)
    for label in np.unique(whole.labels):
        rows = rng.permutation(np.flatnonzero(whole.labels == label))
        test[rows[: max(1, round(HELD * len(rows)))]] = True
    train_rows, test_rows = np.flatnonzero(~test), np.flatnonzero(test)
    return _rows(whole, train_rows), _rows(whole, test_rows)


def held_out(images: Images) -> Images:
    """Of the training images alone: a fifth of each class judges."""
    train, held = split(images.train)
    return Images(images.classes, train, held)


def random_split(whole: Part) -> tuple[Part, Part]:
    """80 / 20 as torch's `random_split` draws it from the seed 42: MTIL's own."""
    generator = torch.Generator().manual_seed(SPLIT_SEED)
    order = torch.randperm(len(whole.labels), generator=generator).numpy()
    first = int((1 - HELD) * len(order))
    return _rows(whole, order[:first]), _rows(whole, order[first:])


def _rows(whole: Part, rows: NDArray[np.int64]) -> Part:
    pictures = whole.album.pictures[rows]
    return Part(Album(pictures, pixels_hash(pictures)), whole.labels[rows])
