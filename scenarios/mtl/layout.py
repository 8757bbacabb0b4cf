"""All labels of a picture beside its pixels, as the bytes of one array.

So the images of a dataset and everything known of them are one entry of the cache.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from clbench.metrics.dense import IGNORED

BYTES = {"image": 3, "normals": 3, "depth": 2}
"""Bytes of a pixel, where it is not one."""

UNIT = 127
"""A normal's component of 1."""


class Layout:
    """Where each label of `tasks` lies among the bytes of a pixel.

    Args:
        tasks: In the order in which they lie after the image.
    """

    def __init__(self, tasks: Sequence[str]) -> None:
        self.tasks = tuple(tasks)
        self._places: dict[str, slice] = {}
        end = 0
        for name in ("image", *self.tasks):
            start, end = end, end + BYTES.get(name, 1)
            self._places[name] = slice(start, end)
        self.width = end

    def pack(self, example: Mapping[str, NDArray[np.generic]]) -> NDArray[np.uint8]:
        """(..., C) bytes of what a `Source` loads, its pictures stacked or not."""
        image = example["image"]
        packed = np.empty((*image.shape[:-1], self.width), dtype=np.uint8)
        for name, place in self._places.items():
            value = example[name]
            if name == "normals":
                vectors = np.rint(value.astype(np.float32) * UNIT) + UNIT + 1
                empty = ~value.astype(bool).any(-1, keepdims=True)
                packed[..., place] = np.where(empty, 0, vectors)
            elif name == "depth":
                packed[..., place] = (
                    np.ascontiguousarray(value, dtype=np.float16)[..., None]
                    .view(np.uint8)
                    .reshape(*value.shape, 2)
                )
            else:
                packed[..., place] = value if name == "image" else value[..., None]
        return packed

    def unpack(self, packed: NDArray[np.uint8]) -> dict[str, Tensor]:
        """`image` (B, S, S, 3) uint8, and labels as losses take them.

        `semseg` and `human_parts` (B, S, S) int64; `sal`, `edge` and `depth`
        (B, 1, S, S) and `normals` (B, 3, S, S) float32; 255 is ignored in all.
        """
        return {
            name: _unpacked(name, np.ascontiguousarray(packed[..., place]))
            for name, place in self._places.items()
        }


def _unpacked(name: str, packed: NDArray[np.uint8]) -> Tensor:
    value = torch.from_numpy(packed)
    if name == "image":
        return value
    if name in ("semseg", "human_parts"):
        return value.squeeze(-1).long()
    if name == "normals":
        empty = (value == 0).all(-1, keepdim=True)
        vectors = (value.float() - UNIT - 1) / UNIT
        return vectors.masked_fill(empty, IGNORED).permute(0, 3, 1, 2).contiguous()
    if name == "depth":
        depth = torch.from_numpy(packed.view(np.float16).astype(np.float32))
        return depth.nan_to_num(IGNORED).permute(0, 3, 1, 2)
    return value.float().permute(0, 3, 1, 2)
