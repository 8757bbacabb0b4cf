"""Cells that cost the same, together: one of them is timed for all."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clbench import record, registry
from clbench.checkpoint.file import Damaged, facts_of
from clbench.contract import InputError

if TYPE_CHECKING:
    from clbench.resolved import Cell, Options


@dataclass(frozen=True)
class Bundle:
    """Cells that differ in nothing that costs anything.

    Attributes:
        name: Strategy, scenario and what is not default, as people read it.
        key: Of what they have in common.
        cells: All of them.
        left: Of each that has no record yet, the part that is to be run: 1 unless a
            checkpoint says how far it is.
    """

    name: str
    key: str
    cells: Sequence[Cell]
    left: Sequence[float]

    @property
    def done(self) -> int:
        """How many have a record."""
        return len(self.cells) - len(self.left)

    @property
    def stopped(self) -> int:
        """How many go on from a checkpoint."""
        return sum(part < 1 for part in self.left)


def bundled(cells: Sequence[Cell], options: Options) -> list[Bundle]:
    """`cells` in bundles, in their order.

    Seeds, folds and repeats (`Scenario.folds`, `Scenario.replicates`) cost the same.
    """
    found: dict[str, list[Cell]] = {}
    for cell in cells:
        found.setdefault(key_of(cell), []).append(cell)
    return [
        Bundle(_name(alike), key, alike, list(_left(alike, options)))
        for key, alike in found.items()
    ]


def key_of(cell: Cell) -> str:
    """What all cells of its bundle have in common, as text."""
    plain = cell.to_dict()
    for name in ("seed", "origins", "tuned", "trials"):
        del plain[name]
    for name in _alike(cell):
        plain["scenario"]["params"].pop(name, None)
    return json.dumps(plain, sort_keys=True, separators=(",", ":"))


def _alike(cell: Cell) -> set[str]:
    """Parameters of the scenario whose values cost the same."""
    kind = registry.load("scenario", cell.scenario.name)
    return {*kind.replicates, *([kind.folds] if kind.folds else [])}


def _name(cells: Sequence[Cell]) -> str:
    first = cells[0]
    dropped = {f"scenario.{name}" for name in _alike(first)}
    given = [f"{k}={v}" for k, v in first.given() if k not in dropped]
    texts = [first.name, f"on {first.scenario.name}"]
    return " ".join([*texts, *(text.partition(".")[2] for text in given)])


def _left(cells: Sequence[Cell], options: Options) -> Iterator[float]:
    for cell in cells:
        if options.force:
            yield 1.0
        elif not _has_record(cell, options):
            yield 1.0 - _gone(cell, options)


def _has_record(cell: Cell, options: Options) -> bool:
    """Whether a record makes running `cell` needless."""
    path = record.path_of(options.out, cell)
    if not path.is_file():
        return False
    try:
        found = record.read(path)
    except InputError:
        # A run says what is wrong with it.
        return False
    kind = registry.load("scenario", cell.scenario.name)
    whole = found.status == "ok" and found.scenario.version == kind.version
    return whole and not (options.keep and not record.model_path(path).is_file())


def _gone(cell: Cell, options: Options) -> float:
    """The part of `cell` that its checkpoints have behind them."""
    gone = 0.0
    for path in record.checkpoint_paths(record.path_of(options.out, cell)):
        with suppress(OSError, Damaged, KeyError, ZeroDivisionError):
            facts = facts_of(path)
            gone = max(gone, facts["step"] / facts["steps"])
    return min(gone, 1.0)
