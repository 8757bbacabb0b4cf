"""What each dataset offers, and its pictures, packed into the cache."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from clbench.contract import InputError, nearest
from clbench.data.cache import Album, entry, keep_array, new_array, pixels_hash
from clbench.pocket import source as world
from clbench.pocket.things import KINDS
from clbench.pocket.views import mtl as view

from .layout import Layout
from .pascal import pascal
from .source import Source
from .tasks import TASKS
from .voc_parts import voc_parts

Dataset = Literal["pocket", "pascal", "voc_parts"]

Part = Literal["train", "test"]

FIXED = {"sal": 1, "normals": 3, "edge": 1, "depth": 1}
"""Channels of predictions that no dataset decides."""

OUTPUTS: dict[str, dict[str, int]] = {
    "pocket": {
        "semseg": 1 + len(KINDS),
        "human_parts": 1 + len(view.PERSON_PARTS),
        **FIXED,
    },
    "pascal": {"semseg": 21, "human_parts": 7, "sal": 1, "normals": 3, "edge": 1},
    "voc_parts": {"semseg": 21, "human_parts": 7, "sal": 1, "edge": 1},
}
"""Dataset -> task -> channels of its prediction."""

SIZES = {"pocket": view.SIZE, "pascal": 448, "voc_parts": 224}
"""Pixels on a side that suit the backbones it is usually learned with."""

VERSION = 1
"""Raised whenever a byte in the cache could change."""


def read(
    dataset: Dataset,
    root: Path | None,
    part: Part,
    *,
    tasks: Sequence[str],
    size: int,
    cache: bool,
) -> Album:
    """The pictures of one part with the labels of `tasks`, as `Layout` packs them.

    Raises:
        InputError: The data are not there, or do not have such labels.
    """
    layout = Layout(tasks)
    if dataset == "pocket":
        return _pocket(part, layout, cache)
    if root is None:
        raise InputError(
            f"scenario.dataset={dataset} needs scenario.root=DIR, the folder of its "
            f"pictures (docs/scenarios/mtl.md)"
        )
    return _real(dataset, root, part, layout, size, cache)


def _pocket(part: Part, layout: Layout, cache: bool) -> Album:
    def make() -> NDArray[np.uint8]:
        drawn = view.pictures(part)
        # Paper has no surface: only things have normals.
        thing = drawn.saliency[..., None]
        known: Mapping[str, NDArray[np.generic]] = {
            "image": drawn.image,
            "semseg": drawn.kind.astype(np.uint8),
            "human_parts": view.person_parts(drawn),
            "sal": drawn.saliency.astype(np.uint8),
            "normals": drawn.normal * thing,
            "edge": drawn.edges.astype(np.uint8),
            "depth": drawn.depth,
        }
        return layout.pack(known)

    name = f"mtl-{part}-{'-'.join(layout.tasks)}-{world.digest()[:16]}"
    return keep_array(name, make, cache=cache)


def _real(
    dataset: Dataset, root: Path, part: Part, layout: Layout, size: int, cache: bool
) -> Album:
    readers: dict[str, Callable[..., Source]] = {
        "pascal": pascal,
        "voc_parts": voc_parts,
    }
    split = "train" if part == "train" else "val"
    source = readers[dataset](root, split, layout.tasks)
    shape = (len(source.names), size, size, layout.width)

    def fill(array: NDArray[np.uint8]) -> None:
        rows = tqdm(
            range(len(source.names)),
            desc=f"read {dataset} {part}",
            unit="picture",
            leave=False,
            disable=None,
        )
        for row in rows:
            loaded = source.load(row, layout.tasks)
            array[row] = layout.pack(resized(loaded, size))

    if not cache:
        made = np.empty(shape, dtype=np.uint8)
        fill(made)
        return Album(made, pixels_hash(made))

    def write(partial: Path) -> str:
        array = new_array(partial, shape)
        fill(array)
        array.flush()
        return pixels_hash(array)

    what = f"{'-'.join(layout.tasks)}-{size}-v{VERSION}-{source.fingerprint[:16]}"
    return entry(f"mtl-{dataset}-{part}-{what}", write)


def resized(
    example: Mapping[str, NDArray[np.generic]], size: int
) -> dict[str, NDArray[np.generic]]:
    """A picture and its labels at `size` by `size`; its aspect ratio is not kept.

    Images and normals are interpolated (cubic), all else takes the nearest pixel.
    """
    made: dict[str, NDArray[np.generic]] = {}
    for name, value in example.items():
        if name == "image":
            made[name] = _scaled(value, size, Image.Resampling.BICUBIC)
        elif name == "normals":
            parts = [
                _scaled(value[..., axis], size, Image.Resampling.BICUBIC)
                for axis in range(3)
            ]
            vector = np.stack(parts, axis=-1).astype(np.float32)
            length = np.linalg.norm(vector, axis=-1, keepdims=True)
            # Where it is short, most of the pixels around were ignored.
            made[name] = np.where(length < 0.5, 0, vector / np.maximum(length, 0.5))
        else:
            made[name] = _scaled(value, size, Image.Resampling.NEAREST)
    return made


def _scaled(
    value: NDArray[np.generic], size: int, how: Image.Resampling
) -> NDArray[np.generic]:
    return np.asarray(Image.fromarray(value).resize((size, size), how))


def check_tasks(dataset: Dataset, tasks: Sequence[str]) -> None:
    """Refuse tasks that there are not, or that `dataset` has no labels of.

    Raises:
        InputError: One line that names the first of them and those that can be had.
    """
    offered = OUTPUTS[dataset]
    for task in tasks:
        if task not in TASKS:
            raise InputError(
                f"scenario.tasks: '{task}' is no task{nearest(task, TASKS)} "
                f"(all: {', '.join(TASKS)})"
            )
        if task not in offered:
            raise InputError(
                f"scenario.tasks: {dataset} has no labels of '{task}'; it has those of "
                f"{', '.join(offered)}"
            )
    if len(set(tasks)) < len(tasks) or not tasks:
        raise InputError(
            f"scenario.tasks=[{','.join(tasks)}]: name each task once, at least one"
        )
