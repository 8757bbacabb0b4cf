"""The records that boards are computed from, and those that cannot be read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic_core import to_json

from clbench.contract import InputError
from clbench.record import Record, numbers, read

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

    Of several records of one configuration the newest counts, if all give the same
    numbers; where they do not, nobody knows which are right and none counts. A record
    that is damaged or edited is left out too.
    """
    by_key: dict[str, list[Found]] = defaultdict(list)
    known_parts: dict[tuple[str, bytes], Any] = {}
    left = []
    for path in _files(folders):
        try:
            found = Found(path, _sharing(read(path), known_parts))
        except InputError as error:
            reason = str(error).removeprefix(f"{path}: ")
            left.append(Left(path, reason))
            continue
        by_key[found.record.key].append(found)
    kept = []
    for alike in by_key.values():
        chosen, others = _choose(alike)
        kept += [chosen] if chosen is not None else []
        left += others
    kept.sort(key=lambda f: (f.record.strategy.name, f.record.key, f.record.seed))
    return kept, left


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


def _choose(alike: Sequence[Found]) -> tuple[Found | None, list[Left]]:
    """Which of the records of one configuration counts, and why the others do not.

    Those that ended well count before those that did not, and those of the newest
    version of their scenario before older ones.
    """
    order = sorted(alike, key=lambda f: f.record.created, reverse=True)
    order.sort(key=_standing, reverse=True)
    first = order[0]
    equals = [f for f in order[1:] if _standing(f) == _standing(first)]
    others = [f for f in equals if numbers(f.record) != numbers(first.record)]
    if others and first.record.status == "ok":
        return None, [
            *(Left(f.path, _contradicted(first)) for f in others),
            Left(first.path, _contradicted(others[0])),
            *(Left(f.path, _REPEATED) for f in order[1:] if f not in others),
        ]
    return first, [Left(f.path, _REPEATED) for f in order[1:]]


def _standing(found: Found) -> tuple[bool, int]:
    return found.record.status == "ok", found.record.scenario.version


_REPEATED = "repeated by a newer record of the same cell"


def _contradicted(other: Found) -> str:
    return (
        f"{other.path} is of the same cell and has other numbers: neither counts "
        f"(`clbench verify` says which runs again)"
    )
