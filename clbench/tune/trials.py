"""The trials of a search: cells, their records, and what these say of settings."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from clbench import record as records
from clbench import standing
from clbench.contract import InputError
from clbench.matrix import Matrix
from clbench.record import Record
from clbench.tune.axes import Settings
from clbench.tune.search import Search

if TYPE_CHECKING:
    from clbench.options import Options
    from clbench.record import Status
    from clbench.report import Reporter
    from clbench.resolved import Cell

Runner = Callable[["Cell", "Options", "Reporter"], Record]
"""Runs a cell and writes its record, as `clbench.cell.run_cell` does."""


@dataclass(frozen=True)
class Trial:
    """Settings that were tried.

    Attributes:
        number: From 0, in the order of the search.
        settings: What it sets; empty is the default.
        value: What is compared; None where it failed.
        reason: Why it failed.
        records: Names of its records, one for each fold.
        ran: Whether a cell of it was run now.
    """

    number: int
    settings: Settings
    value: float | None
    reason: str
    records: tuple[str, ...]
    ran: bool


class Trials:
    """Runs what a search tries, unless it has a record already.

    Args:
        search: What is searched.
        run: Runs a cell.
        reporter: Shows a cell.
        cell_done: Told after each cell whether it was run now.
        done: Told after each trial.
        retry: Whether trials that failed are run again.

    Attributes:
        all: Those that are done.
        changed: Names of plugins whose source has changed since a record was made.
    """

    def __init__(
        self,
        search: Search,
        run: Runner,
        reporter: Reporter,
        cell_done: Callable[[bool], None],
        done: Callable[[Trial], None],
        *,
        retry: bool = False,
    ) -> None:
        self.all: list[Trial] = []
        self.changed: set[str] = set()
        self._search, self._run, self._reporter = search, run, reporter
        self._cell_done, self._done = cell_done, done
        self._retry = retry
        self._options = dataclasses.replace(
            search.options, out=search.options.out / records.TUNING
        )
        self._first: list[Matrix] | None = None

    def __call__(self, number: int, settings: Settings) -> float | None:
        """The trial's value; None where it failed.

        Raises:
            InputError: A record cannot be read, or the strategy has no meaning here.
            KeyboardInterrupt: The user stopped a cell.
        """
        cells = self._search.cells(settings)
        found: list[Record] = []
        ran, reason = False, ""
        for cell in cells:
            entry, now = self._settle(cell)
            ran = ran or now
            self._cell_done(now)
            found.append(entry)
            if entry.status != "ok":
                reason = self._failure(cell, entry)
                # What one fold fails at has no mean: the others are not run.
                for _ in cells[len(found) :]:
                    self._cell_done(False)
                break
        value = None
        if not reason:
            value = self._value(found)
            reason = "" if value is not None else "its number is not finite"
        trial = Trial(
            number=number,
            settings=dict(settings),
            value=value,
            reason=reason,
            records=tuple(f"{cell.name}--{cell.key()}" for cell in cells),
            ran=ran,
        )
        self.all.append(trial)
        self._done(trial)
        return value

    @property
    def folder(self) -> Path:
        """Where the records lie."""
        return self._options.out / self._search.scenario

    @property
    def best(self) -> Trial | None:
        """The winner: of equal ones the first."""
        ranked = self.ranked
        return ranked[0] if ranked else None

    @property
    def ranked(self) -> list[Trial]:
        """Those that have a value, the best first; settings that came twice once."""
        once = {t.records: t for t in reversed(self.all) if t.value is not None}
        sign = -1 if self._search.tuning.up else 1
        return sorted(once.values(), key=lambda t: (sign * (t.value or 0.0), t.number))

    @property
    def distinct(self) -> int:
        """How many settings were tried, failed ones included."""
        return len({trial.records for trial in self.all})

    def _settle(self, cell: Cell) -> tuple[Record, bool]:
        """The record of `cell`, and whether it was run for it now."""
        again: tuple[Status, ...] = ("interrupted",)
        if self._retry:
            again = (*again, "failed")
        with standing.claim(cell, self._options, again, self._waiting) as found:
            self.changed.update(found.changed)
            if found.record is not None:
                return found.record, False
            return self._run(cell, self._options, self._reporter), True

    def _waiting(self) -> None:
        self._reporter.note("another process runs this trial: waits for its record")

    def _failure(self, cell: Cell, entry: Record) -> str:
        if entry.status == "unsupported":
            raise InputError(
                f"strategy={cell.name} has no meaning on scenario="
                f"{cell.scenario.name}, so there is nothing to tune: {entry.reason}"
            )
        return entry.reason or entry.status

    def _value(self, found: Sequence[Record]) -> float | None:
        """What is compared, the mean over folds; None if it is not finite."""
        matrices = [entry.matrix() for entry in found]
        first = matrices if self._first is None else self._first
        tuning = self._search.tuning
        value = fmean(
            tuning.number(matrix, other, entry.scenario.params)
            for matrix, other, entry in zip(matrices, first, found, strict=True)
        )
        if not math.isfinite(value):
            return None
        self._first = first
        return value


def defaults(search: Search) -> dict[str, Any]:
    """The value of each searched key where nobody sets it."""
    from clbench.building import build_scenario  # imports torch: seconds

    cell = search.default[0]
    known: Mapping[str, Any] = dict(cell.items())
    recipe = dataclasses.asdict(build_scenario(cell).recipe)
    return {
        axis.key: recipe[name] if part == "recipe" else known.get(axis.key)
        for axis in search.axes
        for part, _, name in [axis.key.partition(".")]
    }
