"""The world as a stream of tasks, each with its own question, classes and style.

What things are, their colours, textures, number and place, and scanned digits. Every
task is drawn in one of the named styles, which no pre-training has seen; the digits are
real (scikit-learn's `load_digits`: 1,797 scans of 8 by 8 pixels).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from clbench.pocket.captions import NUMBERS
from clbench.pocket.render import render
from clbench.pocket.scene import (
    COLOURS,
    PLACES,
    TEXTURES,
    Scenes,
    alike,
    generator,
    placed,
    single,
)
from clbench.pocket.style import NAMED, near
from clbench.pocket.things import KINDS

VERSION = 1
"""Raised whenever a pixel could change."""

SIZE = 32
"""Pixels on a side."""

Part = Literal["train", "test"]

Images = tuple[NDArray[np.uint8], NDArray[np.int64]]


@dataclass(frozen=True)
class Task:
    """One question about pictures.

    Attributes:
        classes: Names of its answers, in the order of their labels.
        style: What its pictures are drawn in; None are scans.
        train: Pictures of each class to learn from; of digits, those there are.
        test: Pictures of each class that judge.
        scenes: Labels (N,) and generator -> what is shown.
    """

    classes: tuple[str, ...]
    style: str | None
    train: int = 50
    test: int = 40
    scenes: Callable[[NDArray[np.int64], np.random.Generator], Scenes] | None = None


def _kinds(labels: NDArray[np.int64], rng: np.random.Generator) -> Scenes:
    return single(labels, rng, size=(0.5, 0.9), shift=0.25, turn=0.35)


def _colours(labels: NDArray[np.int64], rng: np.random.Generator) -> Scenes:
    return single(_any_kind(labels, rng), rng, colour=labels)


def _textures(labels: NDArray[np.int64], rng: np.random.Generator) -> Scenes:
    return single(_any_kind(labels, rng), rng, texture=labels)


def _numbers(labels: NDArray[np.int64], rng: np.random.Generator) -> Scenes:
    return alike(_any_kind(labels, rng), labels + 1, rng)


def _places(labels: NDArray[np.int64], rng: np.random.Generator) -> Scenes:
    return placed(_any_kind(labels, rng), labels, rng)


def _any_kind(labels: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    return rng.integers(len(KINDS), size=len(labels))


TASKS: dict[str, Task] = {
    "kinds": Task(KINDS, "sketch", scenes=_kinds),
    "colours": Task(tuple(COLOURS), "cartoon", scenes=_colours),
    "textures": Task(TEXTURES, "photo", test=80, scenes=_textures),
    "numbers": Task(NUMBERS, "painting", test=80, scenes=_numbers),
    "places": Task(tuple(PLACES), "painting", test=80, scenes=_places),
    "digits": Task(tuple(str(digit) for digit in range(10)), None),
}
"""The tasks, in the order of the default stream."""


def images(task: str, part: Part, *, seed: int = 0) -> Images:
    """Pictures of one task and their labels.

    Args:
        task: One of `TASKS`.
        part: What is learned from, or what judges.
        seed: Seed 0 is the benchmark.

    Returns:
        (N, 32, 32, 3) uint8 and (N,) positions in the task's classes, sorted by label.
    """
    entry = TASKS[task]
    each = entry.train if part == "train" else entry.test
    if entry.scenes is None or entry.style is None:
        return _digits(part, each)
    rng = generator("clip", VERSION, task, part, seed)
    labels = np.repeat(np.arange(len(entry.classes), dtype=np.int64), each)
    styles = [near(NAMED[entry.style], rng) for _ in labels]
    scenes = entry.scenes(labels, rng)
    return render(scenes, styles, size=SIZE, rng=rng).image, labels


def _digits(part: Part, each: int) -> Images:
    """The first scans of each digit judge, the next are learned from."""
    from sklearn.datasets import load_digits

    scans, answers = load_digits(return_X_y=True)
    start = TASKS["digits"].test if part == "train" else 0
    rows = np.concatenate(
        [np.flatnonzero(answers == digit)[start : start + each] for digit in range(10)]
    )
    grey = (scans[rows].reshape(-1, 8, 8) * (255 / 16)).round().astype(np.uint8)
    # Every pixel of the scan becomes four by four.
    large = grey.repeat(SIZE // 8, axis=1).repeat(SIZE // 8, axis=2)
    return np.stack([large] * 3, axis=-1), answers[rows].astype(np.int64)
