"""The world as domains: seven kinds of things in four named styles."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from clbench.pocket.render import render
from clbench.pocket.scene import generator, kind_numbers, single
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
    scenes = single(kind_numbers(KINDS)[labels], rng)
    styles = [near(NAMED[style], rng) for _ in labels]
    return render(scenes, styles, size=size, rng=rng).image, labels
