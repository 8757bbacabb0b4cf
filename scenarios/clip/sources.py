"""Where a task's pictures come from: the embedded world, torchvision, folders."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from clbench.contract import InputError
from clbench.data.cache import keep_array
from clbench.data.images import resized
from clbench.pocket import source as pocket_source
from clbench.pocket.views import clip as pocket

from .folders import read_folder, read_split
from .parts import Images, Part
from .protocol import TaskSpec
from .published import read_published


def read(
    name: str, spec: TaskSpec, root: Path | None, *, size: int, cache: bool
) -> Images:
    """The pictures of task `name`.

    Args:
        name: Of the task.
        spec: Says which source it has.
        root: Folder of the data; the embedded world needs none.
        size: S, pixels on a side.
        cache: Whether decoded pictures are kept, and taken, from the cache.

    Raises:
        InputError: The data are missing or damaged.
    """
    if spec.source == "pocket":
        return _pocket(name, size, cache)
    if root is None:
        raise InputError(
            f"scenario.root is missing: name the folder that holds the data of '{name}'"
        )
    if spec.source == "folder":
        return read_folder(name, root, size, cache)
    if spec.split is not None:
        return read_split(name, spec.split, root, size, cache)
    return read_published(name, spec.source, root, size, cache)


def _pocket(name: str, size: int, cache: bool) -> Images:
    parts = []
    for part in ("train", "test"):
        key = f"pocket-clip-{name}-{part}-{size}-{pocket_source.digest()[:16]}"
        drawn = pocket.images(name, part)
        album = keep_array(key, partial(resized, drawn[0], size), cache=cache)
        parts.append(Part(album, drawn[1]))
    return Images(pocket.TASKS[name].classes, *parts)
