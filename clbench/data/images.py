"""Image files as uint8 arrays: decoded and resized once, then mapped from a cache.

A cache entry is named by a hash of the files (their names, sizes and times) and of how
they are read, written under a lock and moved into place whole, so that cells and
processes share it.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import shutil
import struct
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray
from PIL import Image
from platformdirs import user_cache_dir
from tqdm import tqdm

from clbench.contract import InputError

VERSION = 1
"""Raised whenever the same files would give other pixels."""

EXTENSIONS = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".ppm"})

DAMAGE = (OSError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError)
"""What Pillow raises for files that are no pictures, cut short or far too large."""

CHUNK = 512
"""Pictures that are decoded at once: bounds what waits in memory."""


class DamagedImages(InputError):
    """Files that cannot be read as pictures.

    Attributes:
        paths: All of them.
        count: Files that were looked at.
    """

    def __init__(self, paths: Sequence[Path], count: int) -> None:
        first = ", ".join(str(path) for path in paths[:3])
        more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
        super().__init__(
            f"{len(paths)} of {count} images cannot be read: {first}{more}; "
            f"replace or remove them"
        )
        self.paths = list(paths)
        self.count = count


def cache_folder() -> Path:
    """Where the cache lies: `CLBENCH_CACHE`, or the user's cache folder."""
    return Path(os.environ.get("CLBENCH_CACHE") or user_cache_dir("clbench")) / "images"


class Decoder:
    """Pictures that are read from their files whenever they are asked for.

    Args:
        paths: N files.
        size: S, pixels on a side.
    """

    def __init__(self, paths: Sequence[Path], size: int) -> None:
        self.paths = list(paths)
        self.size = size

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, rows: Any) -> NDArray[np.uint8]:
        """(B, S, S, 3) pictures at `rows`, a slice or whole numbers."""
        chosen = np.arange(len(self.paths))[rows]
        with ThreadPoolExecutor() as pool:
            read = pool.map(lambda row: decode(self.paths[row], self.size), chosen)
            return np.stack(list(read))


Pictures = NDArray[np.uint8] | Decoder
"""(N, S, S, 3) uint8, in memory, mapped from a file or decoded when asked for."""


@dataclass(frozen=True)
class Album:
    """Pictures and what identifies them.

    Attributes:
        pictures: All of them.
        sha256: Hash of their pixels.
    """

    pictures: Pictures
    sha256: str


def decode(path: Path, size: int) -> NDArray[np.uint8]:
    """(S, S, 3) RGB pixels of the file at `path`, resized bilinearly.

    Raises:
        OSError: It cannot be read as a picture.
    """
    with Image.open(path) as image:
        small = image.convert("RGB").resize((size, size), Image.Resampling.BILINEAR)
        return np.asarray(small, dtype=np.uint8)


def read_images(
    paths: Sequence[Path], size: int, *, root: Path, title: str, cache: bool = True
) -> Album:
    """The pictures at `paths`.

    Args:
        paths: Their files.
        size: S, pixels on a side.
        root: Folder that names in the cache's key are relative to.
        title: Shown by the progress bar.
        cache: Whether to map them from the cache, and fill it first where need be;
            else they are decoded at every use (and once before, to find what is
            damaged).

    Raises:
        DamagedImages: Some files cannot be read as pictures.
        InputError: The cache cannot be used.
    """
    if not cache:
        return Album(Decoder(paths, size), _survey(paths, size, title))

    def fill(partial: Path) -> str:
        shape = (len(paths), size, size, 3)
        _check_space(partial.parent, math.prod(shape))
        pictures = np.lib.format.open_memmap(partial, "w+", np.uint8, shape)
        digest = _survey(paths, size, title, pictures)
        pictures.flush()
        return digest

    return _entry(_key(paths, size, root), fill)


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

    return _entry(name, fill)


def _entry(name: str, fill: Callable[[Path], str]) -> Album:
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


def _check_space(folder: Path, needed: int) -> None:
    """A disk that fills up under a memory map ends the process without a word.

    Raises:
        OSError: Fewer than `needed` bytes are free.
    """
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


def _key(paths: Sequence[Path], size: int, root: Path) -> str:
    digest = hashlib.sha256(f"{VERSION}/{size}".encode())
    for path in paths:
        facts = path.stat()
        name = path.relative_to(root).as_posix()
        digest.update(f"\n{name}\0{facts.st_size}\0{facts.st_mtime_ns}".encode())
    return digest.hexdigest()[:24]


def _survey(
    paths: Sequence[Path],
    size: int,
    title: str,
    into: NDArray[np.uint8] | None = None,
) -> str:
    """Decode every file once; the hash of all pixels.

    Raises:
        DamagedImages: Some cannot be read.
    """
    digest = hashlib.sha256(str((len(paths), size, size, 3)).encode())
    damaged: list[Path] = []
    bar = tqdm(total=len(paths), desc=title, unit="image", leave=False, delay=1)
    with bar, ThreadPoolExecutor() as pool:
        for start in range(0, len(paths), CHUNK):
            chunk = paths[start : start + CHUNK]
            read = pool.map(lambda path: _attempt(path, size), chunk)
            for row, pixels in enumerate(read, start):
                if pixels is None:
                    damaged.append(paths[row])
                    continue
                digest.update(pixels.tobytes())
                if into is not None:
                    into[row] = pixels
            bar.update(len(chunk))
    if damaged:
        raise DamagedImages(damaged, len(paths))
    return digest.hexdigest()


def _attempt(path: Path, size: int) -> NDArray[np.uint8] | None:
    try:
        return decode(path, size)
    except DAMAGE:
        return None
