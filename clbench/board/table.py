"""Boards as numbers: what may be compared, and every strategy's scores and costs."""

from __future__ import annotations

import json
import shlex
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isnan
from statistics import fmean
from typing import Any

from clbench import registry
from clbench.board.gather import Found, Left
from clbench.contract import InputError, Metric, Scenario
from clbench.grammar import write
from clbench.metrics.interval import half_width
from clbench.record import Record

FEW = 3
"""Seeds below which a mean and its interval say little: such rows are marked."""

Scores = Mapping[str, float]

NAMED = -1
"""Stands in a repeat for a replicate that has no number: the named order of tasks."""

Repeat = tuple[int, ...]
"""Seed, and the values of whatever else repeats an experiment, such as the order."""


@dataclass(frozen=True)
class Spread:
    """A mean over seeds, and half its 95 % interval; that of a single one is None."""

    mean: float
    half: float | None
    n: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread | None:
        """The spread of those `values` that are defined; None if none is."""
        known = [value for value in values if not isnan(value)]
        if not known:
            return None
        return cls(fmean(known), half_width(known), len(known))


@dataclass(frozen=True)
class Line:
    """One way of learning on a board: a strategy, its parameters, its recipe.

    Attributes:
        label: The strategy's name, and whatever is not its default or tuned value.
        records: Those that ended well, by repeat and fold.
        folds: Every fold, also those that have no record here; one without a name
            where the scenario has none.
        scenario: The class that scores them.
        bound: Whether it learned a variant of the problem, such as all tasks at once:
            shown to compare with, not ranked.
    """

    label: str
    records: Mapping[tuple[Repeat, str], Record]
    folds: Sequence[str]
    scenario: type[Scenario]
    bound: bool = False

    @property
    def repeats(self) -> list[Repeat]:
        """Those of which every fold is there: the others do not count."""
        known = sorted({repeat for repeat, _ in self.records})
        return [r for r in known if all((r, f) in self.records for f in self.folds)]

    @property
    def missing(self) -> list[tuple[Repeat, str]]:
        """Repeats and folds without which a repeat does not count."""
        known = sorted({repeat for repeat, _ in self.records})
        return [(r, f) for r in known for f in self.folds if (r, f) not in self.records]

    def score(self, metric: str) -> Spread | None:
        """`metric`, averaged over the folds of each complete repeat, then over all."""
        return Spread.of(self.values(metric))

    def values(self, metric: str) -> list[float]:
        """`metric` of each complete repeat, averaged over folds."""
        return [
            fmean(self._scores[repeat, fold][metric] for fold in self.folds)
            for repeat in self.repeats
        ]

    def fold(self, metric: str, fold: str) -> Spread | None:
        """`metric` of one fold, over all seeds that have it."""
        return Spread.of(
            [scores[metric] for (_, f), scores in self._scores.items() if f == fold]
        )

    @cached_property
    def _scores(self) -> dict[tuple[Repeat, str], Scores]:
        return {
            place: self.scenario.scores(record.matrix(), record.scenario.params)
            for place, record in self.records.items()
        }

    @property
    def first(self) -> Record:
        """The record of the first repeat and fold: what all of them share is in it."""
        return self.records[min(self.records)]

    def command(self) -> str:
        """The command that runs every cell of this line again."""
        record = self.first
        fold = f"scenario.{record.scenario.fold}"
        incidental = {f"scenario.{name}" for name in self.scenario.incidental}
        names = self.scenario.replicates
        repeated = {f"scenario.{name}" for name in names}
        words = []
        for word in shlex.split(record.command):
            key, _, _ = word.partition("=")
            if key in incidental:
                # Where data lie differs from machine to machine.
                word = f"{key}={key.rpartition('.')[2].upper()}"
            if key not in ("seed", fold, *repeated):
                words.append(word)
        done = sorted({fold for _, fold in self.records})
        if record.scenario.fold and not set(self.folds) <= set(done):
            words.append(f"{fold}={','.join(done)}")
        columns = zip(*sorted({repeat for repeat, _ in self.records}), strict=True)
        for key, values in zip(("seed", *names), columns, strict=True):
            known = [value for value in dict.fromkeys(values) if value != NAMED]
            if known:
                place = key if key == "seed" else f"scenario.{key}"
                words.append(f"{place}={','.join(map(str, known))}")
        return " ".join(
            word if word in ("clbench", "run") else shlex.quote(word) for word in words
        )


