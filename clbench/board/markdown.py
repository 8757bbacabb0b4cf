"""Boards as Markdown."""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Iterable, Sequence

from clbench.board.gather import Left
from clbench.board.table import FEW, Board, Line, Spread
from clbench.contract import Metric
from clbench.grammar import write
from clbench.report import number

MEBI = 2**20

SHOWN = 3
"""Files that are named beside what they have in common; the others are counted."""


def render(
    name: str,
    boards: Sequence[Board],
    left: Sequence[Left] = (),
    *,
    unread: Sequence[Left] = (),
) -> str:
    """The page of scenario `name`; equal records give an equal page.

    Args:
        name: What the command line calls the scenario.
        boards: Its boards.
        left: Records that are on none of them.
        unread: Records of whatever scenario that could not be read.
    """
    parts = [
        f"# Leaderboard: {name}",
        "Computed by `clbench board` from records; what is written here by hand is "
        "lost.\nRecords share a table only if scenario version, settings, data, "
        "backbone and budget\nare equal.",
    ]
    for board in boards:
        parts += _board(name, board)
    if boards:
        parts += ["## What the numbers are", _definitions(boards)]
    out = [*left, *unread]
    if out:
        parts += ["## Left out", _left(out)]
    return "\n\n".join(parts) + "\n"


def _board(name: str, board: Board) -> Iterable[str]:
    card = board.first.scenario.card
    yield f"## {card.data}, backbone {card.backbone}" + "".join(
        f", {key}={write(value)}"
        for key, value in board.settings.items()
        if key not in ("dataset", "backbone")
    )
    budget = board.first.budget
    every = budget["evaluate_every"]
    when = f"every {every} steps" if every else "at the ends of experiences"
    facts = [
        f"data: {card.data} (fingerprint {card.fingerprint[:12]})",
        f"scenario: {name}, version {board.first.scenario.version}",
        f"budget: {budget['steps']:,} steps of {budget['batch_size']} examples, "
        f"evaluated {when}",
    ]
    yield "\n".join(f"- {fact}" for fact in facts)
    ranked = [line for line in board.lines if line.repeats]
    if ranked:
        yield _scores(board, ranked)
        yield from _compared(board, ranked)
        yield _costs(ranked)
        yield "Run again:"
        yield "```bash\n" + "\n".join(line.command() for line in ranked) + "\n```"
    rest = [*_incomplete(board), *_failures(board)]
    if rest:
        yield "Not ranked:"
        yield "\n".join(rest)


def _scores(board: Board, lines: Sequence[Line]) -> str:
    main, others = board.main, _columns(board, lines)
    head = ["", "strategy", _titled(main), *board.folds]
    head += [*map(_titled, others), "seeds"]
    rows, rank = [], 0
    for line in lines:
        placed = not line.bound and board.score(line, main) is not None
        rank += placed
        rows.append(
            [
                str(rank) if placed else "",
                _code(line.label) + _marks(line),
                _text(board.score(line, main), main),
                *(_mean(line.fold(main.name, fold), main) for fold in board.folds),
                *(_text(board.score(line, m), m) for m in others),
                _count(line),
            ]
        )
    return _table(head, rows, words=2)


def _columns(board: Board, lines: Sequence[Line]) -> list[Metric]:
    """What is shown besides the main number: all that some line has a value of."""
    known = [*board.scenario.metrics, *board.scenario.compared]
    return [
        metric
        for metric in known
        if metric.name != board.main.name
        and any(board.score(line, metric) is not None for line in lines)
    ]


def _compared(board: Board, lines: Sequence[Line]) -> Iterable[str]:
    """Which bound lines were compared with, and how to get what is missing."""
    scenario = board.scenario
    if scenario.reference != "all":
        return
    titles = " and ".join(metric.title for metric in scenario.compared)
    ranked = [line for line in lines if not line.bound]
    bounds = {line.label: line for line in map(board.against, ranked) if line}
    for label, bound in bounds.items():
        needed = {repeat for line in ranked for repeat in line.repeats}
        lacking = sorted({r[0] for r in needed - set(bound.repeats)})
        note = f", which lacks seed {', '.join(map(str, lacking))}" if lacking else ""
        yield f"{titles} is against {_code(label)}{note}."
    if ranked and not bounds:
        ((name, values),) = scenario.variants.items()
        kept = [
            word
            for word in shlex.split(ranked[0].command())
            if not word.startswith(("strategy", f"scenario.{name}=", "recipe."))
        ]
        kept.insert(2, "strategy=STRATEGY")
        given = f"scenario.{name}={values[0]}"
        yield (
            f"{titles} needs records of {name}={values[0]}, such as those of "
            f"{_code(shlex.join([*kept, given]))}: without them nothing is ranked."
        )


def _count(line: Line) -> str:
    """How many repeats there are; with other replicates than seeds, of what."""
    few = "*" if len(line.repeats) < FEW else ""
    kinds = ("seeds", *line.scenario.replicates)
    counts = [len(set(values)) for values in zip(*line.repeats, strict=True)]
    if max(counts[1:], default=1) == 1:
        return f"{len(line.repeats)}{few}"
    parts = [f"{count} {kind}" for count, kind in zip(counts, kinds, strict=True)]
    return f"{len(line.repeats)}{few} ({', '.join(parts)})"


