"""One row of the board document, from one line of a board."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import isnan
from pathlib import Path
from statistics import fmean

from clbench.board.document import (
    Cost,
    Evaluation,
    Member,
    Row,
    Score,
    Scores,
    Source,
)
from clbench.board.line import Line, Place, Spread
from clbench.board.table import Board
from clbench.board.written import rounded
from clbench.contract import Metric, Scenario
from clbench.matrix import Matrix
from clbench.record import Record
from clbench.statistics import factors, ranking
from clbench.statistics.paired import FEW

OWN = "each task's own"
"""What a matrix is of whose tasks have measures of their own."""


def row(
    board: Board,
    line: Line,
    name: str,
    place: ranking.Place | None,
    metrics: Sequence[Metric],
    out: Path,
) -> Row:
    """The row of a line.

    Args:
        board: It is on.
        line: What it shows.
        name: Its permanent name.
        place: Its rank; None is not ranked.
        metrics: What the board shows, the main one first.
        out: Folder of the boards.
    """
    records = [line.records[p] for p in sorted(line.records)]
    environments = [record.environment for record in records]
    members = [_member(records, i) for i in range(len(records[0].strategy.members))]
    costs = [record.cost for record in records if record.cost is not None]
    return Row(
        id=name,
        rank=place.rank if place else None,
        group=place.group if place else None,
        rank_interval=list(place.interval) if place and place.interval else None,
        label=line.label,
        strategy=line.first.strategy.name,
        bound=line.bound,
        repeats=len(line.repeats),
        few=len(line.units) < FEW,
        scores=_scores(board, line, metrics),
        seeds=sorted({repeat[0] for repeat in line.repeats}),
        factors=_factors(board, line),
        cost=cost(records),
        device=_joined(cost.device for cost in costs),
        origin=_joined(member.origin for member in members),
        members=members,
        versions={
            package: _joined(e.versions.get(package, "") for e in environments)
            for package in ("clbench", "torch")
        },
        commits=sorted({e.commit[:8] for e in environments if e.commit}),
        dirty=any(e.dirty for e in environments),
        trials=_trials(records),
        reproduce=line.command(),
        records=[_source(line, at, out, board.scenario) for at in sorted(line.records)],
    )


def _scores(board: Board, line: Line, metrics: Sequence[Metric]) -> dict[str, Score]:
    """By the key of the column; a column without a value is left out."""
    found = {}
    main, *others = metrics
    score = _score(board.values(line, main), main, line.per_unit)
    if score is not None:
        found[main.name] = score
    for fold in board.folds:
        score = _score(line.of_fold(main.name, fold), main)
        if score is not None:
            found[f"{main.name}/{fold}"] = score
    for metric in others:
        score = _score(board.values(line, metric), metric, line.per_unit)
        if score is not None:
            found[metric.name] = score
    return found


def _score(
    values: Sequence[float],
    metric: Metric,
    per_unit: Callable[[Sequence[float]], Sequence[float]] = list,
) -> Score | None:
    spread = Spread.of(per_unit(values))
    if spread is None:
        return None
    factor = 100.0 if metric.percent else 1.0
    mean = factor * spread.mean
    half = None if spread.half is None else factor * spread.half
    return Score(
        mean=rounded(mean) or 0.0,
        low=None if half is None else rounded(mean - half),
        high=None if half is None else rounded(mean + half),
        values=[rounded(factor * v) for v in values],
    )


def _factors(board: Board, line: Line) -> dict[str, float]:
    """The spread of the main score due to seeds and to the order, where both vary."""
    values = board.values(line, board.main)
    factor = 100.0 if board.main.percent else 1.0
    for position, name in enumerate(board.scenario.replicates, 1):
        crossed = {
            (repeat[0], repeat[position]): factor * value
            for repeat, value in zip(line.repeats, values, strict=True)
            if not isnan(value)
        }
        found = factors.components(crossed)
        if found:
            return {
                "seed": rounded(found["first"]) or 0.0,
                name: rounded(found["second"]) or 0.0,
                "rest": rounded(found["rest"]) or 0.0,
            }
    return {}


def cost(records: Sequence[Record]) -> Cost:
    """What the cells of `records` take; None where none says."""
    costs = [record.cost for record in records if record.cost is not None]
    if not costs:
        names = Cost.__dataclass_fields__
        return Cost(**dict.fromkeys(names))
    most = max(costs, key=lambda cost: cost.parameters)
    return Cost(
        adapter=most.trainable.adapter,
        other=most.trainable.other,
        head=most.trainable.head,
        parameters=most.parameters,
        seconds=rounded(fmean(cost.seconds["total"] for cost in costs)),
        examples_per_second=rounded(fmean(c.examples_per_second for c in costs)),
        peak_bytes=max(cost.peak_bytes for cost in costs),
        flops=rounded(fmean(cost.flops for cost in costs)),
    )


def _member(records: Sequence[Record], position: int) -> Member:
    plugins = [record.strategy.members[position] for record in records]
    kinds = {plugin.origin.kind for plugin in plugins}
    versions = sorted({p.origin.version for p in plugins if p.origin.version})
    packages = sorted(
        {
            f"{p.origin.distribution} {p.origin.version}"
            for p in plugins
            if p.origin.kind == "installed"
        }
    )
    return Member(
        name=plugins[0].name,
        origin=", ".join(sorted(kinds - {"installed"}) + packages),
        version=", ".join(versions) or None,
    )


def _source(line: Line, at: Place, out: Path, scenario: type[Scenario]) -> Source:
    found = line.cells[at]
    record = found.record
    return Source(
        path=_inside(found.path, out),
        key=record.key,
        seed=record.seed,
        fold=at[1] or None,
        matrix=_matrix(found.matrix(), scenario),
    )


def _inside(path: Path, out: Path) -> str | None:
    """`path` from the folder of the boards; None if it lies elsewhere."""
    whole = path.resolve()
    return whole.relative_to(out).as_posix() if whole.is_relative_to(out) else None


def _matrix(matrix: Matrix, scenario: type[Scenario]) -> Scores:
    """The score matrix, each task by the number that stands for it."""
    heads = [(task, scenario.headline(task)) for task in matrix.tasks]
    alike = len({metric.name for _, metric in heads}) == 1
    first = heads[0][1]
    return Scores(
        metric=first.name if alike else OWN,
        unit="%" if alike and first.percent else "",
        tasks=[
            task if alike else f"{task}: {metric.title}{' %' * metric.percent}"
            for task, metric in heads
        ],
        rows=[
            Evaluation(
                experience=row.experience,
                step=row.step,
                values=[
                    rounded(
                        (100.0 if metric.percent else 1.0)
                        * row.scores[task][metric.name]
                    )
                    for task, metric in heads
                ],
            )
            for row in matrix.rows
        ],
    )


def _trials(records: Sequence[Record]) -> int | None:
    """How many settings were tried for them; None unless every record says."""
    found = [record.trials for record in records if record.trials is not None]
    return max(found) if found and len(found) == len(records) else None


def _joined(values: Iterable[str]) -> str:
    return ", ".join(sorted({value for value in values if value}))
