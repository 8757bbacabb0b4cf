"""Scenes: which things are where, apart from how they are drawn.

Every view of the world describes what it shows as `Scenes`; texts and prompts are about
scenes, pictures and labels are rendered from them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from clbench.pocket.things import KINDS

COLOURS: dict[str, tuple[float, float, float]] = {
    "red": (0.84, 0.22, 0.20),
    "orange": (0.94, 0.55, 0.17),
    "yellow": (0.95, 0.84, 0.27),
    "green": (0.30, 0.63, 0.30),
    "blue": (0.23, 0.42, 0.80),
    "purple": (0.55, 0.32, 0.68),
    "pink": (0.93, 0.57, 0.70),
    "white": (0.93, 0.93, 0.91),
}
"""Colours that a thing may have, as RGB in [0, 1]."""

TEXTURES: tuple[str, ...] = ("plain", "stripes", "dots", "checks")

PLACES: dict[str, tuple[float, float]] = {
    "left": (-0.55, 0.0),
    "right": (0.55, 0.0),
    "top": (0.0, 0.55),
    "bottom": (0.0, -0.55),
    "middle": (0.0, 0.0),
}
"""Places that a small thing may be at: the centre's x and y."""

MOST = 4
"""Largest number of things that are told apart by counting."""

VARIATIONS = 3
"""Numbers in [-1, 1] by which a thing's outline varies."""

EMPTY = -1
"""The kind of a slot that holds nothing."""


@dataclass(frozen=True)
class Scenes:
    """N scenes of up to T things; slot 0 is farthest and drawn first.

    Attributes:
        kind: (N, T) position in `KINDS`, or `EMPTY`.
        colour: (N, T) position in `COLOURS`.
        second: (N, T) position in `COLOURS` of the second colour.
        texture: (N, T) position in `TEXTURES`.
        size: (N, T) half height; 1 fills the picture.
        x: (N, T) centre from left -1 to right 1.
        y: (N, T) centre from bottom -1 to top 1.
        pose: (N, T) turn in radians, anticlockwise.
        mirror: (N, T) whether left and right are exchanged.
        shape: (N, T, VARIATIONS) numbers in [-1, 1].
        sky: (N, 3) RGB of the background's top.
        ground: (N, 3) RGB of the background's bottom.
    """

    kind: NDArray[np.int64]
    colour: NDArray[np.int64]
    second: NDArray[np.int64]
    texture: NDArray[np.int64]
    size: NDArray[np.float32]
    x: NDArray[np.float32]
    y: NDArray[np.float32]
    pose: NDArray[np.float32]
    mirror: NDArray[np.bool_]
    shape: NDArray[np.float32]
    sky: NDArray[np.float32]
    ground: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.kind)

    @property
    def slots(self) -> int:
        """T, the largest number of things in a scene."""
        return int(self.kind.shape[1])

    def __getitem__(self, chosen: slice | NDArray[np.int64]) -> Scenes:
        """The scenes at `chosen`."""
        parts = {f.name: getattr(self, f.name)[chosen] for f in fields(self)}
        return Scenes(**parts)


def generator(*key: str | int) -> np.random.Generator:
    """Random numbers for the purpose that `key` names, the same in every process."""
    text = "/".join(str(part) for part in key)
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big")
    return np.random.Generator(np.random.Philox(seed))


def single(
    kinds: Sequence[int] | NDArray[np.int64],
    rng: np.random.Generator,
    *,
    size: tuple[float, float] = (0.65, 0.95),
    shift: float = 0.15,
    turn: float = 0.2,
    colour: NDArray[np.int64] | None = None,
    texture: NDArray[np.int64] | None = None,
) -> Scenes:
    """One thing in each scene, of the given kinds; what is not given is random.

    Args:
        kinds: (N,) positions in `KINDS`.
        rng: Where the rest is drawn from.
        size: Smallest and largest half height.
        shift: Largest distance of the centre from the middle, in x and in y.
        turn: Largest turn in radians.
        colour: (N,) positions in `COLOURS`.
        texture: (N,) positions in `TEXTURES`.
    """
    kind = np.asarray(kinds, dtype=np.int64)[:, None]
    count = len(kind)

    def uniform(low: float, high: float, *shape: int) -> NDArray[np.float32]:
        return rng.uniform(low, high, (count, *shape)).astype(np.float32)

    main = rng.integers(len(COLOURS), size=(count, 1))
    if colour is not None:
        main = colour[:, None]
    # Never the main colour itself, so that parts can be told apart.
    second = (main + rng.integers(1, len(COLOURS), size=(count, 1))) % len(COLOURS)
    surface = rng.integers(len(TEXTURES), size=(count, 1))
    if texture is not None:
        surface = texture[:, None]
    return Scenes(
        kind=kind,
        colour=main,
        second=second,
        texture=surface,
        size=uniform(*size, 1),
        x=uniform(-shift, shift, 1),
        y=uniform(-shift, shift, 1),
        pose=uniform(-turn, turn, 1),
        mirror=rng.random((count, 1)) < 0.5,
        shape=uniform(-1, 1, 1, VARIATIONS),
        sky=uniform(0.35, 0.95, 3),
        ground=uniform(0.25, 0.8, 3),
    )


