"""The plan: which cells the boards are to hold, and which of these are missing."""

from __future__ import annotations

import dataclasses
import json
import shlex
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from clbench import grammar, registry
from clbench.board.bounds import is_bound
from clbench.board.document import Missing
from clbench.board.line import NAMED, Line, Place, command
from clbench.board.table import Board, label
from clbench.config import resolve
from clbench.contract import InputError, Scenario
from clbench.record import Record
from clbench.resolved import Cell

FILE = "plan.yaml"
"""Its name, in the folder of the boards."""


@dataclass(frozen=True)
class Planned:
    """A cell that is to be on a board.

    Attributes:
        identity: Equal to that of its record; see `identity`.
        scenario: Name of the scenario.
        strategy: Names of the members joined by `+`.
        settings: What is not default.
        params: The scenario's parameters.
        place: Its repeat and fold.
        command: Runs it.
    """

    identity: str
    scenario: str
    strategy: str
    settings: str
    params: Mapping[str, Any]
    place: Place
    command: str


def read(out: Path, scenarios: Collection[str] | None = None) -> list[Planned]:
    """The cells of `out/plan.yaml`: a list of what may follow `clbench run`.

    None where there is no such file.

    Args:
        out: Folder of the boards.
        scenarios: Those whose cells are wanted; None is all.

    Raises:
        InputError: It is no such list, or one of its lines names no cells.
    """
    path = out / FILE
    if not path.is_file():
        return []
    try:
        lines = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path} cannot be read: {reason}") from error
    if not isinstance(lines, list) or not all(isinstance(x, str) for x in lines):
        raise InputError(
            f"{path} must be a list of what follows `clbench run`, such as "
            f"`- strategy=lora scenario=dg seed=0,1,2`"
        )
    found: dict[str, Planned] = {}
    for line in lines:
        try:
            for planned in _cells(shlex.split(line), scenarios):
                found.setdefault(planned.identity, planned)
        except (InputError, ValueError) as error:
            raise InputError(f"{path}: '{line}': {error}") from error
    return list(found.values())


def _cells(words: Sequence[str], scenarios: Collection[str] | None) -> list[Planned]:
    """What one line names, less what is not wanted."""
    settings = {setting.key: setting for setting in map(grammar.parse, words)}
    seeds: tuple[Any, ...] = (0,)
    rest = [word for word in words if not word.startswith("seed=")]
    if "seed" in settings:
        seeds = settings["seed"].values
    if scenarios is not None and "scenario" in settings:
        names = [name for name in settings["scenario"].values if name in scenarios]
        if not names:
            return []
        rest = [word for word in rest if not word.startswith("scenario=")]
        rest.append(f"scenario={','.join(map(grammar.write, names))}")
    # All else is alike for every seed: it is resolved once.
    cells, _ = resolve([*rest, f"seed={seeds[0]}"])
    return [
        _planned(dataclasses.replace(cell, seed=seed))
        for cell in cells
        for seed in seeds
    ]


def _planned(cell: Cell) -> Planned:
    name = cell.scenario.name
    scenario = registry.load("scenario", name)
    whole = cell.to_dict()
    params = whole["scenario"]["params"]
    members = [(m["name"], m["params"]) for m in whole["strategy"]]
    repeat = [params[key] for key in scenario.replicates]
    text = label(members, cell.recipe, params, cell.origins, scenario, cell.execution)
    return Planned(
        identity=_identity(
            members, whole["recipe"], params, cell.seed, scenario, cell.execution
        ),
        scenario=name,
        strategy=cell.name,
        settings=text.removeprefix(cell.name).strip(),
        params=params,
        place=(
            (cell.seed, *(NAMED if v is None else v for v in repeat)),
            str(params[scenario.folds]) if scenario.folds else "",
        ),
        command=cell.command(),
    )


def identity(record: Record, scenario: type[Scenario]) -> str:
    """What tells a cell from all others, folders and caches aside."""
    members = [(member.name, member.params) for member in record.strategy.members]
    # A record holds the whole recipe, a configuration what replaces the scenario's.
    recipe = {k: v for k, v in record.recipe.items() if f"recipe.{k}" in record.origins}
    params = record.scenario.params
    chosen = record.execution.settings.chosen()
    return _identity(members, recipe, params, record.seed, scenario, chosen)


