"""Tasks in folders: classes of images, and MNIST's own files."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clbench.contract import InputError
from clbench.data.cache import keep_array
from clbench.data.images import EXTENSIONS, read_images, resized

from .parts import Images, Part, split


def read_folder(name: str, root: Path, size: int, cache: bool) -> Images:
    """`root/name/class/images`, `root/name/{train,test}/class/images`, or idx files."""
    folder = root / name
    if not folder.is_dir():
        here = ", ".join(sorted(p.name for p in root.iterdir() if p.is_dir()))
        raise InputError(
            f"scenario.datasets: there is no folder '{name}' in {root}; it has "
            f"{here or 'none'}"
        )
    if idx := sorted(folder.glob("*-images-idx3-ubyte*")):
        return _idx(name, idx, size, cache)
    if (folder / "train").is_dir() and (folder / "test").is_dir():
        classes = _classes(folder / "train", name)
        parts = [
            _files_part(folder / part, classes, root, size, f"{name} {part}", cache)
            for part in ("train", "test")
        ]
        return Images(classes, *parts)
    classes = _classes(folder, name)
    whole = _files_part(folder, classes, root, size, name, cache)
    return Images(classes, *split(whole))


def _classes(folder: Path, name: str) -> tuple[str, ...]:
    classes = tuple(sorted(p.name for p in folder.iterdir() if p.is_dir()))
    if len(classes) < 2:
        raise InputError(
            f"{folder}: found {len(classes)} class folders, '{name}' needs at least 2; "
            f"the layout is {name}/class/images, or {name}/train/class/images and "
            f"{name}/test/class/images"
        )
    return classes


def _files_part(
    folder: Path,
    classes: Sequence[str],
    root: Path,
    size: int,
    title: str,
    cache: bool,
) -> Part:
    paths: list[Path] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        found = sorted(
            path
            for path in (folder / name).rglob("*")
            if path.suffix.lower() in EXTENSIONS and not path.name.startswith(".")
        )
        if not found:
            raise InputError(f"{folder / name}: no image in that folder")
        paths += found
        labels += [label] * len(found)
    album = read_images(paths, size, root=root, title=title, cache=cache, fit="crop")
    return Part(album, np.array(labels, dtype=np.int64))


def _idx(name: str, files: Sequence[Path], size: int, cache: bool) -> Images:
    """MNIST's own format: `*-images-idx3-ubyte` and `*-labels-idx1-ubyte`, gz or not.

    Files called `train-...` are learned from and `t10k-...` judge; where only one of
    them is there, it is split.
    """
    found = {}
    for path in files:
        labels_path = path.with_name(path.name.replace("images-idx3", "labels-idx1"))
        if not labels_path.is_file():
            raise InputError(f"{path}: its labels are missing ({labels_path.name})")
        pixels, labels = read_idx(path), read_idx(labels_path)
        if len(pixels) != len(labels):
            raise InputError(
                f"{path} holds {len(pixels)} images, {labels_path.name} {len(labels)} "
                f"labels: they do not belong together"
            )
        key = hashlib.sha256(pixels.tobytes()).hexdigest()[:24]
        album = keep_array(
            f"idx-{key}-{size}",
            partial(resized, np.stack([pixels] * 3, axis=-1), size),
            cache=cache,
        )
        part = "train" if path.name.startswith("train") else "test"
        found[part] = Part(album, labels.astype(np.int64))
    classes = tuple(map(str, np.unique(next(iter(found.values())).labels)))
    if set(found) == {"train", "test"}:
        return Images(classes, found["train"], found["test"])
    return Images(classes, *split(next(iter(found.values()))))


def read_idx(path: Path) -> NDArray[np.uint8]:
    """The array of an idx file of bytes, compressed or not.

    Raises:
        InputError: It is no such file, or is cut short.
    """
    opened: Callable[..., Any] = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rb") as file:
            content: bytes = file.read()
        kind, axes = content[2], content[3]
        shape = tuple(
            int.from_bytes(content[4 + 4 * i : 8 + 4 * i], "big") for i in range(axes)
        )
        values = np.frombuffer(content, np.uint8, offset=4 + 4 * axes)
        if content[:2] != b"\0\0" or kind != 8:
            raise ValueError("its first bytes are not those of bytes in idx format")
        return values.reshape(shape)
    except (OSError, EOFError, IndexError, ValueError) as error:
        raise InputError(
            f"{path} is no idx file of bytes, or is damaged: {error}"
        ) from (error)
