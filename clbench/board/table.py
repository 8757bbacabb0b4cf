"""Boards as numbers: what may be compared, and every strategy's scores and costs."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import nan
from typing import Any

from clbench import registry
from clbench.board import bounds
from clbench.board.bounds import is_bound
from clbench.board.gather import Found, Left
from clbench.board.line import NAMED, Line, Place, Spread
from clbench.contract import InputError, Metric, Scenario
from clbench.grammar import write
from clbench.record import Record


@dataclass(frozen=True)
class Board:
    """One table: records of one scenario that may be compared.

    Attributes:
        scenario: Class of the scenario.
        first: One of the records: version, data, budget and settings are those of all.
        lines: Ranked by the main metric; those without a complete seed come last.
        failed: Records that did not end well.
        against: The bound that a line is compared with, by the line's `way`.
        compared: The scenario's `compared` numbers of each complete repeat, likewise;
            NaN where the bound has no such repeat.
    """

    scenario: type[Scenario]
    first: Record
    lines: Sequence[Line]
    failed: Sequence[Record]
    against: Mapping[str, Line]
    compared: Mapping[str, Mapping[str, Sequence[float]]]

    @property
    def main(self) -> Metric:
        """What ranks."""
        return self.scenario.main

    def values(self, line: Line, metric: Metric) -> Sequence[float]:
        """`metric` of each complete repeat of `line`; NaN where it is undefined."""
        if metric in self.scenario.compared:
            found = self.compared.get(line.way, {}).get(metric.name)
            return [nan] * len(line.repeats) if found is None else found
        return line.values(metric.name)

    def score(self, line: Line, metric: Metric) -> Spread | None:
        """`metric` of `line`, one of the scenario's `metrics` or `compared`."""
        return Spread.of(line.per_unit(self.values(line, metric)))

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

    @property
    def title(self) -> str:
        """What tells it from the scenario's other boards, for people."""
        card = self.first.scenario.card
        return f"{card.data}, backbone {card.backbone}" + "".join(
            f", {key}={write(value)}"
            for key, value in self.settings.items()
            if key not in ("dataset", "backbone")
        )

    @property
    def fixed(self) -> dict[str, Any]:
        """Everything that is equal for all its ranked records."""
        version = self.first.scenario.version
        return {"version": version, **_group(self.first, self.scenario, ())}


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
    made.sort(key=lambda b: (-sum(len(line.records) for line in b.lines), _order(b)))
    return made, list(dict.fromkeys(left))


def way(record: Record, scenario: type[Scenario]) -> str:
    """What must be equal for records to share a line: how it was learned, as text."""
    members = [[member.name, member.params] for member in record.strategy.members]
    variants = {name: record.scenario.params[name] for name in scenario.variants}
    same = {"members": members, "recipe": record.recipe, "variants": variants}
    return _text(same | record.execution.settings.chosen())


def place(record: Record, scenario: type[Scenario]) -> Place:
    """The repeat and the fold that a record is of."""
    values = [record.scenario.params[name] for name in scenario.replicates]
    repeat = (record.seed, *(NAMED if value is None else value for value in values))
    return repeat, _fold(record)


def _shared(scenario: type[Scenario], found: Sequence[Found]) -> list[list[Found]]:
    """Those records together that share a board.

    A bound is on every board that equals it in all but what makes it one; where there
    is none, bounds make one by themselves.
    """
    ranked: dict[str, list[Found]] = defaultdict(list)
    apart: dict[str, list[Found]] = defaultdict(list)
    alike: dict[str, str] = {}
    for entry in found:
        rest = _text(_group(entry.record, scenario, scenario.variants))
        if _bound(entry.record, scenario):
            apart[rest].append(entry)
            continue
        whole = _text(_group(entry.record, scenario, ()))
        ranked[whole].append(entry)
        alike[whole] = rest
    taken = set(alike.values())
    groups = [[*ranked[whole], *apart[rest]] for whole, rest in alike.items()]
    alone = [those for rest, those in apart.items() if rest not in taken]
    return [*groups, *(those for those in alone if those)]