def _identity(
    members: Iterable[tuple[str, Mapping[str, Any]]],
    recipe: Mapping[str, Any],
    params: Mapping[str, Any],
    seed: int,
    scenario: type[Scenario],
    execution: Mapping[str, Any],
) -> str:
    kept = {k: v for k, v in params.items() if k not in scenario.incidental}
    whole = [list(members), recipe, kept, seed, dict(execution)]
    return json.dumps(whole, sort_keys=True)


@dataclass(frozen=True)
class _Cell:
    strategy: str
    settings: str
    place: Place
    command: str


def missing(
    scenario: type[Scenario],
    boards: Sequence[Board],
    planned: Sequence[Planned],
    present: set[str],
) -> tuple[list[list[Missing]], list[Missing]]:
    """What each board lacks, and what is planned and fits none of them.

    A board lacks the folds without which one of its repeats does not count, and those
    of the plan's cells that have no record.

    Args:
        scenario: Of the boards.
        boards: All of its boards.
        planned: Its cells in the plan.
        present: Identities of the cells that ran, or cannot.
    """
    lacking: dict[int, dict[tuple[Any, ...], _Cell]] = defaultdict(dict)
    for number, board in enumerate(boards):
        for line in board.lines:
            for cell in _incomplete(line):
                lacking[number].setdefault(_key(cell), cell)
    for entry in planned:
        if entry.identity in present:
            continue
        cell = _Cell(entry.strategy, entry.settings, entry.place, entry.command)
        number = _board_of(entry, boards, scenario)
        lacking[number].setdefault(_key(cell), cell)
    folds = [tuple(board.folds) for board in boards]
    found = [
        _grouped(lacking[number].values(), scenario, folds[number])
        for number in range(len(boards))
    ]
    every = tuple(dict.fromkeys(entry.place[1] for entry in planned))
    return found, _grouped(lacking[-1].values(), scenario, every)


def _incomplete(line: Line) -> Iterable[_Cell]:
    name = line.first.strategy.name
    for place in line.missing:
        yield _Cell(name, line.settings, place, line.first.command)


def _key(cell: _Cell) -> tuple[Any, ...]:
    return (cell.strategy, cell.settings, cell.place)


def _board_of(entry: Planned, boards: Sequence[Board], scenario: type[Scenario]) -> int:
    """The fullest board that the cell would be on; -1 if there is none."""
    hidden = {scenario.folds, *scenario.incidental, *scenario.replicates}
    if is_bound(entry.params, scenario):
        hidden |= {*scenario.variants}
    wanted = {k: v for k, v in entry.params.items() if k not in hidden}
    for number, board in enumerate(boards):
        params = board.first.scenario.params
        if {k: v for k, v in params.items() if k not in hidden} == wanted:
            return number
    return -1


def _grouped(
    cells: Iterable[_Cell], scenario: type[Scenario], every: Sequence[str]
) -> list[Missing]:
    """The cells that differ in their seed alone together."""
    folds: dict[tuple[Any, ...], list[str]] = defaultdict(list)
    commands: dict[tuple[str, str], str] = {}
    for cell in cells:
        commands.setdefault((cell.strategy, cell.settings), cell.command)
        folds[cell.strategy, cell.settings, cell.place[0]].append(cell.place[1])
    groups: dict[tuple[Any, ...], list[Any]] = defaultdict(list)
    for (strategy, settings, repeat), those in folds.items():
        some = () if set(every) <= set(those) else tuple(f for f in every if f in those)
        groups[strategy, settings, some, repeat[1:]].append(repeat)
    found = []
    for (strategy, settings, some, _), repeats in sorted(groups.items()):
        text = commands[strategy, settings]
        repeats.sort()
        entry = Missing(
            strategy=strategy,
            settings=settings,
            seeds=[repeat[0] for repeat in repeats],
            folds=list(some),
            command=command(text, scenario, repeats=repeats, folds=some),
        )
        found.append(entry)
    return found
