"""PASCAL for multi-task learning, in the folders of MTLoRA and its predecessors.

`PASCAL_MT`, as Maninis et al. (CVPR 2019) put it together:

    ImageSets/Context/train.txt, val.txt    names of the pictures
    JPEGImages/ID.jpg
    semseg/VOC12/ID.png                     else semseg/pascal-context/ID.png
    human_parts/ID.mat                      PASCAL-Part
    sal_distill/ID.png                      another network's saliency
    normals_distill/ID.png                  another network's normals
    pascal-context/trainval/ID.mat          LabelMap of PASCAL-Context
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from clbench.contract import InputError

from . import parts
from .source import Source, borders, matlab, picture, same_size, survey

Split = Literal["train", "val"]

FOLDERS: dict[str, tuple[str, ...]] = {
    "semseg": ("semseg/VOC12/{}.png", "semseg/pascal-context/{}.png"),
    "human_parts": ("human_parts/{}.mat",),
    "sal": ("sal_distill/{}.png",),
    "normals": ("normals_distill/{}.png",),
    "edge": ("pascal-context/trainval/{}.mat",),
}
"""Where the labels of each task are; the first that is there counts."""

CONTEXT = "pascal-context/trainval/{}.mat"

NORMAL_CLASSES: tuple[int, ...] = (
    *(3, 4, 6, 9, 10, 11, 13, 15, 17, 18, 22, 23, 29, 30, 33, 34, 36, 37, 38, 39, 41),
    *(43, 46, 49, 50, 51, 53, 55, 56, 59, 61, 62, 65, 66, 68, 69, 72, 73, 78, 83, 84),
    *(85, 87, 88, 95, 96, 101, 104, 105, 107, 111, 113, 115, 122, 124, 135, 141, 142),
    *(143, 146, 150, 154, 157, 158, 159, 165, 172, 174, 181, 183, 184, 191, 193, 195),
    *(197, 199, 202, 213, 215, 216, 219, 220, 223, 225, 228, 230, 232, 233, 238, 239),
    *(242, 243, 246, 250, 251, 252, 255, 260, 261, 263, 269, 272, 273, 275, 281, 283),
    *(284, 285, 286, 287, 288, 290, 291, 292, 293, 295, 304, 307, 309, 310, 314, 315),
    *(319, 323, 329, 330, 331, 336, 342, 345, 349, 350, 351, 352, 355, 357, 368, 370),
    *(371, 374, 379, 380, 383, 384, 397, 401, 403, 405, 407, 408, 411, 412, 413, 414),
    *(417, 419, 421, 423, 427, 429, 430, 432, 440, 441, 442, 443, 444, 446, 454, 457),
)
"""Classes of PASCAL-Context whose names NYUv2 has too, and its television sets.

The network that the normals come from learned on NYUv2; on other classes its answers
do not count. From the lists of classes of Maninis et al.
"""

SHOWN = 3
"""Missing files that are named; the others are counted."""


class Pascal(Source):
    """The pictures of one split.

    Args:
        root: The folder `PASCAL_MT`.
        split: Which list of names.
        tasks: Whose labels are there, or the files that lack are named.

    Raises:
        InputError: A list, picture or label is not there.
    """

    def __init__(self, root: Path, split: Split, tasks: Sequence[str]) -> None:
        listed = root / "ImageSets" / "Context" / f"{split}.txt"
        if not listed.is_file():
            raise InputError(
                f"scenario.root={root}: no ImageSets/Context/{split}.txt there; name "
                f"the folder PASCAL_MT (docs/scenarios/mtl.md shows what it holds)"
            )
        self._root = root
        self.names = tuple(listed.read_text().split())
        lacking = missing(root, self.names, tasks)
        if lacking or not self.names:
            more = f" and {len(lacking) - SHOWN} more" if len(lacking) > SHOWN else ""
            raise InputError(
                f"scenario.root={root}: of the {len(self.names)} pictures of '{split}' "
                f"there is no {', '.join(lacking[:SHOWN])}{more}"
            )
        files = [self._image(name) for name in self.names]
        files += [self._file(task, name) for task in tasks for name in self.names]
        self.fingerprint = survey(files, root)

    def load(self, index: int, tasks: Sequence[str]) -> dict[str, NDArray[np.generic]]:
        """As in `Source`; a label of another size is brought to the picture's.

        As the predecessors do: some of the distilled labels are kept in other sizes.
        """
        name = self.names[index]
        image = picture(self._image(name))
        made: dict[str, NDArray[np.generic]] = {"image": image}
        for task in tasks:
            made[task] = self._label(task, name, image)
        return made

    def _label(
        self, task: str, name: str, image: NDArray[np.uint8]
    ) -> NDArray[np.generic]:
        path = self._file(task, name)
        height, width = image.shape[:2]
        if task == "semseg":
            return _fitted(picture(path, "P"), height, width)
        if task == "sal":
            return _fitted((picture(path, "L") > 127).astype(np.uint8), height, width)
        if task == "edge":
            return borders(self._context(name, image)).astype(np.uint8)
        if task == "normals":
            return self._normals(name, image)
        found = parts.things(path)
        for thing in found:
            same_size(path, thing.mask, image)
        return parts.human_parts(found, (height, width))

    def _normals(self, name: str, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Only on classes that the network knew which the normals come from."""
        height, width = image.shape[:2]
        coded = _fitted(picture(self._file("normals", name)), height, width)
        vector = 2 * coded.astype(np.float32) / 255 - 1
        length = np.linalg.norm(vector, axis=-1, keepdims=True)
        known = np.isin(self._context(name, image), NORMAL_CLASSES)[..., None]
        normals = np.where(known, vector / np.maximum(length, 1e-6), 0)
        return normals.astype(np.float32)

    def _context(self, name: str, image: NDArray[np.uint8]) -> NDArray[np.generic]:
        path = self._root / CONTEXT.format(name)
        label: NDArray[np.generic] = matlab(path, "LabelMap")
        same_size(path, label, image)
        return label

    def _image(self, name: str) -> Path:
        return self._root / "JPEGImages" / f"{name}.jpg"

    def _file(self, task: str, name: str) -> Path:
        paths = [self._root / place.format(name) for place in FOLDERS[task]]
        return next((path for path in paths if path.is_file()), paths[0])


def missing(root: Path, names: Sequence[str], tasks: Sequence[str]) -> list[str]:
    """Files of `names` that are not there, relative to `root`.

    Args:
        root: The folder `PASCAL_MT`.
        names: Of pictures.
        tasks: Whose labels are needed.
    """
    places: list[tuple[str, ...]] = [("JPEGImages/{}.jpg",)]
    places += [FOLDERS[task] for task in tasks]
    if "normals" in tasks and "edge" not in tasks:
        places.append((CONTEXT,))
    return [
        choices[0].format(name)
        for choices in places
        for name in names
        if not any((root / choice.format(name)).is_file() for choice in choices)
    ]


def pascal(root: Path, split: Split, tasks: Sequence[str]) -> Source:
    """The pictures of `split`; see `Pascal`."""
    return Pascal(root, split, tasks)


def _fitted(label: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    if label.shape[:2] == (height, width):
        return label
    resized = Image.fromarray(label).resize((width, height), Image.Resampling.NEAREST)
    return np.asarray(resized)
