"""From scenes and styles to pictures and all their labels, many at once.

Every processor draws the same pixels. Sines and roots differ in their last bit from one
to the next, and products of matrices in their order; so all is computed in float64,
sums are written out, and a number is rounded before it decides on anything (`settled`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clbench.pocket.geometry import Array
from clbench.pocket.scene import COLOURS, TEXTURES, Scenes
from clbench.pocket.style import Style, columns
from clbench.pocket.things import DRAWINGS, KINDS, PARTS, Part

LIGHT = np.array([-0.45, 0.55, 0.70])
"""Direction to the lamp, a unit vector: right, up, towards the viewer."""

PAPER = np.array([0.97, 0.96, 0.93])

LUMA = np.array([0.299, 0.587, 0.114])
"""Part of each colour in the grey that the eye sees (ITU-R BT.601)."""

TAIL = 3.6
"""Normal draws are cut here: the algorithm takes a logarithm for those beyond."""

DIGITS = 9
"""Decimals that count where a number decides: which side, which of 256 levels."""


@dataclass(frozen=True)
class Pictures:
    """N pictures of S by S pixels, and what each pixel shows.

    Attributes:
        image: (N, S, S, 3) uint8 RGB.
        kind: (N, S, S) 0 for background, else 1 + the position in `KINDS`.
        part: (N, S, S) 0 for background, else 1 + the position in `PARTS`.
        thing: (N, S, S) 0 for background, else 1 + the slot of the thing.
        normal: (N, S, S, 3) unit vectors: right, up, towards the viewer.
        depth: (N, S, S) distance from the viewer; the background is at 1.
    """

    image: NDArray[np.uint8]
    kind: NDArray[np.int8]
    part: NDArray[np.int8]
    thing: NDArray[np.int8]
    normal: NDArray[np.float32]
    depth: NDArray[np.float32]

    @property
    def saliency(self) -> NDArray[np.bool_]:
        """(N, S, S) where there is a thing."""
        return self.thing > 0

    @property
    def edges(self) -> NDArray[np.bool_]:
        """(N, S, S) pixels whose right or lower neighbour shows another part."""
        label = self.thing.astype(np.int16) * (len(PARTS) + 1) + self.part
        edges = np.zeros(label.shape, dtype=bool)
        edges[:, :, :-1] |= label[:, :, :-1] != label[:, :, 1:]
        edges[:, :-1, :] |= label[:, :-1, :] != label[:, 1:, :]
        return edges


def render(
    scenes: Scenes, styles: list[Style], *, size: int, rng: np.random.Generator
) -> Pictures:
    """Draw N scenes, each in its style.

    Args:
        scenes: What is shown.
        styles: N styles.
        size: S, pixels on a side.
        rng: Where the chance marks of a style are drawn from: the hand's unsteadiness,
            strokes, grain. Labels depend on it only through the hand.
    """
    canvas = _Canvas(scenes, columns(styles), size, rng)
    for slot in range(scenes.slots):
        for number, name in enumerate(KINDS):
            shown = np.flatnonzero(scenes.kind[:, slot] == number)
            if len(shown):
                canvas.draw(name, slot, shown)
    return canvas.finish()


class _Canvas:
    """Pictures in the making: colour, lines, height and labels of every pixel."""

    def __init__(
        self,
        scenes: Scenes,
        style: Mapping[str, Array],
        size: int,
        rng: np.random.Generator,
    ) -> None:
        self.scenes, self.style, self.size, self.rng = scenes, style, size, rng
        shape = (len(scenes), size, size)
        axis = ((np.arange(size) + 0.5) / size) * 2 - 1
        self.x = np.broadcast_to(axis[None, None, :], shape)
        self.y = np.broadcast_to(-axis[None, :, None], shape)
        if bool(style["wobble"].any()):
            self.x = self.x + 0.16 * style["wobble"] * self._waves(6)
            self.y = self.y + 0.16 * style["wobble"] * self._waves(6)
        level = (axis[None, :, None, None] + 1) / 2
        sky, ground = scenes.sky[:, None, None, :], scenes.ground[:, None, None, :]
        rgb = sky * (1 - level) + ground * level
        self.rgb = np.broadcast_to(rgb, (*shape, 3)).astype(np.float64)
        blotches = np.stack([self._waves(5) for _ in range(3)], axis=-1)
        self.rgb += 0.2 * style["clutter"][..., None] * blotches
        paper = style["paper"][..., None]
        self.rgb += paper * (PAPER - self.rgb)
        self.line = np.zeros(shape)
        self.height = np.zeros(shape)
        self.depth = np.ones(shape)
        self.kind = np.zeros(shape, dtype=np.int8)
        self.part = np.zeros(shape, dtype=np.int8)
        self.thing = np.zeros(shape, dtype=np.int8)

    def draw(self, name: str, slot: int, shown: NDArray[np.int64]) -> None:
        """Put the thing in `slot` on the pictures `shown`, all of one kind."""
        scenes = self.scenes[shown]

        def column(value: NDArray[np.float32]) -> Array:
            return value[:, slot, None, None].astype(np.float64)

        scale = column(scenes.size)
        dx, dy = self.x[shown] - column(scenes.x), self.y[shown] - column(scenes.y)
        cos, sin = np.cos(column(scenes.pose)), np.sin(column(scenes.pose))
        u, v = (cos * dx + sin * dy) / scale, (cos * dy - sin * dx) / scale
        u = np.where(scenes.mirror[:, slot, None, None], -u, u)
        shape = (column(scenes.shape[..., i]) for i in range(3))
        palette = np.array(list(COLOURS.values()))
        tones = {
            "main": palette[scenes.colour[:, slot]][:, None, None, :],
            "second": palette[scenes.second[:, slot]][:, None, None, :],
        }
        pattern = _pattern(u, v, scenes.texture[:, slot])
        nearness = 0.8 * (slot + 1) / (self.scenes.slots + 1)
        for part in DRAWINGS[name](u, v, *shape):
            self._lay(part, shown, scale, tones, pattern, nearness)
            inside = settled(part.distance) < 0
            self._label(self.kind, shown, inside, KINDS.index(name) + 1)
            self._label(self.thing, shown, inside, slot + 1)

    def _lay(
        self,
        part: Part,
        shown: NDArray[np.int64],
        scale: Array,
        tones: dict[str, Array],
        pattern: Array,
        nearness: float,
    ) -> None:
        distance = part.distance * scale
        inside = settled(part.distance) < 0
        pixel = 2.0 / self.size
        cover = np.clip(0.5 - distance / pixel, 0, 1)
        if isinstance(part.tone, str):
            tone = tones[part.tone]
            if part.tone == "main":
                tone = tone * (1 - 0.55 * pattern[..., None])
        else:
            tone = np.array(part.tone)
        fill = self.style["fill"][shown][..., None]
        colour = PAPER + fill * (tone - PAPER)
        rgb = self.rgb[shown]
        self.rgb[shown] = rgb + cover[..., None] * (colour - rgb)
        reach = (0.35 + 1.3 * self.style["width"][shown]) * pixel
        line = np.exp(-((distance / reach) ** 2))
        self.line[shown] = np.maximum(self.line[shown] * (1 - cover), line)
        # A part bulges as a pillow: steep at the rim, flat towards the middle.
        depth_within = np.clip(-distance / (0.3 * scale), 0, 1)
        pillow = part.bulge * scale * np.sqrt(depth_within * (2 - depth_within))
        self.height[shown] = np.where(inside, pillow, self.height[shown])
        far = 1 - nearness - 0.2 * pillow
        self.depth[shown] = np.where(inside, far, self.depth[shown])
        self._label(self.part, shown, inside, PARTS.index(part.name) + 1)

    @staticmethod
    def _label(
        layer: NDArray[np.int8],
        shown: NDArray[np.int64],
        inside: NDArray[np.bool_],
        value: int,
    ) -> None:
        layer[shown] = np.where(inside, np.int8(value), layer[shown])

    def finish(self) -> Pictures:
        """Light, lines and surface, in the order of a hand; then 8 bits."""
        style, rgb = self.style, self.rgb
        normal = self._normals()
        lit = np.clip(_weighted(normal, LIGHT), 0, 1)
        # 1 on the flat background, so that shading is about things.
        light = 0.25 + 0.75 * lit / LIGHT[2]
        shade = 1 + style["shading"] * (light - 1)
        rgb *= np.where(self.thing > 0, shade, 1)[..., None]
        grey = _weighted(rgb, LUMA)
        rgb[...] = grey[..., None] + 2 * style["saturation"][..., None] * (
            rgb - grey[..., None]
        )
        rgb += 0.16 * style["stroke"][..., None] * self._strokes()[..., None]
        levels = np.round(settled(np.clip(rgb, 0, 1) * 3)) / 3
        rgb += style["poster"][..., None] * (levels - rgb)
        rgb -= (style["hatch"] * self._hatching(lit))[..., None]
        rgb *= 1 - (style["outline"] * self.line)[..., None]
        warm = 0.3 * (style["warmth"][..., None] - 0.5)
        rgb *= 1 + warm * np.array([1, 0, -1])
        soft = _smooth(_smooth(rgb))
        rgb += style["blur"][..., None] * (soft - rgb)
        noise = self._normal(rgb.shape[:3])
        rgb += 0.13 * style["grain"][..., None] * noise[..., None]
        image = np.clip(settled(rgb * 255 + 0.5), 0, 255).astype(np.uint8)
        surface = settled(normal).astype(np.float32)
        depth = settled(self.depth).astype(np.float32)
        return Pictures(image, self.kind, self.part, self.thing, surface, depth)

    def _normal(self, shape: tuple[int, ...]) -> Array:
        """Draws of the normal distribution, none further out than `TAIL`."""
        drawn = self.rng.standard_normal(shape, dtype=np.float32)
        return np.clip(drawn, -TAIL, TAIL).astype(np.float64)

    def _normals(self) -> Array:
        pixel = 2.0 / self.size
        # Of a single axis numpy gives an array, though its types say a tuple too.
        down = np.asarray(np.gradient(self.height, pixel, axis=1))
        right = np.asarray(np.gradient(self.height, pixel, axis=2))
        length = np.sqrt(right * right + down * down + 1)
        unit: Array = np.stack([-right, down, np.ones_like(right)], axis=-1)
        return unit / length[..., None]

    def _hatching(self, lit: Array) -> Array:
        """Slanted lines on things, denser where less light falls."""
        stripes = 0.5 + 0.5 * np.sin((self.x + self.y) * (0.7 * self.size))
        dark = np.clip(1.25 - 1.2 * lit, 0, 1) * (self.thing > 0)
        lines: Array = 0.75 * dark * stripes
        return lines

    def _waves(self, cells: int) -> Array:
        """(N, S, S) smooth noise of about unit size, `cells` bumps across."""
        count, size = len(self.scenes), self.size
        coarse = self._normal((count, cells, cells))
        place = np.linspace(0, cells - 1, size)
        low = np.minimum(place.astype(int), cells - 2)
        part = place - low
        part = part * part * (3 - 2 * part)
        rows = coarse[:, low] * (1 - part)[None, :, None]
        rows += coarse[:, low + 1] * part[None, :, None]
        field: Array = rows[:, :, low] * (1 - part) + rows[:, :, low + 1] * part
        return field

    def _strokes(self) -> Array:
        """(N, S, S) noise drawn out along one diagonal, as a brush leaves it."""
        field = self._waves(max(6, self.size // 3))
        drawn = field.copy()
        for step in (1, 2):
            drawn += np.roll(field, (step, step), axis=(1, 2))
        drawn /= 2.2
        return drawn


def _pattern(u: Array, v: Array, texture: NDArray[np.int64]) -> Array:
    """(N, S, S) darkness in [0, 1] of each thing's texture."""
    texture = texture[:, None, None]
    stripes = settled(np.sin(9 * v)) > 0
    dots = settled(np.sin(8 * u) * np.sin(8 * v)) > 0.35
    checks = (settled(np.sin(6.5 * u)) > 0) ^ (settled(np.sin(6.5 * v)) > 0)
    dark = np.zeros(u.shape, dtype=bool)
    for name, marks in (("stripes", stripes), ("dots", dots), ("checks", checks)):
        dark |= (texture == TEXTURES.index(name)) & marks
    return dark.astype(np.float64)


def settled(value: Array) -> Array:
    """`value` to `DIGITS` decimals, so that its last bits decide nothing."""
    rounded: Array = np.round(value, DIGITS)
    return rounded


def _weighted(vectors: Array, weights: Array) -> Array:
    """(..., 3) -> (...): the weighted sum, in one order on every machine."""
    a, b, c = weights
    total: Array = vectors[..., 0] * a + vectors[..., 1] * b + vectors[..., 2] * c
    return total


def _smooth(rgb: Array) -> Array:
    """`rgb` through a 3 by 3 binomial filter, edges repeated."""
    padded = np.pad(rgb, ((0, 0), (1, 1), (0, 0), (0, 0)), mode="edge")
    rgb = 0.25 * padded[:, :-2] + 0.5 * padded[:, 1:-1] + 0.25 * padded[:, 2:]
    padded = np.pad(rgb, ((0, 0), (0, 0), (1, 1), (0, 0)), mode="edge")
    smooth = 0.25 * padded[:, :, :-2] + 0.5 * padded[:, :, 1:-1]
    smooth += 0.25 * padded[:, :, 2:]
    return smooth
