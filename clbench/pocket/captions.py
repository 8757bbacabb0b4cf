"""What can be said of a scene: captions in words, and which of them are true of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields

import numpy as np
from numpy.typing import NDArray

from clbench.pocket.scene import COLOURS, EMPTY, PLACES, TEXTURES, Scenes
from clbench.pocket.things import KINDS

UNSAID = -1
"""The value of a fact that a caption does not mention, or that a scene lacks."""

PLURALS: dict[str, str] = {
    kind: {"person": "people", "fish": "fish"}.get(kind, f"{kind}s") for kind in KINDS
}
"""Kinds in the plural; a fish is a fish however many there are."""

ADJECTIVES: dict[str, str] = {
    "plain": "plain",
    "stripes": "striped",
    "dots": "dotted",
    "checks": "checked",
}
"""How a texture is said."""

NUMBERS: tuple[str, ...] = ("one", "two", "three", "four")
"""Numbers of things in a scene, from 1."""

PHRASES: dict[str, str] = {
    "left": "on the left",
    "right": "on the right",
    "top": "at the top",
    "bottom": "at the bottom",
    "middle": "in the middle",
}
"""How a place is said."""

MEDIA: tuple[str, ...] = ("photo", "picture", "image", "drawing", "painting")
"""What a caption calls the picture; it says nothing of its style."""

SAID: dict[str, float] = {"kind": 0.7, "colour": 0.5, "texture": 0.4, "number": 0.5}
"""Probability that a caption mentions a fact; a place that there is, always by half."""


@dataclass(frozen=True)
class Facts:
    """What is so in N scenes, or what N captions say; `UNSAID` where nothing.

    Attributes:
        kind: (N,) position in `KINDS`; all things of a scene are alike.
        colour: (N,) position in `COLOURS`.
        texture: (N,) position in `TEXTURES`.
        number: (N,) position in `NUMBERS`.
        several: (N,) whether there is more than one thing; grammar always tells.
        place: (N,) position in `PLACES`.
    """

    kind: NDArray[np.int64]
    colour: NDArray[np.int64]
    texture: NDArray[np.int64]
    number: NDArray[np.int64]
    several: NDArray[np.int64]
    place: NDArray[np.int64]

    @property
    def table(self) -> NDArray[np.int64]:
        """(N, 6) the facts as columns."""
        return np.stack(astuple(self), axis=1, dtype=np.int64)

    @classmethod
    def join(cls, parts: Sequence[Facts]) -> Facts:
        """The facts of all `parts`, one after another."""
        names = [field.name for field in fields(cls)]
        return cls(**{n: np.concatenate([getattr(p, n) for p in parts]) for n in names})

    def __getitem__(self, chosen: NDArray[np.int64]) -> Facts:
        """The facts at `chosen`."""
        return Facts(**{f.name: getattr(self, f.name)[chosen] for f in fields(self)})


def facts(scenes: Scenes, place: NDArray[np.int64]) -> Facts:
    """What is so in `scenes` of things that are alike, at `place` (N,)."""
    number = (scenes.kind != EMPTY).sum(axis=1) - 1
    return Facts(
        kind=scenes.kind[:, 0],
        colour=scenes.colour[:, 0],
        texture=scenes.texture[:, 0],
        number=number,
        several=(number > 0).astype(np.int64),
        place=place,
    )


def say(known: Facts, rng: np.random.Generator) -> tuple[list[str], Facts]:
    """A caption for each scene, and what it says: some of what is known.

    Args:
        known: What is so in N scenes.
        rng: Where it is drawn from what is mentioned, and in which words.
    """
    said = {"several": known.several}
    for name, probability in {**SAID, "place": 0.5}.items():
        mentioned = rng.random(len(known.kind)) < probability
        said[name] = np.where(mentioned, getattr(known, name), UNSAID)
    told = Facts(**said)
    media = rng.integers(len(MEDIA), size=len(known.kind))
    texts = [
        _sentence(MEDIA[medium], *row)
        for medium, row in zip(media, told.table.tolist(), strict=True)
    ]
    return texts, told


def true_of(told: Facts, known: Facts) -> NDArray[np.bool_]:
    """(N, M) whether what caption i says is so in scene j."""
    says, holds = told.table[:, None], known.table[None]
    agree: NDArray[np.bool_] = ((says == UNSAID) | (says == holds)).all(axis=-1)
    return agree


def phrase(
    kind: int,
    colour: int = UNSAID,
    texture: int = UNSAID,
    number: int = UNSAID,
    several: int = 0,
    place: int = UNSAID,
) -> str:
    """Words for alike things, such as `two red striped cars at the top`."""
    noun = KINDS[kind] if kind != UNSAID else "thing"
    if several:
        noun = PLURALS[noun] if kind != UNSAID else "things"
    adjectives = []
    if colour != UNSAID:
        adjectives.append(list(COLOURS)[colour])
    if texture != UNSAID:
        adjectives.append(ADJECTIVES[TEXTURES[texture]])
    words = [*adjectives, noun]
    if number != UNSAID:
        words.insert(0, NUMBERS[number])
    elif not several:
        words.insert(0, "an" if words[0][0] in "aeiou" else "a")
    if place != UNSAID:
        words.append(PHRASES[list(PLACES)[place]])
    return " ".join(words)


def _sentence(medium: str, *said: int) -> str:
    """One caption, such as `a photo of two red striped cars at the top.`"""
    article = "an" if medium[0] in "aeiou" else "a"
    return f"{article} {medium} of {phrase(*said)}."
