"""Two rows of a board beside each other: what differs, by how much, how surely."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isnan, nan
from pathlib import Path
from statistics import fmean

import numpy as np

from clbench.board import Board, boards, records
from clbench.board.build import identifier
from clbench.board.document import Cost
from clbench.board.line import Line, Repeat
from clbench.board.row import cost
from clbench.board.written import rounded
from clbench.contract import InputError, Metric, nearest
from clbench.statistics.intervals import Interval, bootstrap, student
from clbench.statistics.multiple import holm
from clbench.statistics.paired import Test, test


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """One number of both rows, in the unit that boards show it in.

    Attributes:
        name: What it is of: the main score, or a task.
        metric: Its title.
        unit: `%`, or empty.
        higher_is_better: Which way is up.
        a: Mean of the first row over the common seeds.
        b: Of the second.
        difference: `a` less `b`.
        interval: 95 % of the difference, by Student's t over seeds.
        bootstrap: The same by resampling seeds.
        test: Whether the difference is other than 0; None with too few seeds.
        holm: p of the test, corrected for the number of tasks; None for the main score.
    """

    name: str
    metric: str
    unit: str
    higher_is_better: bool | None
    a: float
    b: float
    difference: float
    interval: Interval | None
    bootstrap: Interval | None
    test: Test | None
    holm: float | None = None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two rows of one board.

    Attributes:
        scenario: Name of the scenario.
        board: Permanent name of the board.
        title: Of the board.
        a: Label of the first row.
        b: Of the second.
        seeds: Those that both have.
        repeats: How many repeats both have: seeds, times what else repeats.
        main: The number that ranks.
        tasks: The same for each fold, or each task's number at the end of the stream.
        costs: What a cell of each takes.
    """

    scenario: str
    board: str
    title: str
    a: str
    b: str
    seeds: list[int]
    repeats: int
    main: Contrast
    tasks: list[Contrast]
    costs: tuple[Cost, Cost]


def compare(
    a: str, b: str, scenario: str, runs: Path, out: Path, identity: str | None = None
) -> Comparison:
    """Compare two rows of a board of `scenario`, over the seeds that both have.

    Args:
        a: Label or permanent name of a row.
        b: Of the other.
        scenario: Whose board.
        runs: Folder of the records of this place.
        out: Folder of the boards, and of published records.
        identity: Permanent name of the board; None takes the only one that has both.

    Raises:
        InputError: There are no such rows, no board has both, several have, or the
            rows have no seed in common.
    """
    found, _ = records(runs, out).of(scenario)
    if not found:
        raise InputError(
            f"there is no record of {scenario} in runs={runs} or out={out}; make one "
            f"with `clbench run`"
        )
    made, _ = boards(scenario, found)
    known = {identifier(scenario, board): board for board in made}
    chosen = _board(known, a, b, scenario, identity)
    board = known[chosen]
    rows = (_line(board, a), _line(board, b))
    assert rows[0] is not None
    assert rows[1] is not None
    return _compare(board, chosen, rows[0], rows[1])


def _board(
    known: Mapping[str, Board], a: str, b: str, scenario: str, identity: str | None
) -> str:
    """The permanent name of the board that is meant."""
    if identity is not None and identity not in known:
        near = nearest(identity, known)
        raise InputError(f"--board {identity}: {scenario} has no such board{near}")
    if identity is not None:
        known = {identity: known[identity]}
    having = {
        name: [key for key, board in known.items() if _line(board, name) is not None]
        for name in (a, b)
    }
    for name, places in having.items():
        if not places:
            labels = {line.label for board in known.values() for line in board.lines}
            where = f"on the board {identity}" if identity else f"on {scenario}"
            raise InputError(
                f"there is no row '{name}' {where}{nearest(name, sorted(labels))}"
            )
    both = [key for key in having[a] if key in having[b]]
    if not both:
        raise InputError(
            f"no board of {scenario} has both: {a} is on {', '.join(having[a])}, {b} "
            f"on {', '.join(having[b])}; `clbench board {scenario}` says what differs"
        )
    if len(both) > 1:
        ways = ", ".join(f"--board {key} ({known[key].title})" for key in both)
        raise InputError(f"{len(both)} boards of {scenario} have both: choose {ways}")
    return both[0]