@dataclass(frozen=True)
class Board:
    """One table: records of one scenario that may be compared.

    Attributes:
        scenario: Class of the scenario.
        first: One of the records: version, data, budget and settings are those of all.
        lines: Ranked by the main metric; those without a complete seed come last.
        failed: Records that did not end well.
    """

    scenario: type[Scenario]
    first: Record
    lines: Sequence[Line]
    failed: Sequence[Record]

    @property
    def main(self) -> Metric:
        """What ranks."""
        return self.scenario.main

    def score(self, line: Line, metric: Metric) -> Spread | None:
        """`metric` of `line`, one of the scenario's `metrics` or `compared`."""
        if metric in self.scenario.compared:
            return self.compared(line).get(metric.name)
        return line.score(metric.name)

    def against(self, line: Line) -> Line | None:
        """The bound that `line` is compared with; None for bounds, and without any."""
        bounds = [other for other in self.lines if other.bound and other.repeats]
        if line.bound or not bounds:
            return None
        if self.scenario.reference == "all":
            return min(bounds, key=lambda b: (-_trained(b), b.label))
        name = line.first.strategy.name
        own = [other for other in bounds if other.first.strategy.name == name]
        return (own or bounds)[0]

    def compared(self, line: Line) -> dict[str, Spread | None]:
        """The scenario's `compared` numbers of `line`; see `against`.

        Repeat by repeat, over those that both have. Empty where there is no bound.
        """
        bound = self.against(line)
        if bound is None:
            return {}
        found: dict[str, list[float]] = defaultdict(list)
        for place, record in line.records.items():
            other = bound.records.get(place)
            if other is not None:
                values = self.scenario.against(record.matrix(), other.matrix())
                for metric, value in values.items():
                    found[metric].append(value)
        return {m.name: Spread.of(found[m.name]) for m in self.scenario.compared}

    @property
    def folds(self) -> Sequence[str]:
        """The folds that a seed is averaged over; empty if the scenario has none."""
        return self.first.scenario.folds

    @property
    def settings(self) -> dict[str, Any]:
        """Parameters of the scenario that are not default, less the incidental."""
        record = self.first.scenario
        return {
            name: value
            for name, value in record.params.items()
            if name not in _hidden(self.scenario, self.first)
            and self.first.origins.get(f"scenario.{name}") == "user"
        }


def boards(name: str, found: Iterable[Found]) -> tuple[list[Board], list[Left]]:
    """The boards of scenario `name`, the fullest first, and what is on none.

    Records share a board if scenario version, parameters (but for the fold and those
    that change no number), data, backbone and budget are equal.
    """
    try:
        scenario: type[Scenario] = registry.load("scenario", name)
    except InputError as error:
        return [], [Left(f.path, str(error)) for f in found]
    left, kept = [], []
    for entry in found:
        version = entry.record.scenario.version
        if version == scenario.version:
            kept.append(entry)
            continue
        reason = f"of version {version} of {name}, which is now {scenario.version}"
        left.append(Left(entry.path, reason))
    made = []
    for members in _shared(scenario, kept):
        board, repeated = _board(scenario, members)
        made.append(board)
        left += repeated
    made.sort(key=lambda b: (-sum(len(line.records) for line in b.lines), _title(b)))
    return made, list(dict.fromkeys(left))


def _shared(scenario: type[Scenario], found: Sequence[Found]) -> list[list[Found]]:
    """Those records together that share a board.

    A bound is on every board that equals it in all but what makes it one; where there
    is none, bounds make one by themselves.
    """
    ranked: dict[str, list[Found]] = defaultdict(list)
    bounds: dict[str, list[Found]] = defaultdict(list)
    alike: dict[str, str] = {}
    for entry in found:
        rest = _text(_group(entry.record, scenario, scenario.variants))
        if _bound(entry.record, scenario):
            bounds[rest].append(entry)
            continue
        whole = _text(_group(entry.record, scenario, ()))
        ranked[whole].append(entry)
        alike[whole] = rest
    groups = [[*ranked[whole], *bounds[rest]] for whole, rest in alike.items()]
    alone = [those for rest, those in bounds.items() if rest not in alike.values()]
    return [*groups, *(those for those in alone if those)]