def _costs(lines: Sequence[Line]) -> str:
    head = [
        "strategy",
        "trained: adapter",
        "other",
        "head",
        "of",
        "seconds a cell",
        "examples/s",
        "peak MiB",
        "device",
        "from",
        "torch",
        "commit",
    ]
    return _table(head, [_cost(line) for line in lines], words=1)


def _cost(line: Line) -> list[str]:
    costs = [record.cost for record in line.records.values() if record.cost is not None]
    if not costs:
        return [_code(line.label), *["-"] * 11]
    environments = [record.environment for record in line.records.values()]
    most = max(costs, key=lambda cost: cost.parameters)
    return [
        _code(line.label),
        *(f"{n:,}" for n in most.trainable.model_dump().values()),
        f"{most.parameters:,}",
        f"{_average(cost.seconds['total'] for cost in costs):.1f}",
        f"{_average(cost.examples_per_second for cost in costs):,.0f}",
        f"{max(cost.peak_bytes for cost in costs) / MEBI:,.0f}",
        _joined(cost.device for cost in costs),
        _joined(
            member.origin.distribution or member.origin.kind
            for record in line.records.values()
            for member in record.strategy.members
        ),
        _joined(environment.versions["torch"] for environment in environments),
        _joined((environment.commit or "-")[:8] for environment in environments),
    ]


def _marks(line: Line) -> str:
    records = line.records.values()
    local = any(m.origin.kind == "local" for r in records for m in r.strategy.members)
    dirty = any(record.environment.dirty for record in records)
    return (" (local)" if local else "") + (" (changed)" if dirty else "")


def _incomplete(board: Board) -> Iterable[str]:
    for line in board.lines:
        if line.missing:
            places = ", ".join(_place(repeat[0], fold) for repeat, fold in line.missing)
            yield f"- {_code(line.label)} has no record of {places}"


def _failures(board: Board) -> Iterable[str]:
    places: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for record in board.failed:
        name = record.scenario.fold
        fold = str(record.scenario.params[name]) if name else ""
        why = (record.strategy.name, record.status, record.reason or "")
        places[why].append(_place(record.seed, fold))
    for (strategy, status, reason), where in places.items():
        yield f"- {_code(strategy)} {status}: {reason} ({', '.join(where)})"


def _left(out: Sequence[Left]) -> str:
    """A line for each reason: a board run again leaves as many out as it holds."""
    paths: dict[str, list[str]] = defaultdict(list)
    for entry in out:
        paths[entry.reason].append(_code(str(entry.path)))
    lines = []
    for reason, names in paths.items():
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        lines.append(f"- {', '.join(names[:SHOWN])}{more}: {reason}")
    return "\n".join(lines)


def _definitions(boards: Sequence[Board]) -> str:
    scenario, board = boards[0].scenario, boards[0]
    shown = {
        metric.name
        for each in boards
        for metric in _columns(each, [line for line in each.lines if line.repeats])
    }
    known = [*scenario.metrics, *scenario.compared]
    metrics = [board.main, *(m for m in known if m.name in shown)]
    lines = [f"- **{_titled(m)}**: {m.definition}" for m in metrics]
    average = (
        "averaged over the folds of a seed, then over seeds"
        if board.folds
        else "averaged over seeds"
    )
    lines += [
        f"- A score is {average}; ± is half its 95 % interval (Student's t). Only "
        f"seeds whose every fold is there count. Columns of single folds take every "
        f"seed that has them.",
        f"- *: fewer than {FEW} seeds. (local): the strategy is a file of its user's. "
        f"(changed): a record's checkout had changes that no commit holds.",
        "- Trained parameters are those of adapters, of the rest of the backbone and "
        "of heads, at the most; seconds are those of one cell, evaluation included.",
    ]
    if any(line.bound for each in boards for line in each.lines):
        lines.append(
            "- A line without a rank learned a variant of the problem, such as all "
            "tasks at once: a bound to compare with."
        )
    return "\n".join(lines)


def _titled(metric: Metric) -> str:
    unit = " %" if metric.percent else ""
    arrow = {True: " ↑", False: " ↓", None: ""}[metric.higher_is_better]
    return f"{metric.title}{unit}{arrow}"


def _place(seed: int, fold: str) -> str:
    return f"{fold} seed={seed}".strip()


def _text(spread: Spread | None, metric: Metric) -> str:
    if spread is None or spread.half is None:
        return _mean(spread, metric)
    return f"{_mean(spread, metric)} ± {number(spread.half, metric)}"


def _mean(spread: Spread | None, metric: Metric) -> str:
    return "-" if spread is None else number(spread.mean, metric)


def _average(values: Iterable[float]) -> float:
    known = list(values)
    return sum(known) / len(known)


def _joined(values: Iterable[str]) -> str:
    return ", ".join(sorted(set(values)))


def _code(text: str) -> str:
    return f"`{text}`"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], *, words: int) -> str:
    """A table whose first columns hold words, the others numbers."""
    rule = ["---" if index < words else "--:" for index in range(len(head))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [head, rule, *rows])
