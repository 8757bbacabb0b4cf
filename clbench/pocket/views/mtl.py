"""The world as scenes of several things, every pixel labelled for six tasks.

What is where (kinds), the parts of people, what stands out, which way surfaces face,
where parts end, how far they are. Drawn near the style `photo`, which no pre-training
has seen.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from clbench.pocket.render import Pictures, render
from clbench.pocket.scene import EMPTY, generator, several
from clbench.pocket.style import NAMED, near
from clbench.pocket.things import KINDS, PARTS

VERSION = 1
"""Raised whenever a pixel could change."""

SIZE = 64
"""Pixels on a side."""

STYLE = "photo"

THINGS = (2, 4)
"""Fewest and most things in a scene."""

PERSON = 0.5
"""Probability that one of the things is made a person."""

PERSON_PARTS: tuple[str, ...] = ("head", "torso", "arm", "leg")
"""The parts of people, from label 1; 0 is everything else."""

COUNTS: dict[str, int] = {"train": 1200, "test": 200}

IGNORED = 255

Part = Literal["train", "test"]


def pictures(part: Part, *, count: int | None = None, seed: int = 0) -> Pictures:
    """Scenes and all that is known of their pixels.

    Args:
        part: What is learned from, or what judges.
        count: How many; None is the benchmark's number.
        seed: Seed 0 is the benchmark.
    """
    count = COUNTS[part] if count is None else count
    rng = generator("mtl", VERSION, part, seed)
    least, most = THINGS
    kinds = rng.integers(len(KINDS), size=(count, most))
    number = rng.integers(least, most + 1, size=count)
    person = rng.random(count) < PERSON
    place = (rng.random(count) * number).astype(np.int64)
    kinds[person, place[person]] = KINDS.index("person")
    kinds[np.arange(most) >= number[:, None]] = EMPTY
    scenes = several(kinds, rng)
    styles = [near(NAMED[STYLE], rng) for _ in range(count)]
    return render(scenes, styles, size=SIZE, rng=rng)


def person_parts(drawn: Pictures) -> NDArray[np.uint8]:
    """(N, S, S) parts of people; a picture without any is ignored as a whole."""
    label = np.zeros(drawn.part.shape, dtype=np.uint8)
    person = drawn.kind == 1 + KINDS.index("person")
    for number, name in enumerate(PERSON_PARTS):
        label[person & (drawn.part == 1 + PARTS.index(name))] = 1 + number
    label[~person.any(axis=(1, 2))] = IGNORED
    return label
