"""The table after several cells: the main score per fold, and the mean."""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from math import isnan, nan
from statistics import fmean
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from clbench import registry
from clbench.grammar import write
from clbench.report import number
from clbench.statistics.intervals import half_width

if TYPE_CHECKING:
    from clbench.contract import Metric
    from clbench.record import Record
    from clbench.resolved import Cell

Done = Sequence[tuple["Cell", "Record"]]


def tables(done: Done) -> Iterator[RenderableType]:
    """For each scenario a table with a row for each way of learning it.

    Below it stands why cells have no score.
    """
    for name in dict.fromkeys(cell.scenario.name for cell, _ in done):
        those = [(c, r) for c, r in done if c.scenario.name == name]
        yield _table(name, those)
        main = registry.load("scenario", name).main
        if main in registry.load("scenario", name).compared:
            yield Text(
                f"{main.title} compares records: `clbench board {name}` computes it"
            )
        for reason in _reasons(those):
            yield Text(reason)


def quoted(words: Iterable[str]) -> list[str]:
    """Overrides as a shell takes them; what needs no quotes has none."""
    return [shlex.quote(word) for word in words]


def _table(name: str, done: Done) -> Table:
    scenario = registry.load("scenario", name)
    key, replicates = scenario.folds, scenario.replicates
    folds = list(dict.fromkeys(_fold(cell, key) for cell, _ in done)) if key else []
    rows: dict[str, list[tuple[Cell, Record]]] = defaultdict(list)
    for cell, record in done:
        rows[_what(cell, {f"scenario.{k}" for k in (key, *replicates)})].append(
            (cell, record)
        )
    unit = ", %" if scenario.main.percent else ""
    title = f"{name}: {scenario.main.title}{unit}"
    if scenario.main in scenario.compared:
        title += ", which needs another record beside it: see `clbench board`"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("strategy", overflow="fold", min_width=20)
    for column in [*folds, "mean", "seeds", "seconds"]:
        table.add_column(column, justify="right", no_wrap=True)
    for what, members in rows.items():
        scores = {
            (_fold(cell, key), _repeat(cell, replicates)): scenario.scores(
                record.matrix(), record.scenario.params
            ).get(scenario.main.name, nan)
            for cell, record in members
            if record.status == "ok"
        }
        per_fold = [[s for (f, _), s in scores.items() if f == fold] for fold in folds]
        table.add_row(
            escape(what),
            *(_mean(values, scenario.main) for values in per_fold),
            _spread(_per_repeat(scores, len(folds) or 1), scenario.main),
            str(len({repeat for _, repeat in scores})),
            f"{sum(_seconds(record) for _, record in members):.0f}",
        )
    return table


def _repeat(cell: Cell, replicates: Sequence[str]) -> tuple[Any, ...]:
    """The seed, and the values of whatever else repeats an experiment."""
    return (cell.seed, *(cell.scenario.params[name] for name in replicates))


def _per_repeat(scores: Mapping[tuple[str, Any], float], folds: int) -> list[float]:
    """For each repeat whose folds are complete, the mean over them."""
    gathered: dict[Any, list[float]] = defaultdict(list)
    for (_, repeat), score in scores.items():
        gathered[repeat].append(score)
    return [fmean(values) for values in gathered.values() if len(values) == folds]


def _mean(values: Sequence[float], metric: Metric) -> str:
    """The mean, as people read it; a dash where there is none."""
    return number(fmean(values), metric) if values else "-"


def _spread(values: Sequence[float], metric: Metric) -> str:
    """The mean, and half its 95 % interval where there are several."""
    known = [value for value in values if not isnan(value)]
    half = half_width(known)
    several = "" if half is None else f" ± {number(half, metric)}"
    return _mean(known, metric) + several


def _reasons(done: Done) -> list[str]:
    """Why cells have no score, each reason once."""
    lines = [f"{c.name} {r.status}: {r.reason}" for c, r in done if r.status != "ok"]
    return list(dict.fromkeys(lines))


def _seconds(record: Record) -> float:
    return record.cost.seconds["total"] if record.cost is not None else 0.0


def _fold(cell: Cell, key: str | None) -> str:
    value: Any = cell.scenario.params[key] if key else ""
    return str(value)


def _what(cell: Cell, hidden: Collection[str]) -> str:
    """The cell's name and what was set, but for its seed and the keys in `hidden`."""
    given = [
        f"{key.removeprefix('strategy.')}={write(value)}"
        for key, value in cell.given()
        if key not in hidden
    ]
    return " ".join([cell.name, *given])
