"""Tasks in folders: classes of images, lists of images, and MNIST's own files."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError

from clbench.contract import InputError
from clbench.data.cache import keep_array
from clbench.data.images import EXTENSIONS, read_images, resized

from .parts import Images, Part, split
from .protocol import SplitFile

LISTS = "https://github.com/KaiyangZhou/CoOp/blob/main/DATASETS.md"
"""Where CoOp's lists of images, and how their images are laid out, can be had."""


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


class Lists(BaseModel):
    """The images of a dataset: path, label and name of the class of each."""

    train: list[tuple[str, int, str]]
    test: list[tuple[str, int, str]]


def read_split(
    name: str, listed: SplitFile, root: Path, size: int, cache: bool
) -> Images:
    """Images and names of classes as a list has them (Zhou et al., CoOp, IJCV 2022).

    Raises:
        InputError: The list or an image is missing, or the list is damaged.
    """
    path = root / listed.file
    if not path.is_file():
        raise InputError(
            f"scenario.root={root}: '{name}' needs {listed.file}, the list of its "
            f"images; get it from {LISTS}"
        )
    try:
        lists = Lists.model_validate_json(path.read_bytes())
    except ValidationError as error:
        line = " ".join(str(error).split())
        raise InputError(f"{path} is no list of images: {line[:200]}") from error
    names = {label: title for _, label, title in [*lists.train, *lists.test]}
    if sorted(names) != list(range(len(names))):
        raise InputError(f"{path}: its labels are not 0 to {len(names) - 1}")
    parts = []
    for title, entries in (("train", lists.train), ("test", lists.test)):
        files = [root / listed.images / file for file, _, _ in entries]
        if missing := [file for file in files if not file.is_file()]:
            raise InputError(
                f"{path}: {len(missing)} of {len(files)} images are missing, the first "
                f"is {missing[0]}"
            )
        album = read_images(
            files, size, root=root, title=f"{name} {title}", cache=cache, fit="crop"
        )
        labels = np.array([label for _, label, _ in entries], dtype=np.int64)
        parts.append(Part(album, labels))
    return Images(tuple(names[label] for label in range(len(names))), *parts)


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
