"""A world of squares and a narrow Swin of two stages, for the toy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from clbench.data.cache import Album, pixels_hash
from clbench.models.pyramid import SwinPyramid

from .layout import Layout

OUTPUTS = {"semseg": 3, "sal": 1, "normals": 3}

SIZE = 16


def album(part: str, tasks: Sequence[str]) -> Album:
    """Squares of two colours; they tilt to the side on which they are."""
    rng = np.random.default_rng(len(part))
    count = 12
    image = rng.integers(0, 80, (count, SIZE, SIZE, 3)).astype(np.uint8)
    kind = np.zeros((count, SIZE, SIZE), dtype=np.uint8)
    normals = np.zeros((count, SIZE, SIZE, 3), dtype=np.float32)
    for number in range(count):
        colour = number % 2
        x, y = rng.integers(0, SIZE - 8, 2)
        place = (number, slice(y, y + 8), slice(x, x + 8))
        image[(*place, colour)] = 230
        kind[place] = 1 + colour
        side = 1 if x > SIZE // 4 else -1
        normals[place] = np.array([0.6 * side, 0, 0.8])
    known: dict[str, NDArray[Any]] = {
        "image": image,
        "semseg": kind,
        "sal": (kind > 0).astype(np.uint8),
        "normals": normals,
    }
    packed = Layout(tasks).pack(known)
    return Album(packed, pixels_hash(packed))


def backbone() -> SwinPyramid:
    """timm's Swin of two stages of width 16, drawn from a fixed seed."""
    from timm.models.swin_transformer import SwinTransformer

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        body = SwinTransformer(
            img_size=SIZE,
            patch_size=2,
            embed_dim=16,
            depths=(1, 2),
            num_heads=(2, 2),
            window_size=4,
            num_classes=0,
            drop_path_rate=0.0,
        )
    return SwinPyramid(body)
