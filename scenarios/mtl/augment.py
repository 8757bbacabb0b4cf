"""Flips, turns and scales that act on images and all their labels alike.

As MTLoRA trains: mirrored with chance 1/2, scaled by 0.75 to 1.25, turned by up to 20
degrees, all about the centre. Images and normals are interpolated, other labels take
the nearest pixel; what comes from outside is black and ignored. Normals are vectors:
they are mirrored and turned with the picture, not only moved.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from clbench.contract import Batch
from clbench.data.augment import to_float
from clbench.metrics.dense import IGNORED

SCALES = (0.75, 1.25)
TURN = math.radians(20)

FAINT = 0.5
"""Length under which an interpolated normal is mostly of ignored pixels."""


def augment(batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
    """`batch` with every example mirrored, scaled and turned in its own way.

    Args:
        batch: As `Layout.unpack` gives it, on any device.
        generator: Of the CPU; the numbers are drawn there.
    """
    count = len(batch["image"])
    mirror, scale, turn = torch.rand(3, count, generator=generator)
    low, high = SCALES
    return transform(
        batch,
        mirrored=mirror < 0.5,
        scale=low + (high - low) * scale,
        turn=TURN * (2 * turn - 1),
    )


def transform(
    batch: Batch, *, mirrored: Tensor, scale: Tensor, turn: Tensor
) -> dict[str, Tensor]:
    """`batch`, each example mirrored where asked, then scaled and turned.

    Args:
        batch: As in `augment`.
        mirrored: (B,) bool.
        scale: (B,) factors; above 1 things grow.
        turn: (B,) radians, anticlockwise as the picture is looked at.
    """
    image = to_float(batch["image"])
    sign = 1 - 2 * mirrored.to(image)
    turn, scale = turn.to(image), scale.to(image)
    cos, sin = turn.cos(), turn.sin()
    # From a place of the new picture to that of the old; y points down.
    rows = torch.stack(
        [
            torch.stack([sign * cos, -sign * sin, torch.zeros_like(cos)], -1),
            torch.stack([sin, cos, torch.zeros_like(cos)], -1),
        ],
        dim=1,
    )
    matrix = rows / scale[:, None, None]
    grid = F.affine_grid(matrix, list(image.shape), align_corners=False)
    made: dict[str, Tensor] = {}
    for name, value in batch.items():
        if name == "image":
            made[name] = _sampled(image, grid, "bicubic").clamp(0, 1)
        elif name == "normals":
            made[name] = _normals(value, grid, sign, cos, sin)
        else:
            made[name] = _labels(value, grid)
    return made


def _normals(
    normals: Tensor, grid: Tensor, sign: Tensor, cos: Tensor, sin: Tensor
) -> Tensor:
    valid = (normals != IGNORED).all(1, keepdim=True)
    moved = _sampled(normals * valid, grid, "bilinear")
    length = moved.norm(dim=1, keepdim=True)
    x, y, z = (moved / length.clamp_min(FAINT)).unbind(1)
    x = x * sign[:, None, None]
    c, s = cos[:, None, None], sin[:, None, None]
    turned = torch.stack([c * x - s * y, s * x + c * y, z], dim=1)
    return turned.masked_fill(length < FAINT, IGNORED)


def _labels(label: Tensor, grid: Tensor) -> Tensor:
    flat = label[:, None] if label.dim() == 3 else label
    # Shifted, so that the 0 of what comes from outside is the ignored label.
    moved = _sampled(flat.to(grid) - IGNORED, grid, "nearest") + IGNORED
    if label.dim() == 3:
        return moved.squeeze(1).to(label.dtype)
    return moved.to(label.dtype)


def _sampled(value: Tensor, grid: Tensor, mode: str) -> Tensor:
    return F.grid_sample(
        value, grid, mode=mode, padding_mode="zeros", align_corners=False
    )
