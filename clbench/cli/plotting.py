"""`clbench plot`: pictures of records."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from clbench import record
from clbench.contract import InputError


def draw(paths: Sequence[Path], out: Path | None) -> None:
    """Draw each record, and print the path of every picture.

    Raises:
        InputError: A file is no record, or its cell was never evaluated.
    """
    found = [(path, record.read(path)) for path in paths]
    for path, entry in found:
        if not entry.rows:
            raise InputError(
                f"{path}: nothing to draw, the cell is {entry.status} and was never "
                f"evaluated"
            )
    from clbench import outcomes
    from clbench.plot import write_plots  # with matplotlib: slow to import

    for path, entry in found:
        beside = record.pictures_path(path)
        shown = outcomes.read_pictures(beside) if beside.is_file() else None
        each = record.outcomes_path(path)
        known = outcomes.read(each) if each.is_file() else []
        folder = path.parent if out is None else out
        folder.mkdir(parents=True, exist_ok=True)
        for picture in write_plots(entry, folder / path.stem, shown, known):
            sys.stdout.write(f"{picture}\n")
