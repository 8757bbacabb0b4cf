"""Whether a cell must be run: what its record says, whether another process has it.

One place for every command that runs cells, so that they agree on what is done.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clbench import locking, registry
from clbench import record as records
from clbench.contract import InputError

if TYPE_CHECKING:
    from clbench.options import Options
    from clbench.record import Record, Status
    from clbench.resolved import Cell

UNFINISHED: tuple[Status, ...] = ("failed", "interrupted", "unsupported")
"""Of a record with one of these `clbench run` runs the cell again."""

ASKED = ("deterministic", "trust_remote_code")
"""Options that an environment knows: a record made without one is not made with it."""


@dataclass(frozen=True)
class Standing:
    """How a cell stands.

    Attributes:
        record: That makes running it needless; None where there is no such record.
        again: Why the record that there is does not; empty where there is none.
        changed: Plugins of it whose source is another than when the record was made.
        busy: Whether another process runs it now.
    """

    record: Record | None = None
    again: str = ""
    changed: tuple[str, ...] = ()
    busy: bool = False


def find(
    cell: Cell, options: Options, again: Collection[Status] = UNFINISHED
) -> Standing:
    """How `cell` stands, as far as its record says.

    Args:
        cell: What may have to be run.
        options: How, and in which folder.
        again: What a record says of a cell that is run again.

    Raises:
        InputError: Its record cannot be read.
    """
    path = records.path_of(options.out, cell)
    forced = options.force and (options.afresh or stopped(path))
    if forced or not path.is_file():
        return Standing()
    entry = records.read(path)
    version = registry.load("scenario", cell.scenario.name).version
    if entry.status in again:
        return Standing(again=f"its record says {entry.status}")
    if entry.scenario.version != version:
        return Standing(
            again=f"its record is of version {entry.scenario.version} of the scenario, "
            f"which is now {version}"
        )
    for name in ASKED:
        if getattr(options, name) and not getattr(entry.environment, name):
            return Standing(again=f"its record was made without {name}=true")
    # What did not end well never had a model to keep.
    kept = entry.status != "ok" or records.model_path(path).is_file()
    if options.keep and not kept:
        return Standing(again="it has a record, but no model was kept")
    changed = [
        member.name
        for member in entry.strategy.members
        if member.origin.sha256 != registry.get("strategy", member.name).origin.sha256
    ]
    return Standing(record=entry, changed=tuple(changed))


def stopped(path: Path) -> bool:
    """Whether the cell whose record is at `path` has a checkpoint to go on from."""
    return any(file.exists() for file in records.checkpoint_paths(path))


def ended_well(path: Path) -> bool:
    """Whether there is a whole record at `path`, and it says `ok`."""
    try:
        return records.read(path).status == "ok"
    except InputError:
        return False


@contextmanager
def claim(
    cell: Cell,
    options: Options,
    again: Collection[Status] = UNFINISHED,
    waiting: Callable[[], None] | None = None,
) -> Iterator[Standing]:
    """How `cell` stands; if it has to be run, no other process does so within.

    Args:
        cell: What may have to be run.
        options: How, and in which folder.
        again: What a record says of a cell that is run again.
        waiting: Called where another process runs it, which is then waited for; None
            does not wait, and the cell stands as busy.

    Raises:
        InputError: Its record cannot be read, or none can be written there.
    """
    found = find(cell, options, again)
    if found.record is not None:
        # Nothing is written: the folder of finished records may be read-only.
        yield found
        return
    path = records.path_of(options.out, cell)
    try:
        lock = locking.take(path, waiting)
    except OSError:
        from clbench import writing  # imports torch: seconds

        writing.check(path)
        raise
    if lock is None:
        yield Standing(again=found.again, busy=True)
        return
    try:
        # The process that had it may have done it.
        yield find(cell, options, again)
    finally:
        lock.release()
