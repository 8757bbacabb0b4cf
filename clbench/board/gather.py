"""The records that boards are computed from, and those that cannot be read."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clbench import registry
from clbench.contract import InputError
from clbench.matrix import Matrix, Row
from clbench.record import TUNING, Record, numbers, read

_NAME = re.compile(rb'"scenario"\s*:\s*\{\s*"name"\s*:\s*"([^"]*)"')
"""Where a record says which scenario it is of."""

PARTS: tuple[str, ...] = (
    *("strategy", "scenario", "recipe", "origins", "budget", "learned"),
    "environment",
)
"""What many records have alike."""


@dataclass(frozen=True)
class Found:
    """A record and where it lies.

    Attributes:
        path: The file.
        record: What it holds, less its rows and its log.
        rows: Those of its score matrix as JSON: as objects they are nine tenths of a
            record, and a board needs the matrices of thousands one after another.
    """

    path: Path
    record: Record
    rows: str

    def matrix(self) -> Matrix:
        """The score matrix, made anew from `rows`."""
        rows = tuple(Row(**row) for row in json.loads(self.rows))
        return Matrix(rows=rows, learned=self.record.learned)


@dataclass(frozen=True)
class Left:
    """A record that is left out, and why."""

    path: Path
    reason: str


class Records:
    """The records below some folders, read scenario by scenario.

    Thousands of records take hundreds of megabytes: only those of the scenario at hand
    are in memory.

    Args:
        folders: Where to look.
    """

    def __init__(self, folders: Iterable[Path]) -> None:
        self._paths: dict[str, list[Path]] = defaultdict(list)
        known = registry.find("scenario")
        loose = []
        for path in _files(folders):
            name = _named(path)
            if name in known:
                self._paths[name].append(path)
            else:
                loose.append(path)
        # What does not say in the usual place which scenario it is of is read at once.
        found, self._left = _read(loose)
        for entry in found:
            name = entry.record.scenario.name
            if name.isidentifier():
                self._paths[name].append(entry.path)
            else:
                self._left.append(Left(entry.path, f"'{name}' is no scenario"))

    @property
    def scenarios(self) -> list[str]:
        """Names of the scenarios that there are files of."""
        return sorted(self._paths)

    def paths(self, scenario: str) -> Sequence[Path]:
        """Files that say they are of a scenario."""
        return self._paths.get(scenario, [])

    def of(self, scenario: str) -> tuple[list[Found], list[Left]]:
        """Those of a scenario as `gather` gives them, and what may be of any."""
        found, left = _read(self.paths(scenario))
        kept = [entry for entry in found if entry.record.scenario.name == scenario]
        other = [
            Left(entry.path, f"names {scenario} and is of another scenario")
            for entry in found
            if entry.record.scenario.name != scenario
        ]
        return kept, [*left, *other, *self._left]


def gather(folders: Iterable[Path]) -> tuple[list[Found], list[Left]]:
    """Every record below `folders`, in the order of their configurations.

    Of several records of one configuration the newest counts, if all give the same
    numbers; where they do not, nobody knows which are right and none counts. A record
    that is damaged or edited is left out too.
    """
    return _read(_files(folders))


def _read(paths: Sequence[Path]) -> tuple[list[Found], list[Left]]:
    by_key: dict[str, list[Found]] = defaultdict(list)
    left = []
    alike: dict[str, Any] = {}
    for path in paths:
        try:
            found = _found(path, alike)
        except InputError as error:
            reason = str(error).removeprefix(f"{path}: ")
            left.append(Left(path, reason))
            continue
        by_key[found.record.key].append(found)
    kept = []
    for same in by_key.values():
        chosen, others = _choose(same)
        kept += [chosen] if chosen is not None else []
        left += others
    kept.sort(key=lambda f: (f.record.strategy.name, f.record.key, f.record.seed))
    return kept, left


def _found(path: Path, alike: dict[str, Any]) -> Found:
    """The record at `path`, with parts of those before it where they are equal."""
    record = read(path)
    parts: dict[str, Any] = {"rows": [], "log": {}}
    for name in PARTS:
        part = getattr(record, name)
        plain = isinstance(part, dict)
        text = json.dumps(part) if plain else part.model_dump_json()
        parts[name] = alike.setdefault(f"{name} {text}", part)
    rows = [vars(row) for row in record.matrix().rows]
    return Found(path, record.model_copy(update=parts), json.dumps(rows))


def _files(folders: Iterable[Path]) -> list[Path]:
    """JSON files below `folders`, each once.

    What is being written is hidden, and trials of a search are on no board.
    """
    files = {
        path.resolve(): path
        for folder in folders
        for path in sorted(folder.rglob("*.json"))
        if not path.name.startswith(".")
        and TUNING not in path.relative_to(folder).parts[:-1]
    }
    return list(files.values())


def _named(path: Path) -> str:
    """The scenario that a file says it is of; empty where it does not."""
    try:
        match = _NAME.search(path.read_bytes())
    except OSError:
        return ""
    return "" if match is None else match[1].decode(errors="replace")


def _choose(alike: Sequence[Found]) -> tuple[Found | None, list[Left]]:
    """Which of the records of one configuration counts, and why the others do not.

    Those that ended well count before those that did not, and those of the newest
    version of their scenario before older ones.
    """
    order = sorted(alike, key=lambda f: f.record.created, reverse=True)
    order.sort(key=_standing, reverse=True)
    first = order[0]
    equals = [f for f in order[1:] if _standing(f) == _standing(first)]
    then = numbers(read(first.path)) if equals else {}
    others = [f for f in equals if numbers(read(f.path)) != then]
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
