"""Board documents as files: what is written, to the digit, and read again."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any

from clbench.board.document import FORMAT, Document, Row, Sheet
from clbench.contract import InputError

DIGITS = 10
"""Significant digits of a number: what is further is not the same on every machine."""

ZERO = 1e-12
"""Sizes below it are rounding."""

Written = Mapping[str, Any]
"""What `leaderboards/<scenario>.json` holds: a `Document` as plain values."""


def read(folder: Path) -> Iterator[Written]:
    """The board documents in `folder`, in the order of their names.

    Raises:
        InputError: A JSON file there is none, or of another format.
    """
    for path in sorted(folder.glob("*.json")):
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except (UnicodeDecodeError, json.JSONDecodeError) as error:
            raise InputError(f"{path}: not a board ({error})") from error
        found = document.get("format") if isinstance(document, dict) else None
        if found != FORMAT:
            raise InputError(
                f"{path}: a board of format {found}, and only {FORMAT} is known here; "
                f"write it again with `clbench board`"
            )
        yield document


def plain(value: Any) -> Any:
    """`value` as JSON holds it: fields in their order, numbers rounded, no NaN."""
    if dataclasses.is_dataclass(value):
        names = (field.name for field in dataclasses.fields(value))
        return {name: plain(getattr(value, name)) for name in names}
    if isinstance(value, float):
        return rounded(value)
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    return value


def rounded(value: float) -> float | None:
    """`value` to the digits that every machine agrees on; None if it is not finite."""
    if not isfinite(value):
        return None
    return 0.0 if abs(value) < ZERO else float(f"{value:.{DIGITS}g}")


def dump(document: Document) -> bytes:
    """The JSON file of `document`.

    Fields of the document, its boards and their rows have lines of their own; whatever
    these hold has one, such as a record with its matrix.
    """
    return "".join([*_spread(document, "\n"), "\n"]).encode()


def _spread(value: Any, end: str) -> Iterator[str]:
    """JSON of a dataclass, a line for each field and for each entry of its lists."""
    start = "{"
    for name, held in vars(value).items():
        yield f'{start}{end} "{name}": '
        if isinstance(held, list) and held and dataclasses.is_dataclass(held[0]):
            yield from _entries(held, f"{end} ")
        else:
            yield _encode(held)
        start = ","
    yield f"{end}}}"


def _entries(entries: Sequence[Any], end: str) -> Iterator[str]:
    start = "["
    for entry in entries:
        yield f"{start}{end} "
        if isinstance(entry, Sheet | Row):
            yield from _spread(entry, f"{end} ")
        else:
            yield _encode(entry)
        start = ","
    yield f"{end}]"


# Without indentation it is C code that writes: a fifth of the time.
_encode = json.JSONEncoder(
    allow_nan=False, ensure_ascii=False, check_circular=False, default=vars
).encode
