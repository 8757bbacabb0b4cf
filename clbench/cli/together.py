"""`clbench run` in several processes: the first one leads, the others follow."""

from __future__ import annotations

import dataclasses
import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pydantic_core import to_jsonable_python

from clbench import launched, machine, places, raised
from clbench.cli.complaint import complain
from clbench.cli.ending import FAILED
from clbench.launched import Lost
from clbench.options import Options, read_options
from clbench.resolved import Cell
from clbench.threads import use_threads

if TYPE_CHECKING:
    from clbench.devices.team import Together
    from clbench.record import Record
    from clbench.report import Reporter


@contextmanager
def leading(options: Options) -> Iterator[Together | None]:
    """The processes that this one leads; None where it is alone.

    Args:
        options: Of its cells: where they compute.
    """
    if not launched.several():
        yield None
        return
    from clbench.devices import pick_device  # imports torch: seconds
    from clbench.devices.team import Together

    team = Together(pick_device(options.device).type)
    yield team
    # Not where an error has come up: the others would not answer.
    team.end()


def lead(team: Together, cell: Cell, options: Options, reporter: Reporter) -> Record:
    """Run `cell` in all processes; the record, which this one writes.

    Raises:
        Lost: Another process has ended.
    """
    from clbench.cell import run_cell

    job = {"cell": cell.to_dict(), "options": to_jsonable_python(options)}
    team.begin(json.dumps(job))
    try:
        made = run_cell(cell, options, reporter, team=team)
    except Lost:
        raise
    except Exception:
        if not team.ended(failed=True):
            raise Lost(_BEHIND) from None
        raise
    if not team.ended(failed=made.status == "failed"):
        raise Lost(_BEHIND)
    return made


_BEHIND = "the cell failed in this process alone: what follows is not begun"


def follow() -> int:
    """Compute what the first process says, until it says no more; the exit code.

    Nothing is written and nothing shown, but for an error that no other process has.
    """
    # Before there is a group: Avalanche makes loggers when it is imported, and refuses
    # to make any in a process that follows.
    import clbench.cell  # noqa: F401
    from clbench.devices.team import Together

    # Ctrl-C is the first one's: it stops at a checkpoint.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        team = Together(None)
        while (job := team.next()) is not None:
            failed = _follow(team, json.loads(job))
            if not team.ended(failed=failed is not None):
                complain(f"process {team.rank + 1} of {team.size}: {failed}")
                return FAILED
    except Lost:
        return FAILED
    return 0


def _follow(team: Together, job: dict[str, Any]) -> str | None:
    """Why the cell failed; None where it has not.

    Raises:
        Lost: Another process has ended.
    """
    from clbench.cell import run_cell
    from clbench.report import QuietReporter

    cell = None
    try:
        options = dataclasses.replace(
            read_options(job["options"]),
            keep=False,
            track="none",
            checkpoint_every=None,
            force=job["options"]["force"],
            afresh=job["options"]["afresh"],
        )
        if options.plugins is not None:
            places.use(options.plugins)
        use_threads(options.threads)
        cell = Cell.from_dict(job["cell"])
        made = run_cell(cell, options, QuietReporter(), team=team)
    except Lost:
        raise
    except (Exception, SystemExit) as error:
        where = "" if cell is None else raised.look(error, cell).place(None)
        return f"{type(error).__name__}: {machine.line(error)}{where}"
    return made.reason if made.status == "failed" else None
