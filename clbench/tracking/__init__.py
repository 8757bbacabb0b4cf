"""Finished cells, sent to where people watch their experiments: `track=NAME`.

A cell is sent once its record is written, and from its record alone: what is shown
there is what boards are computed from, and a tracker that fails loses nothing. Each
tracker is one module here, imported when it is asked for.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

from clbench.contract import InputError

if TYPE_CHECKING:
    from clbench.record import Record
    from clbench.report import Reporter
    from clbench.tracking.base import Tracker

FOLDER = "tracking"
"""Beside the folder of records: where trackers that write files put them."""


def check(name: str) -> None:
    """Refuse a tracker whose package is not installed.

    Raises:
        InputError: It is not; says what installs it.
    """
    if name != "none" and importlib.util.find_spec(name) is None:
        raise InputError(
            f"track={name} needs the package {name}, which is not installed: pip "
            f"install 'clbench[{name}]'"
        )


def send(name: str, record: Record, out: Path, reporter: Reporter) -> None:
    """Send what `record` holds to the tracker called `name`; say where, or that it
    failed, in one line.

    Args:
        name: One of the values of the option `track`; `none` sends nothing.
        record: Of a cell that was just run; one without rows is not sent.
        out: Folder of the records.
        reporter: Shows the line.
    """
    if name == "none" or not record.rows:
        return
    from clbench.tracking import content

    try:
        # What trackers print must not mix with what --json prints.
        with redirect_stdout(sys.stderr):
            tracker = _tracker(name)
            tracker.begin(content.describe(record), out.resolve().parent / FOLDER)
            for point in content.points(record):
                tracker.log(point)
            place = tracker.end(content.summary(record))
    except Exception as error:  # Whatever it is, the record is there.
        line = next(iter(str(error).splitlines()), "")
        reporter.note(
            f"warning: track={name} failed ({type(error).__name__}: {line[:200]}); the "
            f"record is written"
        )
    else:
        reporter.note(f"tracked: {name} {place}")


def _tracker(name: str) -> Tracker:
    module = importlib.import_module(f"clbench.tracking.{name}")
    made: Tracker = getattr(module, name.capitalize())()
    return made
