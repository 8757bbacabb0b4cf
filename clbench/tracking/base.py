"""What a tracker is told, and what it must be able to do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

PROJECT = "clbench"
"""What the project, or the experiment, is called wherever cells are sent."""

Axis = Literal["experience", "optimizer_step"]
"""What numbers are drawn over."""


@dataclass(frozen=True)
class Description:
    """A cell, as a tracker lists it.

    Attributes:
        name: Of its record: strategy and key.
        group: Name of its scenario.
        config: Its parameters, by their keys on the command line, and its data.
            Nothing of the machine, the environment or whoever ran it is in it.
    """

    name: str
    group: str
    config: Mapping[str, str | int | float | bool]


@dataclass(frozen=True)
class Point:
    """Numbers at one place.

    Attributes:
        axis: What the place is counted in.
        at: The place.
        values: Numbers by their names.
    """

    axis: Axis
    at: int
    values: Mapping[str, float]


class Tracker(ABC):
    """Where a cell is sent. One is made for each cell."""

    @abstractmethod
    def begin(self, description: Description, folder: Path) -> None:
        """Make its entry.

        Args:
            description: Of the cell.
            folder: Where files may be put, if they are not sent anywhere else.
        """

    @abstractmethod
    def log(self, point: Point) -> None:
        """Numbers at one place; those of one axis come in their order."""

    @abstractmethod
    def end(self, summary: Mapping[str, float]) -> str:
        """The numbers that stand for the cell, and no more; where it can be seen."""
