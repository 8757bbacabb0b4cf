"""The records that boards are computed from, and those that cannot be read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic_core import to_json

from clbench.contract import InputError
from clbench.record import Record, comparable, read

ALIKE = (
    "strategy",
    "scenario",
    "recipe",
    "origins",
    "budget",
    "learned",
    "environment",
)
"""Parts of a record that many records have in common."""


@dataclass(frozen=True)
class Found:
    """A record and where it lies."""

    path: Path
    record: Record


@dataclass(frozen=True)
class Left:
    """A record that is left out, and why."""

    path: Path
    reason: str


def gather(folders: Iterable[Path]) -> tuple[list[Found], list[Left]]:
    """Every record below `folders`, in the order of their configurations.

    Of two records of one configuration the newer counts; the other is left out, with a
    word on whether their numbers are equal. A record that is damaged or edited is left
    out too.
    """
    by_key: dict[str, Found] = {}
    known_parts: dict[tuple[str, bytes], Any] = {}
    left = []
    for path in _files(folders):
        try:
            found = Found(path, _sharing(read(path), known_parts))
        except InputError as error:
            reason = str(error).removeprefix(f"{path}: ")
            left.append(Left(path, reason))
            continue
        known = by_key.setdefault(found.record.key, found)
        if known is not found:
            newer, older = sorted(
                (known, found), key=lambda f: f.record.created, reverse=True
            )
            by_key[found.record.key] = newer
            left.append(Left(older.path, _repeated(newer, older)))
    order = sorted(
        by_key.values(),
        key=lambda f: (f.record.strategy.name, f.record.key, f.record.seed),
    )
    return order, left


def _sharing(record: Record, known: dict[tuple[str, bytes], Any]) -> Record:
    """`record`, its parts the same objects as equal parts of earlier records.

    A board's records are alike in most of what they say: of ten thousand, that is half
    of their memory.
    """
    parts = {name: getattr(record, name) for name in ALIKE}
    return record.model_copy(
        update={
            name: known.setdefault((name, to_json(part)), part)
            for name, part in parts.items()
        }
    )


def _files(folders: Iterable[Path]) -> list[Path]:
    """JSON files below `folders`, each once; what is being written is hidden."""
    files = {
        path.resolve(): path
        for folder in folders
        for path in sorted(folder.rglob("*.json"))
        if not path.name.startswith(".")
    }
    return list(files.values())


def _repeated(newer: Found, older: Found) -> str:
    equal = comparable(newer.record) == comparable(older.record)
    return f"repeated by a newer one, whose numbers are {'equal' if equal else 'other'}"
