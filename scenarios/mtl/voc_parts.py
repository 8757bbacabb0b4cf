"""A folder of pictures with PASCAL-Part annotations: `ID.jpg` beside `ID.mat`.

Every label is derived from the annotated objects and their parts: what is where, the
parts of people, what stands out (the union of all objects), and edges (where an object
or a part ends). There is no official split: of the sorted names every third one judges.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from clbench.contract import InputError

from . import parts
from .source import Source, picture, same_size, survey

TASKS = ("semseg", "human_parts", "sal", "edge")

EVERY = 3
"""One of so many pictures judges."""


class VocParts(Source):
    """The pictures of one split.

    Args:
        root: The folder.
        split: `val` is every third picture by name, `train` are the others.

    Raises:
        InputError: There are no pictures, or one lacks its annotation.
    """

    def __init__(self, root: Path, split: Literal["train", "val"]) -> None:
        images = sorted(root.glob("*.jpg"))
        annotated = {path.stem for path in root.glob("*.mat")}
        if len(images) < EVERY:
            raise InputError(
                f"scenario.root={root}: {len(images)} pictures (*.jpg) there, at least "
                f"{EVERY} are needed, each ID.jpg beside its ID.mat"
            )
        lacking = [path.name for path in images if path.stem not in annotated]
        if lacking:
            raise InputError(
                f"scenario.root={root}: {len(lacking)} of {len(images)} pictures have "
                f"no annotation, such as {lacking[0]}, which needs "
                f"{Path(lacking[0]).stem}.mat beside it"
            )
        self._root = root
        judges = split == "val"
        self.names = tuple(
            path.stem
            for number, path in enumerate(images)
            if (number % EVERY == EVERY - 1) == judges
        )
        files = [root / f"{n}{end}" for n in self.names for end in (".jpg", ".mat")]
        self.fingerprint = survey(files, root)

    def load(self, index: int, tasks: Sequence[str]) -> dict[str, NDArray[np.generic]]:
        """As in `Source`."""
        name = self.names[index]
        image = picture(self._root / f"{name}.jpg")
        path = self._root / f"{name}.mat"
        found = parts.things(path)
        for thing in found:
            for mask in (thing.mask, *(mask for _, mask in thing.parts)):
                same_size(path, mask, image)
        makers = {
            "semseg": parts.semseg,
            "human_parts": parts.human_parts,
            "sal": parts.saliency,
            "edge": parts.edges,
        }
        height, width = image.shape[:2]
        labels = {task: makers[task](found, (height, width)) for task in tasks}
        return {"image": image, **labels}


def voc_parts(
    root: Path, split: Literal["train", "val"], tasks: Sequence[str]
) -> Source:
    """The pictures of `split`; see `VocParts`."""
    return VocParts(root, split)
