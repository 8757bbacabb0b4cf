"""Image files as uint8 arrays: decoded and resized once.

Their cache entry is named by a hash of the files (names, sizes and times) and of how
they are read.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from clbench.contract import InputError
from clbench.data.cache import Album, entry, new_array, pixels_hash

VERSION = 1
"""Raised whenever the same files would give other pixels."""

EXTENSIONS = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".ppm"})

DAMAGE = (OSError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError)
"""What Pillow raises for files that are no pictures, cut short or far too large."""

CHUNK = 512
"""Pictures that are decoded at once: bounds what waits in memory."""


Fit = Literal["stretch", "crop"]
"""How a picture becomes a square: stretched, or its middle cut out of the shorter
side's size (bicubic, as CLIP is trained)."""


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


class Decoder:
    """Pictures that are read from their files whenever they are asked for.

    Args:
        paths: N files.
        size: S, pixels on a side.
        fit: How a picture becomes a square.
    """

    def __init__(self, paths: Sequence[Path], size: int, fit: Fit = "stretch") -> None:
        self.paths = list(paths)
        self.size = size
        self.fit = fit

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, rows: Any) -> NDArray[np.uint8]:
        """(B, S, S, 3) pictures at `rows`, a slice or whole numbers."""
        chosen = np.arange(len(self.paths))[rows]
        with ThreadPoolExecutor() as pool:
            read = pool.map(
                lambda row: decode(self.paths[row], self.size, self.fit), chosen
            )
            return np.stack(list(read))


def decode(path: Path, size: int, fit: Fit = "stretch") -> NDArray[np.uint8]:
    """(S, S, 3) RGB pixels of the file at `path`.

    Raises:
        OSError: It cannot be read as a picture.
    """
    with Image.open(path) as image:
        return square(image, size, fit)


def square(image: Image.Image, size: int, fit: Fit = "stretch") -> NDArray[np.uint8]:
    """(S, S, 3) RGB pixels of `image`: stretched bilinearly, or cropped bicubically."""
    image = image.convert("RGB")
    if fit == "stretch":
        small = image.resize((size, size), Image.Resampling.BILINEAR)
        return np.asarray(small, dtype=np.uint8)
    ratio = size / min(image.size)
    width, height = (max(size, round(side * ratio)) for side in image.size)
    image = image.resize((width, height), Image.Resampling.BICUBIC)
    left, top = round((width - size) / 2), round((height - size) / 2)
    return np.asarray(image.crop((left, top, left + size, top + size)), dtype=np.uint8)


def resized(pictures: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """(N, S, S, 3) `pictures`, bicubic, where a backbone takes another size."""
    if pictures.shape[1] == size:
        return pictures
    how = Image.Resampling.BICUBIC
    resized = [Image.fromarray(p).resize((size, size), how) for p in pictures]
    return np.stack([np.asarray(picture) for picture in resized])


def read_images(
    paths: Sequence[Path],
    size: int,
    *,
    root: Path,
    title: str,
    cache: bool = True,
    fit: Fit = "stretch",
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
        fit: How a picture becomes a square.

    Raises:
        DamagedImages: Some files cannot be read as pictures.
        InputError: The cache cannot be used.
    """
    if not cache:
        return Album(Decoder(paths, size, fit), _survey(paths, size, fit, title))

    def fill(partial: Path) -> str:
        pictures = new_array(partial, (len(paths), size, size, 3))
        digest = _survey(paths, size, fit, title, pictures)
        pictures.flush()
        return digest

    return entry(_key(paths, size, fit, root), fill)


def keep_items(
    name: str,
    count: int,
    item: Callable[[int], Image.Image],
    *,
    size: int,
    title: str,
    cache: bool = True,
) -> Album:
    """The pictures of a dataset that gives them one by one, their middles cut out.

    Args:
        name: Names their content completely.
        count: N, how many there are.
        item: Row -> picture.
        size: S, pixels on a side.
        title: Shown by the progress bar.
        cache: Whether to map them from the cache; else they stay in memory.

    Raises:
        InputError: The cache cannot be used.
    """

    def draw(into: NDArray[np.uint8]) -> str:
        bar = tqdm(range(count), desc=title, unit="image", leave=False, delay=1)
        for row in bar:
            into[row] = square(item(row), size, "crop")
        return pixels_hash(into)

    if not cache:
        pictures = np.empty((count, size, size, 3), dtype=np.uint8)
        return Album(pictures, draw(pictures))

    def fill(partial: Path) -> str:
        pictures = new_array(partial, (count, size, size, 3))
        digest = draw(pictures)
        pictures.flush()
        return digest

    return entry(name, fill)


def _key(paths: Sequence[Path], size: int, fit: Fit, root: Path) -> str:
    digest = hashlib.sha256(f"{VERSION}/{size}/{fit}".encode())
    for path in paths:
        facts = path.stat()
        name = path.relative_to(root).as_posix()
        digest.update(f"\n{name}\0{facts.st_size}\0{facts.st_mtime_ns}".encode())
    return digest.hexdigest()[:24]


def _survey(
    paths: Sequence[Path],
    size: int,
    fit: Fit,
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
            read = pool.map(lambda path: _attempt(path, size, fit), chunk)
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


def _attempt(path: Path, size: int, fit: Fit) -> NDArray[np.uint8] | None:
    try:
        return decode(path, size, fit)
    except DAMAGE:
        return None