def _line(board: Board, name: str) -> Line | None:
    """The row that `name` means: its label, or the only one of a strategy."""
    lines = [line for line in board.lines if line.repeats]
    exact = [line for line in lines if line.label == name]
    own = [line for line in lines if line.first.strategy.name == name]
    if exact:
        return exact[0]
    return own[0] if len(own) == 1 else None


def _compare(board: Board, identity: str, a: Line, b: Line) -> Comparison:
    common = sorted(set(a.repeats) & set(b.repeats))
    if not common:
        raise InputError(
            f"{a.label} has seeds {_seeds(a)}, {b.label} has {_seeds(b)}: none in "
            f"common; run one of them on the other's: `{a.command()}`"
        )

    def contrast(
        name: str, metric: Metric, of: Callable[[Line, Repeat], float]
    ) -> Contrast | None:
        values = [_per_seed(common, [of(line, r) for r in common]) for line in (a, b)]
        return _contrast(name, metric, *values)

    mains = {
        line.way: dict(zip(line.repeats, board.values(line, board.main), strict=True))
        for line in (a, b)
    }
    main = contrast(board.main.title, board.main, lambda x, r: mains[x.way][r])
    if main is None:
        raise InputError(
            f"{board.main.title} is not defined for both {a.label} and {b.label}: a "
            f"bound has none of its own"
        )
    if board.folds:
        parts = [
            contrast(fold, board.main, _of_fold(board.main, fold))
            for fold in board.folds
        ]
    else:
        tasks = a.cells[common[0], ""].matrix().tasks
        parts = [
            contrast(task, metric, _of_task(task, metric))
            for task in tasks
            if (metric := board.scenario.headline(task))
        ]
    return Comparison(
        scenario=board.first.scenario.name,
        board=identity,
        title=board.title,
        a=a.label,
        b=b.label,
        seeds=sorted({repeat[0] for repeat in common}),
        repeats=len(common),
        main=main,
        tasks=_corrected([part for part in parts if part is not None]),
        costs=(cost(list(a.records.values())), cost(list(b.records.values()))),
    )


def _of_fold(metric: Metric, fold: str) -> Callable[[Line, Repeat], float]:
    return lambda line, repeat: line.scores[repeat, fold].get(metric.name, nan)


def _of_task(task: str, metric: Metric) -> Callable[[Line, Repeat], float]:
    """How good a model is at `task` at the end of the stream."""

    def value(line: Line, repeat: Repeat) -> float:
        last = line.cells[repeat, ""].matrix().rows[-1].scores
        return last[task][metric.name] if task in last else nan

    return value


def _per_seed(repeats: Sequence[Repeat], values: Sequence[float]) -> list[float]:
    """Means over the repeats of each seed; of a single seed, what there is."""
    seeds = sorted({repeat[0] for repeat in repeats})
    if len(seeds) == 1:
        return list(values)
    return [
        fmean(v for r, v in zip(repeats, values, strict=True) if r[0] == seed)
        for seed in seeds
    ]


def _contrast(
    name: str, metric: Metric, a: Sequence[float], b: Sequence[float]
) -> Contrast | None:
    """None where no seed has both values."""
    factor = 100.0 if metric.percent else 1.0
    pairs = [
        (factor * x, factor * y)
        for x, y in zip(a, b, strict=True)
        if not isnan(x) and not isnan(y)
    ]
    if not pairs:
        return None
    # Equal but for rounding is equal, on every machine.
    differences = [rounded(x - y) or 0.0 for x, y in pairs]
    return Contrast(
        name=name,
        metric=metric.title,
        unit="%" if metric.percent else "",
        higher_is_better=metric.higher_is_better,
        a=fmean(x for x, _ in pairs),
        b=fmean(y for _, y in pairs),
        difference=fmean(differences),
        interval=student(differences),
        bootstrap=bootstrap(differences),
        test=test(np.array(differences)),
    )


def _corrected(parts: Sequence[Contrast]) -> list[Contrast]:
    """The same, each p corrected for how many there are."""
    tested = [part.test.p for part in parts if part.test is not None]
    corrected = iter(holm(np.array(tested)).tolist())
    return [
        part if part.test is None else replace(part, holm=next(corrected))
        for part in parts
    ]


def _seeds(line: Line) -> str:
    return ",".join(map(str, sorted({repeat[0] for repeat in line.repeats})))
