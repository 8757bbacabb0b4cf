"""The kinds of things in the world, each made of named parts.

A thing lives in its own plane, `u` to the right and `v` up, both from -1 to 1. Its
outline varies with three numbers in [-1, 1].
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from clbench.pocket.geometry import (
    Array,
    Number,
    box,
    capsule,
    circle,
    ellipse,
    polygon,
    ring,
    union,
    without,
)

Tone = str | tuple[float, float, float]
"""`main` or `second`, a thing's own colours, or a fixed one as RGB in [0, 1]."""

SKIN = (0.87, 0.68, 0.54)
BARK = (0.42, 0.28, 0.17)
LEAF = (0.25, 0.52, 0.22)
GLASS = (0.72, 0.85, 0.93)
DARK = (0.13, 0.13, 0.16)
LIGHT = (0.94, 0.92, 0.84)
YELLOW = (0.95, 0.79, 0.22)


@dataclass(frozen=True)
class Part:
    """One part of a thing, in N images at once.

    Attributes:
        name: Such as `roof`; numbered by `PARTS`.
        distance: (N, S, S) signed distance in the thing's plane.
        bulge: Height of its middle above its rim, in the thing's units; 0 is flat.
        tone: Its colour.
    """

    name: str
    distance: Array
    bulge: float
    tone: Tone


Drawing = Callable[[Array, Array, Number, Number, Number], Iterator[Part]]


def person(u: Array, v: Array, a: Number, b: Number, c: Number) -> Iterator[Part]:
    """Legs, torso, arms, head; `a` stance, `b` and `c` lift the arms."""
    for side in (-1, 1):
        foot = side * (0.2 + 0.12 * a)
        leg = capsule(u, v, side * 0.11, -0.3, foot, -0.9, 0.1)
        yield Part("leg", leg, 0.1, "second")
    for side, lift in ((-1, b), (1, c)):
        hand = capsule(u, v, side * 0.25, 0.32, side * 0.58, 0.05 + 0.4 * lift, 0.08)
        yield Part("arm", hand, 0.08, SKIN)
    yield Part("torso", box(u, v, 0, 0.05, 0.26, 0.4, 0.12), 0.2, "main")
    yield Part("head", circle(u, v, 0, 0.68, 0.25), 0.25, SKIN)


def tree(u: Array, v: Array, a: Number, b: Number, c: Number) -> Iterator[Part]:
    """Trunk and a crown of lobes; `a` width, `b` height, `c` lean."""
    yield Part("trunk", capsule(u, v, 0, -0.9, 0.08 * c, 0.0, 0.11), 0.1, BARK)
    crown = union(
        circle(u, v, 0.12 * c, 0.5 + 0.1 * b, 0.38),
        circle(u, v, -0.36 - 0.08 * a, 0.15, 0.36),
        circle(u, v, 0.36 + 0.08 * a, 0.12, 0.36),
        circle(u, v, 0.0, 0.1, 0.4),
    )
    yield Part("crown", crown, 0.35, "main")


def house(u: Array, v: Array, a: Number, b: Number, c: Number) -> Iterator[Part]:
    """Walls, roof, door, window; `a` width, `b` roof, `c` where the door is."""
    half = 0.6 + 0.1 * a
    yield Part("wall", box(u, v, 0, -0.4, half, 0.5), 0.0, "main")
    eaves, ridge = half + 0.2, 0.72 + 0.15 * b
    roof = polygon(u, v, [(-eaves, 0.06), (eaves, 0.06), (0.0, ridge)])
    yield Part("roof", roof, 0.12, "second")
    side = 0.24 * np.where(np.asarray(c) > 0, 1, -1)
    yield Part("door", box(u, v, -side, -0.62, 0.13, 0.27), -0.05, BARK)
    yield Part("window", box(u, v, side, -0.33, 0.15, 0.15), -0.05, GLASS)


