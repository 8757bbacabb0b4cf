"""The file of a record: written whole, held to its hash on reading."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from clbench import atomic
from clbench.contract import InputError
from clbench.masking import clean
from clbench.migration import migrate
from clbench.record.schema import SCHEMA, Record


class NotWritten(InputError):
    """A record cannot be written where it should be.

    Attributes:
        record: What would have been written.
    """

    def __init__(self, message: str, record: Record) -> None:
        super().__init__(message)
        self.record = record


def write(record: Record, path: Path) -> None:
    """Write `record`: all of it or nothing, whatever happens meanwhile.

    Secrets in it are masked, and home folders are `~`.

    Raises:
        ValueError: A number in it is NaN or infinite.
    """
    atomic.write(path, encode(record))


def encode(record: Record) -> bytes:
    """The content of the file of `record`, its hash included.

    Raises:
        ValueError: A number in it is NaN or infinite.
    """
    document = clean(record.model_dump(mode="json"))
    document["sha256"] = digest(document)
    text = json.dumps(document, indent=1, allow_nan=False, ensure_ascii=False)
    return (text + "\n").encode()


def read(path: Path) -> Record:
    """The record at `path`, in today's fields, if it is what was written.

    Its hash is compared with its content as it lies there; only then is a record of an
    older schema brought up to this one, in memory.

    Raises:
        InputError: It is damaged, edited, or of a newer schema.
    """
    try:
        document = json.loads(path.read_text(), parse_constant=_no_number)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a record ({_line(error)})") from error
    if not isinstance(document, dict) or "schema_version" not in document:
        raise InputError(f"{path}: not a record (no schema_version)")
    version = document["schema_version"]
    if not isinstance(version, int) or version > SCHEMA:
        raise InputError(
            f"{path}: schema {version} is not known here, only up to {SCHEMA}: install "
            f"a newer clbench"
        )
    if document.get("sha256") != digest(document):
        raise InputError(f"{path}: its content is not what was written (hash differs)")
    try:
        return Record.model_validate(migrate(document, SCHEMA))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise InputError(f"{path}: damaged at '{place}' ({first['msg']})") from error
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def digest(document: Mapping[str, Any]) -> str:
    """SHA-256 of a record's content, less the field that holds it."""
    content = {key: value for key, value in document.items() if key != "sha256"}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number")


def _line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
