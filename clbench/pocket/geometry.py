"""Signed distances of analytic shapes: negative inside, in the units of their plane.

All functions broadcast: coordinates are `(N, S, S)`, every other argument is a number
or an array `(N, 1, 1)`, so that one call draws a shape in N images at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]
Number = Any
"""A float, or an array that broadcasts against the plane's coordinates."""


def circle(u: Array, v: Array, x: Number, y: Number, r: Number) -> Array:
    """Distance to a disc of radius `r` around `(x, y)`."""
    return _f(np.hypot(u - x, v - y) - r)


def ellipse(
    u: Array, v: Array, x: Number, y: Number, a: Number, b: Number, turn: float = 0.0
) -> Array:
    """Approximate distance to an ellipse of half axes `a`, `b`, turned by `turn` rad.

    Exact on the outline and of the right sign everywhere; off the outline it is the
    first-order estimate k(k - 1)/|grad k|, where the ellipse scaled by k goes through
    the point.
    """
    p, q = u - x, v - y
    if turn:
        c, s = np.cos(turn), np.sin(turn)
        p, q = c * p + s * q, c * q - s * p
    scale = np.hypot(p / a, q / b)
    slope = np.hypot(p / (a * a), q / (b * b))
    return _f(scale * (scale - 1) / np.maximum(slope, 1e-6))


def box(
    u: Array,
    v: Array,
    x: Number,
    y: Number,
    a: Number,
    b: Number,
    corner: float = 0.0,
) -> Array:
    """Distance to a box of half sides `a`, `b` with corners rounded by `corner`."""
    p, q = np.abs(u - x) - (a - corner), np.abs(v - y) - (b - corner)
    outside = np.hypot(np.maximum(p, 0), np.maximum(q, 0))
    return _f(outside + np.minimum(np.maximum(p, q), 0) - corner)


def capsule(
    u: Array, v: Array, x0: Number, y0: Number, x1: Number, y1: Number, r: Number
) -> Array:
    """Distance to a stroke of radius `r` from `(x0, y0)` to `(x1, y1)`."""
    dx, dy = x1 - x0, y1 - y0
    along = ((u - x0) * dx + (v - y0) * dy) / (dx * dx + dy * dy)
    along = np.clip(along, 0, 1)
    return _f(np.hypot(u - x0 - along * dx, v - y0 - along * dy) - r)


def polygon(u: Array, v: Array, corners: Sequence[tuple[Number, Number]]) -> Array:
    """Distance to a polygon through `corners`, given in order, either way round."""
    nearest: Array | None = None
    inside = np.zeros(np.broadcast(u, v).shape, dtype=bool)
    for (x0, y0), (x1, y1) in zip(corners, [*corners[1:], corners[0]], strict=True):
        edge = capsule(u, v, x0, y0, x1, y1, 0.0)
        nearest = edge if nearest is None else _f(np.minimum(nearest, edge))
        dy = np.asarray(y1 - y0)
        safe = np.where(np.abs(dy) < 1e-9, 1e-9, dy)
        crossing = x0 + (v - y0) * (x1 - x0) / safe
        inside ^= ((v > y0) != (v > y1)) & (u < crossing)
    assert nearest is not None
    return _f(np.where(inside, -nearest, nearest))


def ring(
    u: Array, v: Array, x: Number, y: Number, r: Number, thickness: Number
) -> Array:
    """Distance to a ring of radius `r` and half `thickness` around `(x, y)`."""
    return _f(np.abs(np.hypot(u - x, v - y) - r) - thickness)


def union(*shapes: Array) -> Array:
    """Distance to whichever shape is nearest."""
    nearest = shapes[0]
    for shape in shapes[1:]:
        nearest = np.minimum(nearest, shape)
    return nearest


def without(shape: Array, hole: Array) -> Array:
    """`shape` less `hole`; a bound on the distance near the cut."""
    return _f(np.maximum(shape, -hole))


def _f(value: Any) -> Array:
    return np.asarray(value, dtype=np.float64)
