"""What lies beside a record: whether it is that record's, and what it holds.

A record has the hash of its outcomes. They are optional: a published record lies alone.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from clbench.contract import InputError
from clbench.record import Record, outcomes_path, pictures_path

if TYPE_CHECKING:
    from clbench.outcomes import Outcomes, Pictures


def check(path: Path, record: Record) -> None:
    """Hold the outcomes beside the record at `path` to the hash that it names.

    Records from before there was a hash, and those that lie alone, have none to hold.

    Raises:
        InputError: They are not those that were written with it.
    """
    beside = outcomes_path(path)
    if not record.outcomes or not beside.is_file():
        return
    with beside.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != record.outcomes:
        raise InputError(
            f"{beside}: not the outcomes that were written with {path.name} (hash "
            f"differs): edited, damaged or of another run; remove them, or run the "
            f"cell again"
        )


def outcomes(path: Path, record: Record) -> Outcomes:
    """The outcomes beside the record at `path`; none where there is no such file.

    Raises:
        InputError: They are not the record's, or cannot be read.
    """
    from clbench import outcomes as files

    beside = outcomes_path(path)
    if not beside.is_file():
        return []
    check(path, record)
    return files.read(beside)


def pictures(path: Path) -> Pictures | None:
    """The pictures beside the record at `path`; None where there is no such file.

    Raises:
        InputError: They cannot be read.
    """
    from clbench import outcomes as files

    beside = pictures_path(path)
    return files.read_pictures(beside) if beside.is_file() else None