def alike(
    kinds: Sequence[int] | NDArray[np.int64],
    counts: Sequence[int] | NDArray[np.int64],
    rng: np.random.Generator,
) -> Scenes:
    """Several small things in each scene, alike but for size, pose and outline.

    They lie in different quarters of the picture, so that they can be counted.

    Args:
        kinds: (N,) positions in `KINDS`.
        counts: (N,) how many, from 1 to `MOST`.
        rng: Where the rest is drawn from.
    """
    quarters = np.array([(-0.48, 0.48), (0.48, 0.48), (-0.48, -0.48), (0.48, -0.48)])
    order = rng.permuted(np.tile(np.arange(MOST), (len(kinds), 1)), axis=1)
    return _small(kinds, counts, quarters[order], 0.1, rng)


def placed(
    kinds: Sequence[int] | NDArray[np.int64],
    places: Sequence[int] | NDArray[np.int64],
    rng: np.random.Generator,
) -> Scenes:
    """One small thing in each scene, at one of `PLACES`.

    Args:
        kinds: (N,) positions in `KINDS`.
        places: (N,) positions in `PLACES`.
        rng: Where the rest is drawn from.
    """
    centres = np.array(list(PLACES.values()))[np.asarray(places)][:, None]
    return _small(kinds, np.ones(len(kinds), dtype=np.int64), centres, 0.13, rng)


def several(
    kinds: NDArray[np.int64],
    rng: np.random.Generator,
    *,
    size: tuple[float, float] = (0.4, 0.75),
    shift: float = 0.5,
    turn: float = 0.3,
) -> Scenes:
    """Several things in each scene, anywhere, the later before the earlier.

    Args:
        kinds: (N, T) positions in `KINDS`, or `EMPTY`.
        rng: Where the rest is drawn from.
        size, shift, turn: As in `single`.
    """
    count, slots = kinds.shape
    each = single(kinds.ravel(), rng, size=size, shift=shift, turn=turn)
    parts = {
        f.name: getattr(each, f.name).reshape(count, slots, *shape)
        for f in fields(Scenes)
        if f.name not in ("sky", "ground")
        for shape in [getattr(each, f.name).shape[2:]]
    }
    return Scenes(**parts, sky=each.sky[::slots], ground=each.ground[::slots])


def _small(
    kinds: Sequence[int] | NDArray[np.int64],
    counts: Sequence[int] | NDArray[np.int64],
    centres: NDArray[np.float64],
    shift: float,
    rng: np.random.Generator,
) -> Scenes:
    """Small things around `centres` (N, T, 2), of which each scene has some."""
    count, slots = centres.shape[:2]
    one = single(kinds, rng)
    shape = (count, slots)
    shown = np.arange(slots) < np.asarray(counts)[:, None]
    moved = centres + rng.uniform(-shift, shift, centres.shape)

    def uniform(low: float, high: float, *more: int) -> NDArray[np.float32]:
        return rng.uniform(low, high, (*shape, *more)).astype(np.float32)

    return Scenes(
        kind=np.where(shown, one.kind, EMPTY),
        colour=np.broadcast_to(one.colour, shape),
        second=np.broadcast_to(one.second, shape),
        texture=np.broadcast_to(one.texture, shape),
        size=uniform(0.32, 0.44),
        x=moved[..., 0].astype(np.float32),
        y=moved[..., 1].astype(np.float32),
        pose=uniform(-0.2, 0.2),
        mirror=np.broadcast_to(one.mirror, shape),
        shape=uniform(-1, 1, VARIATIONS),
        sky=one.sky,
        ground=one.ground,
    )


def kind_numbers(names: Sequence[str]) -> NDArray[np.int64]:
    """Positions in `KINDS` of the kinds called `names`."""
    return np.array([KINDS.index(name) for name in names], dtype=np.int64)
