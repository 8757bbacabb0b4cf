"""Styles: how a scene is drawn, as a point in a space of continuous parameters.

Four points have names and are the domains of the dg view. Models of the embedded world
are pre-trained on styles drawn from the space around, never near a named one.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Style:
    """One style; every parameter lies in [0, 1], and 0 leaves its effect out.

    Attributes:
        shading: Light and dark from surface normals, as a lamp at the upper left casts.
        outline: Darkness of the lines around parts.
        width: Width of these lines, from a hair to a tenth of the thing.
        fill: How much of the things' colours is laid on; the rest is paper.
        paper: How much of the background is blank paper.
        saturation: From grey over natural (0.5) to vivid.
        poster: How strongly colours are reduced to a few levels.
        hatch: Hatching of dark areas by slanted lines.
        wobble: Unsteadiness of the hand: how far outlines wander.
        stroke: Visible brush strokes: coherent variation of colour.
        clutter: Blotches of the background.
        warmth: From bluish over neutral (0.5) to reddish light.
        blur: Softness.
        grain: Noise of single pixels.
    """

    shading: float = 0.5
    outline: float = 0.0
    width: float = 0.3
    fill: float = 1.0
    paper: float = 0.0
    saturation: float = 0.5
    poster: float = 0.0
    hatch: float = 0.0
    wobble: float = 0.0
    stroke: float = 0.0
    clutter: float = 0.3
    warmth: float = 0.5
    blur: float = 0.2
    grain: float = 0.1

    def distance(self, other: Style) -> float:
        """Root mean square difference of the parameters, in [0, 1]."""
        gap = np.subtract(astuple(self), astuple(other))
        return float(np.sqrt(np.mean(gap**2)))


NAMED: dict[str, Style] = {
    "photo": Style(
        shading=0.95,
        outline=0.0,
        width=0.0,
        fill=1.0,
        paper=0.0,
        saturation=0.42,
        poster=0.0,
        hatch=0.0,
        wobble=0.0,
        stroke=0.0,
        clutter=0.6,
        warmth=0.5,
        blur=0.5,
        grain=0.2,
    ),
    "cartoon": Style(
        shading=0.1,
        outline=1.0,
        width=0.55,
        fill=1.0,
        paper=0.25,
        saturation=0.95,
        poster=0.95,
        hatch=0.0,
        wobble=0.05,
        stroke=0.0,
        clutter=0.0,
        warmth=0.55,
        blur=0.0,
        grain=0.0,
    ),
    "sketch": Style(
        shading=0.35,
        outline=0.9,
        width=0.2,
        fill=0.04,
        paper=1.0,
        saturation=0.0,
        poster=0.0,
        hatch=0.8,
        wobble=0.5,
        stroke=0.05,
        clutter=0.0,
        warmth=0.5,
        blur=0.1,
        grain=0.3,
    ),
    "painting": Style(
        shading=0.5,
        outline=0.1,
        width=0.3,
        fill=0.85,
        paper=0.0,
        saturation=0.65,
        poster=0.2,
        hatch=0.0,
        wobble=0.6,
        stroke=0.75,
        clutter=0.45,
        warmth=0.85,
        blur=0.6,
        grain=0.0,
    ),
}
"""The named styles, the domains of the dg view."""

HELD_OUT = 0.22
"""No style is drawn nearer than this to a named one."""


def near(style: Style, rng: np.random.Generator, spread: float = 0.04) -> Style:
    """A style a little off `style`, as two drawings of one hand differ.

    Args:
        style: The middle.
        rng: Where the difference is drawn from.
        spread: Largest difference of a parameter.
    """
    values = np.array(astuple(style))
    values = np.clip(values + rng.uniform(-spread, spread, values.shape), 0, 1)
    return Style(**dict(zip(_NAMES, values.tolist(), strict=True)))


def draw(rng: np.random.Generator) -> Style:
    """A style from the whole space, at least `HELD_OUT` from every named one.

    Six of ten effects are absent on average, as in the named styles.
    """
    while True:
        values = rng.random(len(_NAMES))
        present = rng.random(len(_NAMES)) < 0.4
        style = Style(**dict(zip(_NAMES, values.tolist(), strict=True)))
        absent = {n: 0.0 for n, p in zip(_NAMES, present, strict=True) if not p}
        for name in ("fill", "saturation", "warmth", "width"):
            absent.pop(name, None)
        style = replace(style, **absent)
        if min(style.distance(named) for named in NAMED.values()) >= HELD_OUT:
            return style


def columns(styles: list[Style]) -> dict[str, NDArray[np.float64]]:
    """Parameters of N styles by name, each (N, 1, 1)."""
    table = np.array([astuple(style) for style in styles])
    return {name: table[:, i, None, None] for i, name in enumerate(_NAMES)}


_NAMES: tuple[str, ...] = tuple(f.name for f in fields(Style))