def _board(
    scenario: type[Scenario], found: Sequence[Found]
) -> tuple[Board, list[Left]]:
    first = found[0].record
    folds = first.scenario.folds or [""]
    ways: dict[str, list[Found]] = defaultdict(list)
    for entry in found:
        ways[_text(_way(entry.record, scenario))].append(entry)
    lines, left = [], []
    for members in ways.values():
        records: dict[tuple[Repeat, str], Record] = {}
        for entry in members:
            record = entry.record
            place = (_repeat(record, scenario), _fold(record))
            if record.status != "ok":
                continue
            if place in records:
                # Equal but for where its data lay: folders do not make another cell.
                left.append(Left(entry.path, "the same cell as another on the board"))
                continue
            records[place] = record
        if records:
            label = _label(members[0].record, scenario)
            bound = _bound(members[0].record, scenario)
            lines.append(Line(label, records, folds, scenario, bound))
    failed = [entry.record for entry in found if entry.record.status != "ok"]
    board = Board(scenario, first, lines, failed)
    sign = -1 if scenario.main.higher_is_better else 1

    def rank(line: Line) -> tuple[bool, float, str]:
        score = board.score(line, scenario.main)
        return (score is None, sign * score.mean if score else 0.0, line.label)

    return Board(scenario, first, sorted(lines, key=rank), failed), left


def _group(
    record: Record, scenario: type[Scenario], free: Iterable[str]
) -> dict[str, Any]:
    """What must be equal for records to share a board, parameters in `free` aside."""
    hidden = {*_hidden(scenario, record), *free}
    budget = {k: v for k, v in record.budget.items() if k != "models"}
    return {
        "params": {k: v for k, v in record.scenario.params.items() if k not in hidden},
        "fingerprint": record.scenario.card.fingerprint,
        "backbone": record.scenario.card.backbone,
        "budget": budget,
    }


def _hidden(scenario: type[Scenario], record: Record) -> set[str | None]:
    """Parameters that may differ between the records of one board."""
    return {record.scenario.fold, *scenario.incidental, *scenario.replicates}


def _bound(record: Record, scenario: type[Scenario]) -> bool:
    """Whether it learned a variant of the problem, which is not ranked."""
    params = record.scenario.params
    return any(params[name] in values for name, values in scenario.variants.items())


def _way(record: Record, scenario: type[Scenario]) -> dict[str, Any]:
    """What must be equal for records to share a line: how it was learned."""
    members = [[member.name, member.params] for member in record.strategy.members]
    variants = {name: record.scenario.params[name] for name in scenario.variants}
    return {"members": members, "recipe": record.recipe, "variants": variants}


def _repeat(record: Record, scenario: type[Scenario]) -> Repeat:
    values = [record.scenario.params[name] for name in scenario.replicates]
    return (record.seed, *(NAMED if value is None else value for value in values))


def _label(record: Record, scenario: type[Scenario]) -> str:
    """The strategy's name and what its user set: neither default nor tuned."""
    several = len(record.strategy.members) > 1
    given = []
    for member in record.strategy.members:
        prefix = f"{member.name}." if several else ""
        given += [
            f"{prefix}{key}={write(value)}"
            for key, value in member.params.items()
            if record.origins.get(f"strategy.{prefix}{key}") == "user"
        ]
    given += [
        f"recipe.{key}={write(value)}"
        for key, value in record.recipe.items()
        if record.origins.get(f"recipe.{key}") == "user"
    ]
    given += [
        f"{key}={write(record.scenario.params[key])}"
        for key in _given(record, scenario.variants)
        if _bound(record, scenario)
    ]
    return " ".join([record.strategy.name, *given])


def _given(record: Record, names: Iterable[str]) -> list[str]:
    """Those of the scenario's parameters `names` that the user set."""
    return [n for n in names if record.origins.get(f"scenario.{n}") == "user"]


def _fold(record: Record) -> str:
    name = record.scenario.fold
    return str(record.scenario.params[name]) if name else ""


def _trained(line: Line) -> int:
    """Parameters that were trained, of whatever kind."""
    costs = [record.cost for record in line.records.values() if record.cost is not None]
    return max((sum(c.trainable.model_dump().values()) for c in costs), default=0)


def _title(board: Board) -> str:
    card = board.first.scenario.card
    return f"{card.data} {card.backbone} {_text(board.settings)}"


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
