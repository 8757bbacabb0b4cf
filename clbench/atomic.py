"""Files that are written at once: all of one or nothing of it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def write(path: Path, *content: bytes | memoryview) -> None:
    """Write a file at once: a reader sees the old one or the new one, whole.

    It is on the disk when this returns, and so is its name: a crash right after leaves
    it there.

    Args:
        path: Of the file; folders are made.
        content: What it shall hold, in parts.

    Raises:
        OSError: It cannot be written; what was there before is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            for part in content:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes files that nobody else may read.
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Have the names in `folder` on the disk; there is no such call on Windows."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
