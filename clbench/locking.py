"""One process at a time runs a cell: locks beside records, held by the system.

A lock is the system's (`flock`), not a file that exists: it ends with the process that
holds it, however that ends, and no clock and no time of a file says whether it is held.
Where a system has no such call (Windows), every process has the right.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

if sys.platform != "win32":
    import fcntl

POLL = 0.5
"""Seconds between looks at a lock that is waited for."""


class Lock:
    """The right to run a cell, until it is released.

    Args:
        path: Of the file that is locked.
        handle: It, open and locked.
        made: Folders that were made for it, the innermost first.
    """

    def __init__(self, path: Path, handle: int, made: list[Path]) -> None:
        self._path, self._handle, self._made = path, handle, made

    def release(self) -> None:
        """Let other processes have it; what it lay in is gone if it is empty.

        So is what processes that were killed have left beside it.
        """
        # While it is held: nobody else can have locked this file by then. A file that
        # cannot be removed any more, such as of a disk that is gone, stays: it is open
        # to whoever locks it next.
        with suppress(OSError):
            self._path.unlink(missing_ok=True)
        os.close(self._handle)
        _clear(self._path.parent)
        with suppress(OSError):
            for folder in self._made:
                folder.rmdir()


def path_of(record: Path) -> Path:
    """The file that is locked while the cell is run whose record is at `record`."""
    return record.with_name(f".{record.stem}.lock")


def take(record: Path, waiting: Callable[[], None] | None = None) -> Lock | None:
    """The right to run the cell whose record is at `record`.

    Args:
        record: Its path, whether it is there or not.
        waiting: Called where another process has it, which is then waited for; None
            does not wait.

    Returns:
        The right; None where another process has it and is not waited for.

    Raises:
        OSError: There can be no lock, such as in a folder that is not to be written to.
    """
    lock = _try(record)
    if lock is None and waiting is not None:
        waiting()
        while lock is None:
            time.sleep(POLL)
            lock = _try(record)
    return lock


def taken(record: Path) -> bool:
    """Whether another process runs the cell whose record is at `record`.

    Raises:
        OSError: There can be no lock.
    """
    lock = _try(record)
    if lock is not None:
        lock.release()
    return lock is None


def _try(record: Path) -> Lock | None:
    path = path_of(record)
    while True:
        try:
            made = _make(path.parent)
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except FileNotFoundError:
            continue  # another process has just removed a folder, empty as it was
        except FileExistsError as error:
            # The same, after it was found to be there; else there is a file in the way.
            place = Path(error.filename)
            if place.is_dir() or not os.path.lexists(place):
                continue
            raise
        try:
            if not _lock(handle):
                os.close(handle)
                return None
            if _is(handle, path):
                return Lock(path, handle, made)
        except BaseException:
            os.close(handle)
            raise
        # Another process released it, and removed it, since it was opened here.
        os.close(handle)


def _clear(folder: Path) -> None:
    """Remove the files of locks in `folder` that nobody holds.

    They are held while they are removed, as on release: whoever opens one meanwhile
    finds that its name is gone, or that it is taken, and looks again.
    """
    if sys.platform == "win32":
        return  # there none says whether it is held
    for path in folder.glob(".*--*.lock"):
        with suppress(OSError):
            handle = os.open(path, os.O_RDWR)
            try:
                if _lock(handle) and _is(handle, path):
                    path.unlink()
            finally:
                os.close(handle)


def _make(folder: Path) -> list[Path]:
    """Make `folder`; those that were not there, the innermost first."""
    made = []
    place = folder
    while not place.exists() and place != place.parent:
        made.append(place)
        place = place.parent
    folder.mkdir(parents=True, exist_ok=True)
    return made


def _lock(handle: int) -> bool:
    if sys.platform != "win32":
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def _is(handle: int, path: Path) -> bool:
    """Whether the open file is the one that has the name."""
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(handle), path.stat())
    return False
