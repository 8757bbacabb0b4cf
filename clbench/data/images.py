"""Image files as uint8 arrays: decoded and resized once, then mapped from a cache.

A cache entry is named by a hash of the files (their names, sizes and times) and of how
they are read, written under a lock and moved into place whole, so that cells and
processes share it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from platformdirs import user_cache_dir
from tqdm import tqdm

from clbench.contract import InputError

VERSION = 1
"""Raised whenever the same files would give other pixels."""

EXTENSIONS = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".ppm"})


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
        return np.stack([decode(self.paths[row], self.size) for row in chosen])


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
        InputError: Some files cannot be read as pictures; names the first of them.
    """
    if not cache:
        return Album(Decoder(paths, size), _survey(paths, size, title))
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    name = _key(paths, size, root)
    array, facts = folder / f"{name}.npy", folder / f"{name}.json"
    with FileLock(folder / f"{name}.lock"):
        if not (array.is_file() and facts.is_file()):
            digest = _fill(paths, size, array, title)
            _replace(facts, json.dumps({"sha256": digest}).encode())
    pictures: NDArray[np.uint8] = np.load(array, mmap_mode="r", allow_pickle=False)
    return Album(pictures, json.loads(facts.read_text())["sha256"])


def keep_array(
    name: str, make: Any, *, cache: bool = True
) -> tuple[NDArray[np.uint8], str]:
    """An array that takes a while to make, mapped from the cache, and its hash.

    Args:
        name: Names its content completely, version included.
        make: Called without arguments to make it.
        cache: Whether to look in the cache, and to keep it there.
    """
    if not cache:
        made = make()
        return made, pixels_hash(made)
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    array, facts = folder / f"{name}.npy", folder / f"{name}.json"
    with FileLock(folder / f"{name}.lock"):
        if not (array.is_file() and facts.is_file()):
            made = make()
            partial = array.with_suffix(".part.npy")
            np.save(partial, made, allow_pickle=False)
            partial.replace(array)
            _replace(facts, json.dumps({"sha256": pixels_hash(made)}).encode())
    mapped: NDArray[np.uint8] = np.load(array, mmap_mode="r", allow_pickle=False)
    return mapped, json.loads(facts.read_text())["sha256"]


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


def _fill(paths: Sequence[Path], size: int, array: Path, title: str) -> str:
    """Decode `paths` into the file `array`; the hash of its pixels."""
    partial = array.with_suffix(".part.npy")
    shape = (len(paths), size, size, 3)
    pictures = np.lib.format.open_memmap(partial, "w+", np.uint8, shape)
    try:
        digest = _survey(paths, size, title, pictures)
    except BaseException:
        partial.unlink()
        raise
    pictures.flush()
    partial.replace(array)
    return digest


def _survey(
    paths: Sequence[Path],
    size: int,
    title: str,
    into: NDArray[np.uint8] | None = None,
) -> str:
    """Decode every file once; the hash of all pixels.

    Raises:
        InputError: Some cannot be read.
    """
    digest = hashlib.sha256(str((len(paths), size, size, 3)).encode())
    damaged: list[Path] = []
    bar = tqdm(paths, desc=title, unit="image", leave=False, disable=len(paths) < 200)
    for row, path in enumerate(bar):
        try:
            pixels = decode(path, size)
        except (OSError, UnidentifiedImageError, SyntaxError, ValueError):
            damaged.append(path)
            continue
        digest.update(pixels.tobytes())
        if into is not None:
            into[row] = pixels
    if damaged:
        first = ", ".join(str(path) for path in damaged[:3])
        more = f" and {len(damaged) - 3} more" if len(damaged) > 3 else ""
        raise InputError(
            f"{len(damaged)} of {len(paths)} images cannot be read: {first}{more}; "
            f"replace or remove them"
        )
    return digest.hexdigest()


def _replace(path: Path, content: bytes) -> None:
    partial = path.with_suffix(".part")
    partial.write_bytes(content)
    partial.replace(path)
