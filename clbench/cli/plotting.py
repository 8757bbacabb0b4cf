"""`clbench plot`: pictures of records."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from clbench import beside, record
from clbench.contract import InputError


def draw(paths: Sequence[Path], out: Path | None) -> None:
    """Draw each record, and print the path of every picture.

    Raises:
        InputError: A file is no record, its cell was never evaluated, or what lies
            beside it is not its.
    """
    found = [(path, record.read(path)) for path in paths]
    for path, entry in found:
        if not entry.rows:
            raise InputError(
                f"{path}: nothing to draw, the cell is {entry.status} and was never "
                f"evaluated"
            )
    from clbench.plot import write_plots  # with matplotlib: slow to import

    for path, entry in found:
        shown, known = beside.pictures(path), beside.outcomes(path, entry)
        folder = path.parent if out is None else out
        folder.mkdir(parents=True, exist_ok=True)
        for picture in write_plots(entry, folder / path.stem, shown, known):
            sys.stdout.write(f"{picture}\n")
