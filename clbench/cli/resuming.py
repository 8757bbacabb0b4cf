"""`clbench resume`: go on with cells that were stopped, from what they left behind."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clbench import places, record
from clbench.checkpoint.file import Damaged, verified
from clbench.contract import InputError
from clbench.options import Options, read_options
from clbench.resolved import Cell


@dataclass(frozen=True)
class Stopped:
    """A cell that was stopped.

    Attributes:
        cell: Its configuration.
        options: How it ran.
    """

    cell: Cell
    options: Options

    @property
    def words(self) -> list[str]:
        """What would have to be written for it after `clbench run`."""
        return shlex.split(self.cell.command())[2:]


def stopped(place: Path) -> list[Stopped]:
    """The cells at `place` that have a checkpoint, in the order of their names.

    Args:
        place: A checkpoint, the record of a cell or where that would be, or a folder
            with any number of cells.

    Raises:
        InputError: There is nothing to go on with, or a cell cannot be run here.
    """
    found = []
    for path in _records(place):
        facts = _facts(path)
        if facts is not None:
            options = _options(facts["options"], path)
            found.append(Stopped(Cell.from_dict(facts["cell"]), options))
    if not found:
        raise InputError(
            f"{place}: no cell was stopped there, no checkpoint can be read; what has "
            f"none begins again by its command (clbench run)"
        )
    return found


def _records(place: Path) -> list[Path]:
    """Where the records would be whose checkpoints are at `place`."""
    if not place.exists() and not any(
        path.exists() for path in record.checkpoint_paths(place)
    ):
        raise InputError(f"{place}: there is no such file or folder")
    if place.is_dir():
        files = place.rglob("*.checkpoint-?.safetensors")
        return sorted({_record_of(path) for path in files})
    return [_record_of(place) if ".checkpoint-" in place.name else place]


def _record_of(path: Path) -> Path:
    return path.with_name(path.name.partition(".checkpoint-")[0] + ".json")


def _facts(path: Path) -> dict[str, Any] | None:
    """What the newest whole checkpoint says of its cell; None where there is none."""

    def each() -> Iterator[dict[str, Any]]:
        for file in record.checkpoint_paths(path):
            try:
                yield verified(file)
            except (OSError, Damaged):
                continue

    return max(each(), key=lambda facts: facts["count"], default=None)


def _options(plain: dict[str, Any], path: Path) -> Options:
    """The options that are `plain`; records go where the checkpoint lies.

    What was stopped while it was run again has a record, and goes on all the same.
    """
    options = dataclasses.replace(
        read_options(plain), out=path.parent.parent, force=True
    )
    if options.plugins is not None:
        places.use(options.plugins)
    return options
