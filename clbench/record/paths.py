"""Where the files of a cell lie: its record, and what lies beside it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from clbench.inside import inside

if TYPE_CHECKING:
    from clbench.resolved import Cell

TUNING = "tuning"
"""Folder, in that of the records, of trials: they choose settings, boards pass by."""


def path_of(out: Path, cell: Cell) -> Path:
    """Where the record of `cell` lies under `out`.

    Raises:
        InputError: A name or a link leads out of `out`.
    """
    return inside(out, cell.scenario.name, f"{cell.name}--{cell.key()}.json")


def outcomes_path(path: Path) -> Path:
    """Where the outcomes beside the record at `path` lie."""
    return path.with_suffix(".outcomes.safetensors")


def pictures_path(path: Path) -> Path:
    """Where the pictures to look at beside the record at `path` lie, if there are."""
    return path.with_suffix(".pictures.safetensors")


def model_path(path: Path) -> Path:
    """Where the trained model beside the record at `path` lies, if it was kept."""
    return path.with_suffix(".model.safetensors")


def checkpoint_paths(path: Path) -> tuple[Path, ...]:
    """Where the checkpoints beside the record at `path` lie, while it comes to be.

    Two: while one is written, the one before is whole.
    """
    return tuple(path.with_suffix(f".checkpoint-{n}.safetensors") for n in range(2))