def car(u: Array, v: Array, a: Number, b: Number, c: Number) -> Iterator[Part]:
    """Body, cabin, window, wheels; `a` cabin height, `b` its place, `c` wheels."""
    top, shift = 0.5 + 0.1 * a, 0.12 * b
    cabin = [
        (-0.55 + shift, 0.0),
        (0.55 + shift, 0.0),
        (0.32 + shift, top),
        (-0.32 + shift, top),
    ]
    yield Part("cabin", polygon(u, v, cabin), 0.15, "main")
    glass = box(u, v, shift, 0.5 * top, 0.27, 0.3 * top, 0.03)
    yield Part("window", glass, 0.05, GLASS)
    yield Part("body", box(u, v, 0, -0.15, 0.92, 0.25, 0.12), 0.2, "main")
    for side in (-1, 1):
        wheel = circle(u, v, side * 0.52, -0.42, 0.22 + 0.04 * c)
        yield Part("wheel", wheel, 0.1, DARK)


def fish(u: Array, v: Array, a: Number, b: Number, c: Number) -> Iterator[Part]:
    """Tail, fin, body, eye; `a` height, `b` tail, `c` fin."""
    spread = 0.42 + 0.12 * b
    tail = polygon(u, v, [(-0.35, 0.0), (-0.95, spread), (-0.8, 0.0), (-0.95, -spread)])
    yield Part("tail", tail, 0.05, "second")
    fin = polygon(u, v, [(-0.15, 0.2), (0.35, 0.2), (-0.1, 0.65 + 0.12 * c)])
    yield Part("fin", fin, 0.05, "second")
    yield Part("body", ellipse(u, v, 0.15, 0, 0.68, 0.36 + 0.08 * a), 0.3, "main")
    yield Part("eye", circle(u, v, 0.5, 0.09, 0.08), 0.05, DARK)


def cup(u: Array, v: Array, a: Number, b: Number, c: Number) -> Iterator[Part]:
    """Handle, bowl, rim; `a` foot, `b` height, `c` handle."""
    top, foot = 0.55 + 0.12 * b, 0.36 + 0.1 * a
    handle = ring(u, v, 0.56, -0.02, 0.28 + 0.05 * c, 0.07)
    yield Part("handle", handle, 0.07, "main")
    bowl = [(-foot, -0.72), (foot, -0.72), (0.56, top), (-0.56, top)]
    yield Part("bowl", polygon(u, v, bowl), 0.3, "main")
    yield Part("rim", ellipse(u, v, 0, top, 0.56, 0.12), -0.08, "second")


def flower(u: Array, v: Array, a: Number, b: Number, c: Number) -> Iterator[Part]:
    """Stem, leaf, petals, heart; `a` lean, `b` petals, `c` leaf."""
    x = 0.15 * a
    yield Part("stem", capsule(u, v, 0, -0.95, x, 0.3, 0.06), 0.05, LEAF)
    leaf = ellipse(u, v, 0.26, -0.5 + 0.15 * c, 0.27, 0.1, turn=0.6)
    yield Part("leaf", leaf, 0.05, LEAF)
    angles = np.arange(6) * np.pi / 3 + 0.3
    far = 0.33 + 0.05 * b
    petals = union(
        *(
            circle(u, v, x + far * np.cos(t), 0.4 + far * np.sin(t), 0.21)
            for t in angles
        )
    )
    yield Part("petal", petals, 0.12, "main")
    yield Part("heart", circle(u, v, x, 0.4, 0.19), 0.15, YELLOW)


def boat(u: Array, v: Array, a: Number, b: Number, c: Number) -> Iterator[Part]:
    """Mast, sails, hull; `a` hull, `b` sail, `c` jib."""
    yield Part("mast", box(u, v, -0.02, 0.2, 0.05, 0.72), 0.05, BARK)
    sail = polygon(u, v, [(0.06, -0.2), (0.06, 0.88), (0.72 + 0.12 * b, -0.2)])
    yield Part("sail", sail, 0.12, "second")
    jib = polygon(u, v, [(-0.1, -0.2), (-0.1, 0.6), (-0.58 + 0.1 * c, -0.2)])
    yield Part("sail", jib, 0.1, LIGHT)
    keel = 0.52 + 0.1 * a
    hull = [(-0.92, -0.32), (0.92, -0.32), (keel, -0.78), (-keel, -0.78)]
    yield Part("hull", polygon(u, v, hull), 0.2, "main")


