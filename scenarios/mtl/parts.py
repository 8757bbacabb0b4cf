"""PASCAL-Part's annotations of a picture: objects, parts, and what follows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clbench.contract import InputError
from clbench.metrics.dense import IGNORED

from .source import borders, matlab

PERSON = 15
"""PASCAL's number of people."""

HUMAN_PARTS: tuple[str, ...] = (
    "head",
    "torso",
    "upper arm",
    "lower arm",
    "upper leg",
    "lower leg",
)
"""The coarse parts of people, from label 1; 0 is everything else."""

COARSE: dict[str, int] = {
    **dict.fromkeys(
        [
            "head",
            "hair",
            "leye",
            "reye",
            "lear",
            "rear",
            "lebrow",
            "rebrow",
            "nose",
            "mouth",
        ],
        1,
    ),
    **dict.fromkeys(["torso", "neck"], 2),
    **dict.fromkeys(["luarm", "ruarm"], 3),
    **dict.fromkeys(["llarm", "rlarm", "lhand", "rhand"], 4),
    **dict.fromkeys(["luleg", "ruleg"], 5),
    **dict.fromkeys(["llleg", "rlleg", "lfoot", "rfoot"], 6),
}
"""Name of a part in PASCAL-Part -> label of the coarse part that it belongs to."""


@dataclass(frozen=True)
class Thing:
    """One object.

    Attributes:
        kind: PASCAL's number, from 1.
        mask: (H, W) where it is.
        parts: Name and mask of each part.
    """

    kind: int
    mask: NDArray[np.bool_]
    parts: tuple[tuple[str, NDArray[np.bool_]], ...]


def things(path: Path) -> list[Thing]:
    """The objects of a file of PASCAL-Part, the largest first.

    So that of two that overlap the smaller one is seen.

    Raises:
        InputError: The file is not one of PASCAL-Part.
    """
    found = matlab(path, "anno")
    try:
        objects = found[0, 0]["objects"]
        made = [_thing(entry) for entry in objects.ravel()]
    except (KeyError, IndexError, ValueError, TypeError) as error:
        raise InputError(
            f"{path}: 'anno' is not as PASCAL-Part has it: it lacks {error}"
        ) from error
    return sorted(made, key=lambda thing: -int(thing.mask.sum()))


def _thing(entry: Any) -> Thing:
    parts = tuple(
        (str(part["part_name"].ravel()[0]), part["mask"].astype(bool))
        for part in entry["parts"].ravel()
    )
    return Thing(int(entry["class_ind"].ravel()[0]), entry["mask"].astype(bool), parts)


def semseg(found: list[Thing], shape: tuple[int, int]) -> NDArray[np.uint8]:
    """(H, W) kinds of the objects; 0 is background."""
    label = np.zeros(shape, dtype=np.uint8)
    for thing in found:
        label[thing.mask] = thing.kind
    return label


def human_parts(found: list[Thing], shape: tuple[int, int]) -> NDArray[np.uint8]:
    """(H, W) coarse parts of people; a picture without any is ignored as a whole."""
    people = [thing for thing in found if thing.kind == PERSON]
    if not people:
        return np.full(shape, IGNORED, dtype=np.uint8)
    label = np.zeros(shape, dtype=np.uint8)
    for person in people:
        for name, mask in person.parts:
            label[mask] = COARSE.get(name, 0)
    return label


def saliency(found: list[Thing], shape: tuple[int, int]) -> NDArray[np.uint8]:
    """(H, W) 1 where there is an object."""
    return (semseg(found, shape) > 0).astype(np.uint8)


def edges(found: list[Thing], shape: tuple[int, int]) -> NDArray[np.uint8]:
    """(H, W) 1 where an object or one of its parts ends."""
    edge = np.zeros(shape, dtype=bool)
    for thing in found:
        for mask in (thing.mask, *(mask for _, mask in thing.parts)):
            edge |= borders(mask)
    return edge.astype(np.uint8)
