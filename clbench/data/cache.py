"""Pictures kept between cells: made once, then mapped from a file in the cache.

An entry is written under a lock and moved into place whole, so that cells and processes
share it.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray
from platformdirs import user_cache_dir

from clbench.contract import InputError


class Pictures(Protocol):
    """(N, S, S, 3) uint8: in memory, mapped from a file or decoded when asked for."""

    def __len__(self) -> int:
        """N, how many there are."""

    def __getitem__(self, rows: Any, /) -> NDArray[np.uint8]:
        """(B, S, S, 3) those at `rows`, a slice or whole numbers."""


def cache_folder() -> Path:
    """Where the cache lies: `CLBENCH_CACHE`, or the user's cache folder."""
    return Path(os.environ.get("CLBENCH_CACHE") or user_cache_dir("clbench")) / "images"


@dataclass(frozen=True)
class Album:
    """Pictures and what identifies them.

    Attributes:
        pictures: All of them.
        sha256: Hash of their pixels.
    """

    pictures: Pictures
    sha256: str


def keep_array(
    name: str, make: Callable[[], NDArray[np.uint8]], *, cache: bool = True
) -> Album:
    """Pictures that take a while to make, mapped from the cache.

    Args:
        name: Names their content completely, version included.
        make: Makes them.
        cache: Whether to look in the cache, and to keep them there.

    Raises:
        InputError: The cache cannot be used.
    """
    if not cache:
        made = make()
        return Album(made, pixels_hash(made))

    def fill(partial: Path) -> str:
        made = make()
        with partial.open("wb") as file:
            np.save(file, made, allow_pickle=False)
        return pixels_hash(made)

    return entry(name, fill)


def entry(name: str, fill: Callable[[Path], str]) -> Album:
    """The entry `name` of the cache, after filling it where there is none.

    Args:
        name: Names the file.
        fill: Writes pictures to a path, and returns the hash of their pixels.
    """
    folder = cache_folder()
    with _usable(folder):
        folder.mkdir(parents=True, exist_ok=True)
        array, facts = folder / f"{name}.npy", folder / f"{name}.json"
        with FileLock(folder / f"{name}.lock"):
            # The facts are written last: an entry that has them is complete.
            if not (array.is_file() and facts.is_file()):
                partial = folder / f"{name}.part"
                try:
                    digest = fill(partial)
                except BaseException:
                    partial.unlink(missing_ok=True)
                    raise
                partial.replace(array)
                partial.write_text(json.dumps({"sha256": digest}))
                partial.replace(facts)
        try:
            pictures = np.load(array, mmap_mode="r", allow_pickle=False)
        except ValueError as error:
            raise InputError(
                f"{array} in the image cache is damaged: remove it and run again"
            ) from error
        return Album(pictures, json.loads(facts.read_text())["sha256"])


def new_array(path: Path, shape: tuple[int, ...]) -> np.memmap[Any, np.dtype[np.uint8]]:
    """An array of bytes in the new file at `path`.

    Raises:
        OSError: The disk has no room for it.
    """
    # A disk that fills up under a memory map ends the process without a word.
    _check_space(path.parent, math.prod(shape))
    return np.lib.format.open_memmap(path, "w+", np.uint8, shape)


def _check_space(folder: Path, needed: int) -> None:
    """Raises OSError where fewer than `needed` bytes are free."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OSError(
            errno.ENOSPC, f"{needed / 1e9:.1f} GB are needed, {free / 1e9:.1f} are free"
        )


@contextmanager
def _usable(folder: Path) -> Iterator[None]:
    """Say what to do where the cache's folder cannot be written."""
    try:
        yield
    except OSError as error:
        raise InputError(
            f"the image cache in {folder} cannot be used "
            f"({error.strerror or error}); name another folder in CLBENCH_CACHE, or "
            f"set scenario.cache=false"
        ) from error


def pixels_hash(pictures: NDArray[np.uint8]) -> str:
    """SHA-256 of pictures: their shape and their pixels."""
    digest = hashlib.sha256(str(tuple(pictures.shape)).encode())
    digest.update(np.ascontiguousarray(pictures).tobytes())
    return digest.hexdigest()
