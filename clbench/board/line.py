"""One row of a board: the records of one way of learning, and their scores."""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isnan, nan
from statistics import fmean

from clbench.board.gather import Found
from clbench.contract import Scenario
from clbench.record import Record
from clbench.statistics.intervals import half_width

Scores = Mapping[str, float]

NAMED = -1
"""Stands in a repeat for a replicate that has no number: the named order of tasks."""

Repeat = tuple[int, ...]
"""Seed, and the values of whatever else repeats an experiment, such as the order."""

Unit = tuple[int, tuple[Repeat, ...]]
"""What counts as one independent repeat: a seed, and the repeats it stands for."""

Place = tuple[Repeat, str]
"""A repeat, and one of its folds."""


@dataclass(frozen=True)
class Spread:
    """A mean over seeds, and half its 95 % interval; that of a single one is None."""

    mean: float
    half: float | None
    n: int

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread | None:
        """The spread of those `values` that are defined; None if none is."""
        known = [value for value in values if not isnan(value)]
        if not known:
            return None
        return cls(fmean(known), half_width(known), len(known))


@dataclass(frozen=True)
class Line:
    """One way of learning on a board: a strategy, its parameters, its recipe.

    Attributes:
        way: What makes it one way of learning, as text.
        label: The strategy's name, and whatever is not its default or tuned value.
        cells: Records that ended well, by repeat and fold.
        folds: Every fold, also those that have no record here; one without a name
            where the scenario has none.
        scenario: The class that scores them.
        bound: Whether it learned a variant of the problem, such as all tasks at once:
            shown to compare with, not ranked.
    """

    way: str
    label: str
    cells: Mapping[Place, Found]
    folds: Sequence[str]
    scenario: type[Scenario]
    bound: bool = False

    @cached_property
    def records(self) -> dict[Place, Record]:
        """The records themselves, less their rows."""
        return {place: found.record for place, found in self.cells.items()}

    @cached_property
    def repeats(self) -> list[Repeat]:
        """Those of which every fold is there: the others do not count."""
        known = sorted({repeat for repeat, _ in self.records})
        return [r for r in known if all((r, f) in self.records for f in self.folds)]

    @property
    def missing(self) -> list[Place]:
        """Repeats and folds without which a repeat does not count."""
        known = sorted({repeat for repeat, _ in self.records})
        return [(r, f) for r in known for f in self.folds if (r, f) not in self.records]

    @cached_property
    def units(self) -> list[Unit]:
        """What is independent: the seeds; of a single seed, its other repeats."""
        by_seed: dict[int, list[Repeat]] = defaultdict(list)
        for repeat in self.repeats:
            by_seed[repeat[0]].append(repeat)
        if len(by_seed) == 1:
            return [(repeat[0], (repeat,)) for repeat in self.repeats]
        return [(seed, tuple(repeats)) for seed, repeats in by_seed.items()]

    def per_unit(self, values: Sequence[float]) -> list[float]:
        """The mean of `values`, one for each repeat, over each of the `units`."""
        by_repeat = dict(zip(self.repeats, values, strict=True))
        found = []
        for _, repeats in self.units:
            known = [by_repeat[r] for r in repeats if not isnan(by_repeat[r])]
            found.append(fmean(known) if known else nan)
        return found

    def score(self, metric: str) -> Spread | None:
        """`metric`, averaged over the folds of each complete repeat, then over all."""
        return Spread.of(self.per_unit(self.values(metric)))

    def values(self, metric: str) -> list[float]:
        """`metric` of each complete repeat, averaged over folds; NaN is undefined."""
        return [
            fmean(self.scores[repeat, fold].get(metric, nan) for fold in self.folds)
            for repeat in self.repeats
        ]

    def fold(self, metric: str, fold: str) -> Spread | None:
        """`metric` of one fold, over all seeds that have it."""
        return Spread.of(self.of_fold(metric, fold))

    def of_fold(self, metric: str, fold: str) -> list[float]:
        """`metric` of one fold, of every repeat that has it."""
        places = sorted(place for place in self.records if place[1] == fold)
        return [self.scores[place].get(metric, nan) for place in places]

    @cached_property
    def scores(self) -> dict[Place, Scores]:
        """The numbers of each record that need no other record."""
        return {
            place: self.scenario.scores(found.matrix(), found.record.scenario.params)
            for place, found in self.cells.items()
        }

    @property
    def first(self) -> Record:
        """The record of the first repeat and fold: what all of them share is in it."""
        return self.records[min(self.records)]

    @property
    def settings(self) -> str:
        """What its label says besides the strategy's name."""
        return self.label.removeprefix(self.first.strategy.name).strip()

    def command(self) -> str:
        """The command that runs every cell of this line again."""
        done = sorted({fold for _, fold in self.records})
        whole = set(self.folds) <= set(done)
        repeats = sorted({repeat for repeat, _ in self.records})
        return command(
            self.first.command,
            self.scenario,
            repeats=repeats,
            folds=[] if whole else done,
        )


def command(
    of_cell: str,
    scenario: type[Scenario],
    *,
    repeats: Sequence[Repeat],
    folds: Sequence[str],
) -> str:
    """The command that runs the cell of `of_cell` in other repeats and folds.

    Args:
        of_cell: The command of one of them.
        scenario: What it runs.
        repeats: Those to run.
        folds: Those to run; none is all.
    """
    fold = f"scenario.{scenario.folds}"
    incidental = {f"scenario.{name}" for name in scenario.incidental}
    repeated = {f"scenario.{name}" for name in scenario.replicates}
    words = []
    for word in shlex.split(of_cell):
        key, _, _ = word.partition("=")
        if key in incidental:
            # Where data lie differs from machine to machine.
            word = f"{key}={key.rpartition('.')[2].upper()}"
        if key not in ("seed", fold, *repeated):
            words.append(word)
    if folds:
        words.append(f"{fold}={','.join(folds)}")
    columns = zip(*repeats, strict=True)
    for key, values in zip(("seed", *scenario.replicates), columns, strict=True):
        known = [value for value in dict.fromkeys(values) if value != NAMED]
        if known:
            place = key if key == "seed" else f"scenario.{key}"
            words.append(f"{place}={','.join(map(str, known))}")
    return " ".join(
        word if word in ("clbench", "run") else shlex.quote(word) for word in words
    )
