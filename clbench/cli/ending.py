"""How a command ends: its exit code, and what its user may do next."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clbench.options import Options
    from clbench.resolved import Cell

FAILED, REFUSED, INTERRUPTED = 1, 2, 130


def stopped_line(force: bool, out: Path) -> str:
    """What to do after Ctrl-C.

    Args:
        force: Whether cells were run again that have a record.
        out: Folder of the records.
    """
    if force:
        return (
            f"interrupted: clbench resume {out} goes on with what was stopped, the "
            f"same command begins anew\n"
        )
    return "interrupted: the same command goes on where it stopped\n"


def again(cell: Cell, options: Options) -> str:
    """The command that runs a cell again that failed."""
    return cell.command() + (" --force" if options.afresh else "")
