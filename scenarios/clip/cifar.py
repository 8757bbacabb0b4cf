"""CIFAR-100 from its binary version: the one that torchvision reads is pickles."""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clbench.contract import InputError
from clbench.data.cache import keep_array
from clbench.data.images import resized

from .parts import Images, Part

FOLDER = "cifar-100-binary"

URL = "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz"

SIDE = 32
"""Pixels on a side."""

ROW = 2 + 3 * SIDE * SIDE
"""Bytes of a picture: its coarse label, its fine label, red, green and blue."""


def read_cifar100(root: Path, size: int, cache: bool) -> Images:
    """Pictures, fine labels and their names.

    Args:
        root: Folder that holds `cifar-100-binary`.
        size: S, pixels on a side.
        cache: Whether resized pictures are kept, and taken, from the cache.

    Raises:
        InputError: A file is missing or has another length than it should.
    """
    folder = root / FOLDER
    names = _names(folder / "fine_label_names.txt", root)
    parts = [
        _part(folder / f"{part}.bin", len(names), size, cache)
        for part in ("train", "test")
    ]
    return Images(names, *parts)


def _names(path: Path, root: Path) -> tuple[str, ...]:
    if not path.is_file():
        raise InputError(
            f"scenario.root={root}: no {FOLDER}/{path.name} there; CIFAR-100 is read "
            f"from its binary version ({URL}), as the other one is pickles, which can "
            f"run code when they are read"
        )
    return tuple(path.read_text().split())


def _part(path: Path, classes: int, size: int, cache: bool) -> Part:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    count, rest = divmod(len(content), ROW)
    if rest or not count:
        raise InputError(
            f"{path}: {len(content)} bytes are no number of pictures of {ROW} bytes "
            f"each; get it again from {URL}"
        )
    rows = np.frombuffer(content, np.uint8).reshape(count, ROW)
    labels: NDArray[np.int64] = rows[:, 1].astype(np.int64)
    if labels.max() >= classes:
        raise InputError(f"{path}: label {labels.max()} of {classes} classes")
    pictures = rows[:, 2:].reshape(count, 3, SIDE, SIDE).transpose(0, 2, 3, 1)
    key = hashlib.sha256(content).hexdigest()[:24]
    album = keep_array(
        f"cifar100-{key}-{size}",
        partial(resized, np.ascontiguousarray(pictures), size),
        cache=cache,
    )
    return Part(album, labels)
