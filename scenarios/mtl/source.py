"""What a reader of dense labels gives, whatever the layout of its files."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from clbench.contract import InputError


class Source(ABC):
    """Pictures with dense labels, read one at a time.

    Attributes:
        names: Of the pictures, in their order.
        fingerprint: Hash of the names, sizes and times of all files that are read.
    """

    names: tuple[str, ...]
    fingerprint: str

    @abstractmethod
    def load(self, index: int, tasks: Sequence[str]) -> dict[str, NDArray[np.generic]]:
        """One picture and its labels, all of the picture's own height and width.

        Returns:
            `image` (H, W, 3) uint8; `semseg`, `human_parts`, `sal` and `edge` (H, W)
            uint8, 255 ignored; `normals` (H, W, 3) float32 unit vectors, 0 ignored.

        Raises:
            InputError: A file cannot be read, or a label has another size.
        """


def survey(paths: Iterable[Path], root: Path) -> str:
    """Hash of the names, sizes and times of files."""
    digest = hashlib.sha256()
    for path in paths:
        facts = path.stat()
        name = path.relative_to(root)
        digest.update(f"{name}\0{facts.st_size}\0{facts.st_mtime_ns}\0".encode())
    return digest.hexdigest()


def picture(path: Path, mode: str = "RGB") -> NDArray[np.uint8]:
    """(H, W, 3) or (H, W) the pixels of an image file.

    Args:
        path: The file.
        mode: PIL's; `P` gives labels that are kept in a palette.

    Raises:
        InputError: It is no image that can be read.
    """
    try:
        with Image.open(path) as image:
            keep = mode == "P" and image.mode in ("P", "L")
            return np.asarray(image if keep else image.convert(mode), dtype=np.uint8)
    except (OSError, UnidentifiedImageError) as error:
        raise InputError(f"{path}: not an image that can be read ({error})") from error


def matlab(path: Path, key: str) -> Any:
    """The variable `key` of a MATLAB file.

    Raises:
        InputError: The file cannot be read, or has no such variable.
    """
    from scipy.io import loadmat

    try:
        content = loadmat(path)
    except Exception as error:  # Whatever a damaged file makes of its parser.
        raise InputError(f"{path}: not a MATLAB file that can be read") from error
    if key not in content:
        there = ", ".join(name for name in content if not name.startswith("__"))
        raise InputError(f"{path}: no variable '{key}' in it (it has: {there or '-'})")
    return content[key]


def same_size(
    path: Path, label: NDArray[np.generic], image: NDArray[np.generic]
) -> None:
    """Refuse a label of another height or width than its picture.

    Raises:
        InputError: One line that names the file and both sizes.
    """
    if label.shape[:2] != image.shape[:2]:
        (h, w), (H, W) = label.shape[:2], image.shape[:2]
        raise InputError(
            f"{path}: a label of {w} x {h} pixels, the picture has {W} x {H}"
        )


def borders(label: NDArray[np.generic]) -> NDArray[np.bool_]:
    """(H, W) pixels whose right or lower neighbour has another label."""
    edge = np.zeros(label.shape, dtype=bool)
    edge[:, :-1] |= label[:, :-1] != label[:, 1:]
    edge[:-1] |= label[:-1] != label[1:]
    return edge
