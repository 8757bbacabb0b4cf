"""The world as domains: seven kinds of things in four named styles.

Each style has habits: most things of a kind have that style's usual colour, and no two
styles share one. Colour is thus a shortcut that holds on the sources and fails on the
style left out, where only the shape tells a kind.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from clbench.pocket.render import render
from clbench.pocket.scene import COLOURS, Scenes, generator, kind_numbers, single
from clbench.pocket.style import NAMED, near

VERSION = 1
"""Raised whenever a pixel could change."""

STYLES: tuple[str, ...] = tuple(NAMED)
"""The domains: photo, cartoon, sketch, painting."""

KINDS: tuple[str, ...] = ("person", "tree", "house", "car", "fish", "cup", "flower")
"""The classes, in the order of their labels."""

PER_KIND = 200
"""Pictures of each kind in each style."""

SIZE = 32
"""Pixels on a side."""

HABIT = 0.85
"""Probability that a thing has its style's usual colour, not one drawn from all."""


def images(
    style: str, *, per_kind: int = PER_KIND, size: int = SIZE, seed: int = 0
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Pictures of every kind in one style, and their labels.

    Args:
        style: One of `STYLES`.
        per_kind: Pictures of each kind.
        size: Pixels on a side.
        seed: Seed 0 is the benchmark.

    Returns:
        (N, size, size, 3) uint8 and (N,) positions in `KINDS`, sorted by label.
    """
    rng = generator("dg", VERSION, style, seed)
    labels = np.repeat(np.arange(len(KINDS), dtype=np.int64), per_kind)
    kinds = kind_numbers(KINDS)[labels]
    scenes = single(kinds, rng, size=(0.56, 0.9), shift=0.2, turn=0.3)
    scenes = _habitual(scenes, labels, style, rng)
    styles = [near(NAMED[style], rng) for _ in labels]
    return render(scenes, styles, size=size, rng=rng).image, labels


def usual(style: str) -> NDArray[np.int64]:
    """(7,) position in `COLOURS` of each kind's usual colour in `style`."""
    return (np.arange(len(KINDS)) + 2 * STYLES.index(style)) % len(COLOURS)


def _habitual(
    scenes: Scenes, labels: NDArray[np.int64], style: str, rng: np.random.Generator
) -> Scenes:
    """`scenes` with most things in their usual colour, the second one shifted alike."""
    habitual = rng.random(scenes.colour.shape) < HABIT
    colour = np.where(habitual, usual(style)[labels][:, None], scenes.colour)
    second = (colour + scenes.second - scenes.colour) % len(COLOURS)
    return replace(scenes, colour=colour, second=second)