def bird(u: Array, v: Array, a: Number, b: Number, c: Number) -> Iterator[Part]:
    """Tail, legs, body, head, wing, beak; `a` tail, `b` head, `c` wing."""
    tail = polygon(u, v, [(-0.4, 0.0), (-0.95, 0.28 + 0.15 * a), (-0.85, -0.1)])
    yield Part("tail", tail, 0.05, "second")
    for x in (-0.08, 0.16):
        yield Part("leg", capsule(u, v, x, -0.35, x, -0.85, 0.045), 0.04, YELLOW)
    yield Part("body", ellipse(u, v, 0, -0.05, 0.58, 0.38, turn=0.25), 0.3, "main")
    high = 0.42 + 0.08 * b
    beak = polygon(u, v, [(0.66, high + 0.1), (0.66, high - 0.08), (0.95, high)])
    yield Part("beak", beak, 0.05, YELLOW)
    yield Part("head", circle(u, v, 0.48, high, 0.24), 0.22, "main")
    wing = ellipse(u, v, -0.1, 0.0, 0.36, 0.18, turn=0.5)
    yield Part("wing", wing, 0.1, "second")
    yield Part("eye", circle(u, v, 0.54, high + 0.05, 0.05 + 0.01 * c), 0.0, DARK)


def mushroom(u: Array, v: Array, a: Number, b: Number, c: Number) -> Iterator[Part]:
    """Stalk, cap, spots; `a` stalk, `b` cap, `c` spots."""
    stalk = box(u, v, 0, -0.42, 0.2 + 0.06 * a, 0.48, 0.1)
    yield Part("stalk", stalk, 0.15, LIGHT)
    dome = ellipse(u, v, 0, -0.02, 0.82, 0.72 + 0.12 * b)
    yield Part("cap", without(dome, box(u, v, 0, -0.55, 1.0, 0.5)), 0.35, "main")
    for x, y, r in ((-0.4, 0.2, 0.12), (0.05, 0.42, 0.13), (0.42, 0.15, 0.1)):
        spot = circle(u, v, x + 0.06 * c, y, r)
        yield Part("spot", spot, 0.02, LIGHT)


def lamp(u: Array, v: Array, a: Number, b: Number, c: Number) -> Iterator[Part]:
    """Pole, foot, shade; `a` foot, `b` shade, `c` pole."""
    yield Part("pole", box(u, v, 0, -0.3, 0.05 + 0.01 * c, 0.55), 0.05, DARK)
    foot = ellipse(u, v, 0, -0.85, 0.42 + 0.08 * a, 0.12)
    yield Part("foot", foot, 0.08, "second")
    wide = 0.62 + 0.1 * b
    shade = [(-wide, 0.05), (wide, 0.05), (0.32, 0.85), (-0.32, 0.85)]
    yield Part("shade", polygon(u, v, shade), 0.25, "main")


def umbrella(u: Array, v: Array, a: Number, b: Number, c: Number) -> Iterator[Part]:
    """Shaft, hook, canopy; `a` width, `b` height, `c` hook."""
    yield Part("shaft", box(u, v, 0, -0.15, 0.045, 0.62), 0.04, DARK)
    hook = without(
        ring(u, v, 0.16, -0.72, 0.16 + 0.02 * c, 0.05), box(u, v, 0.16, -0.4, 0.4, 0.3)
    )
    yield Part("hook", hook, 0.05, DARK)
    dome = ellipse(u, v, 0, 0.1, 0.88 + 0.06 * a, 0.72 + 0.1 * b)
    yield Part("canopy", without(dome, box(u, v, 0, -0.4, 1.2, 0.5)), 0.3, "main")


DRAWINGS: dict[str, Drawing] = {
    "person": person,
    "tree": tree,
    "house": house,
    "car": car,
    "fish": fish,
    "cup": cup,
    "flower": flower,
    "boat": boat,
    "bird": bird,
    "mushroom": mushroom,
    "lamp": lamp,
    "umbrella": umbrella,
}
"""How each kind is drawn, its parts from the back to the front."""

KINDS: tuple[str, ...] = tuple(DRAWINGS)

PARTS: tuple[str, ...] = (
    *("leg", "arm", "torso", "head", "trunk", "crown", "wall", "roof", "door"),
    *("window", "cabin", "body", "wheel", "tail", "fin", "eye", "handle", "bowl"),
    *("rim", "stem", "leaf", "petal", "heart", "mast", "sail", "hull", "beak"),
    *("wing", "stalk", "cap", "spot", "pole", "foot", "shade", "shaft", "hook"),
    "canopy",
)
"""Names of all parts; a part's label is its position plus 1, 0 is background."""
