"""Cells that cost the same, together: one of them is timed for all."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clbench import record, registry, standing
from clbench.checkpoint.file import Damaged, facts_of
from clbench.contract import InputError
from clbench.grammar import write
from clbench.sweep.job import AGAIN

if TYPE_CHECKING:
    from clbench.options import Options
    from clbench.resolved import Cell


@dataclass(frozen=True)
class Bundle:
    """Cells that differ in nothing that costs anything.

    Attributes:
        name: Strategy, scenario and what is not default, as people read it.
        key: Of what they have in common.
        cells: All of them.
        left: Of each that has no record yet, the part that is to be run: 1 unless a
            checkpoint says how far it is.
        refused: Why others cannot be run, such as a record that cannot be read.
    """

    name: str
    key: str
    cells: Sequence[Cell]
    left: Sequence[float]
    refused: Sequence[str] = ()

    @property
    def done(self) -> int:
        """How many have a record."""
        return len(self.cells) - len(self.left) - len(self.refused)

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
    return [_bundle(key, alike, options) for key, alike in found.items()]


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


def name_of(cells: Sequence[Cell]) -> str:
    """What people call a bundle of `cells`."""
    first = cells[0]
    dropped = {f"scenario.{name}" for name in _alike(first)}
    given = [f"{k}={write(v)}" for k, v in first.given() if k not in dropped]
    texts = [first.name, f"on {first.scenario.name}"]
    return " ".join([*texts, *(text.partition(".")[2] for text in given)])


def _bundle(key: str, cells: Sequence[Cell], options: Options) -> Bundle:
    left, refused = [], []
    for cell in cells:
        try:
            found = standing.find(cell, options, AGAIN)
        except InputError as error:
            refused.append(str(error))
            continue
        if found.record is None:
            left.append(1.0 if options.afresh else 1.0 - _gone(cell, options))
    return Bundle(name_of(cells), key, cells, left, refused)


def _gone(cell: Cell, options: Options) -> float:
    """The part of `cell` that its checkpoints have behind them."""
    gone = 0.0
    for path in record.checkpoint_paths(record.path_of(options.out, cell)):
        with suppress(OSError, Damaged, KeyError, ZeroDivisionError):
            facts = facts_of(path)
            gone = max(gone, facts["step"] / facts["steps"])
    return min(gone, 1.0)