def _board(
    scenario: type[Scenario], found: Sequence[Found]
) -> tuple[Board, list[Left]]:
    first = found[0].record
    folds = first.scenario.folds or [""]
    ways: dict[str, list[Found]] = defaultdict(list)
    for entry in found:
        ways[way(entry.record, scenario)].append(entry)
    lines, left = [], []
    for text, members in ways.items():
        kept: dict[Place, Found] = {}
        for entry in members:
            where = place(entry.record, scenario)
            if entry.record.status != "ok":
                continue
            if where in kept:
                # Equal but for where its data lay: folders do not make another cell.
                left.append(Left(entry.path, "the same cell as another on the board"))
                continue
            kept[where] = entry
        if kept:
            line = Line(
                way=text,
                label=_label(members[0].record, scenario),
                cells=kept,
                folds=folds,
                scenario=scenario,
                bound=_bound(members[0].record, scenario),
            )
            lines.append(line)
    failed = [entry.record for entry in found if entry.record.status != "ok"]
    against = bounds.against(scenario, lines)
    compared = {
        line.way: bounds.compared(line, against[line.way])
        for line in lines
        if line.way in against
    }
    board = Board(scenario, first, lines, failed, against, compared)
    sign = -1 if scenario.main.higher_is_better else 1

    def rank(line: Line) -> tuple[bool, float, str, str]:
        score = board.score(line, scenario.main)
        # Equal but for rounding is equal, on every machine.
        mean = float(f"{score.mean:.10g}") if score else 0.0
        return (score is None, sign * mean, line.label, line.way)

    lines.sort(key=rank)
    return board, left


def _group(
    record: Record, scenario: type[Scenario], free: Iterable[str]
) -> dict[str, Any]:
    """What must be equal for records to share a board, parameters in `free` aside."""
    hidden = {*_hidden(scenario, record), *free}
    return {
        "params": {k: v for k, v in record.scenario.params.items() if k not in hidden},
        "fingerprint": record.scenario.card.fingerprint,
        "backbone": record.scenario.card.backbone,
        "budget": record.terms,
    }


def _hidden(scenario: type[Scenario], record: Record) -> set[str | None]:
    """Parameters that may differ between the records of one board."""
    return {record.scenario.fold, *scenario.incidental, *scenario.replicates}


def _bound(record: Record, scenario: type[Scenario]) -> bool:
    return is_bound(record.scenario.params, scenario)


def label(
    members: Iterable[tuple[str, Mapping[str, Any]]],
    recipe: Mapping[str, Any],
    params: Mapping[str, Any],
    origins: Mapping[str, str],
    scenario: type[Scenario],
    execution: Mapping[str, Any],
) -> str:
    """The strategy's name and what its user set: neither default nor tuned.

    Args:
        members: Name and parameters of each of its members.
        recipe: The optimizer's settings.
        params: The scenario's parameters; those that make a bound are named.
        origins: Where each value comes from, by its key on the command line.
        scenario: What is learned.
        execution: How steps were computed, where that is not as usual.
    """
    members = list(members)
    given = []
    for name, values in members:
        prefix = f"{name}." if len(members) > 1 else ""
        given += [
            f"{prefix}{key}={write(value)}"
            for key, value in values.items()
            if origins.get(f"strategy.{prefix}{key}") == "user"
        ]
    given += [
        f"recipe.{key}={write(value)}"
        for key, value in recipe.items()
        if origins.get(f"recipe.{key}") == "user"
    ]
    given += [
        f"{key}={write(params[key])}"
        for key in scenario.variants
        if origins.get(f"scenario.{key}") == "user" and is_bound(params, scenario)
    ]
    given += [f"{key}={write(value)}" for key, value in execution.items()]
    return " ".join(["+".join(name for name, _ in members), *given])


def _label(record: Record, scenario: type[Scenario]) -> str:
    members = [(member.name, member.params) for member in record.strategy.members]
    return label(
        members,
        record.recipe,
        record.scenario.params,
        record.origins,
        scenario,
        record.execution.settings.chosen(),
    )


def _fold(record: Record) -> str:
    name = record.scenario.fold
    return str(record.scenario.params[name]) if name else ""


def _order(board: Board) -> str:
    card = board.first.scenario.card
    return f"{card.data} {card.backbone} {_text(board.fixed)}"


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
