"""The board document as Markdown."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from clbench.board.document import (
    Apart,
    Column,
    Document,
    Row,
    Score,
    Sheet,
    Unread,
)
from clbench.board.written import rounded
from clbench.grammar import write
from clbench.statistics.paired import FEW

MEBI = 2**20

SHOWN = 3
"""Files that are named beside what they have in common; the others are counted."""


def render(document: Document) -> str:
    """The page of a scenario; equal records give an equal page."""
    parts = [
        f"# Leaderboard: {document.scenario}",
        "Computed by `clbench board` from records; what is written here by hand is "
        "lost.\nRecords share a table only if scenario version, settings, data, "
        "backbone and budget\nare equal.",
    ]
    titles = {board.id: board.title for board in document.boards}
    for board in document.boards:
        parts += _board(document.scenario, board, titles)
    if document.boards:
        parts += ["## What the numbers are", _definitions(document.boards)]
    if document.unread:
        parts += ["## Left out", _left(document.unread)]
    return "\n\n".join(parts) + "\n"


def figure(value: float | None, unit: str) -> str:
    """A score as people read it: percent with one decimal, or four digits."""
    if value is None:
        return "-"
    if unit == "%":
        # Adding 0 takes the sign off a zero.
        return f"{round(value, 1) + 0.0:.1f}"
    return f"{value:.0f}" if float(value).is_integer() else f"{value:.4g}"


def spread(score: Score | None, unit: str) -> str:
    """A mean, and half of its interval where there is one; a dash without a score."""
    if score is None:
        return "-"
    if score.high is None:
        return figure(score.mean, unit)
    half = rounded(score.high - score.mean)
    return f"{figure(score.mean, unit)} ± {figure(half, unit)}"


def _board(name: str, board: Sheet, titles: dict[str, str]) -> Iterable[str]:
    yield f"## {board.title}"
    facts = [
        f"data: {board.data} (fingerprint {board.fingerprint[:12]})",
        f"scenario: {name}, version {board.version}",
        f"budget: {board.budget_text}",
        f"permanent name: `{board.id}`",
        *_apart(board.apart, titles),
    ]
    yield "\n".join(f"- {fact}" for fact in facts)
    if board.rows:
        yield _scores(board)
        yield from [board.note] if board.note else []
        yield from _factors(board)
        yield _costs(board.rows)
        yield "Run again:"
        yield "```bash\n" + "\n".join(row.reproduce for row in board.rows) + "\n```"
    if board.reported:
        yield "Reported on these data, not run here and not ranked:"
        yield _reported(board)
    if board.missing:
        yield "Missing cells, and what runs them (`clbench board --missing`):"
        yield "\n".join(_missing(board))
    if board.failed:
        yield "Not ranked:"
        yield "\n".join(_failures(board))


def _reported(board: Sheet) -> str:
    given = {key for figure in board.reported for key in figure.scores}
    columns = [column for column in board.columns if column.key in given]
    head = [*(f"{c.label} {c.unit}".strip() for c in columns), "source, protocol"]
    lines = [
        "| " + " | ".join(["method", *head]) + " |",
        "| " + " | ".join(["---", *["--:"] * len(columns), "---"]) + " |",
    ]
    for figure in board.reported:
        scores = [str(figure.scores.get(column.key, "-")) for column in columns]
        what = f"{figure.source} ({figure.certainty}); {figure.protocol}"
        lines.append("| " + " | ".join([figure.label, *scores, what]) + " |")
    return "\n".join(lines)


def _apart(apart: Sequence[Apart], titles: dict[str, str]) -> Iterable[str]:
    if apart:
        differ = ", ".join(
            f"{a.key} is {_value(a.here)} here and {_value(a.there)} there"
            for a in apart
        )
        yield f'no row is shared with "{titles[apart[0].board]}": {differ}'


def _value(value: object) -> str:
    text = "nothing" if value is None else write(value)
    return f"{text[:12]}…" if len(text) > 40 else text


def _scores(board: Sheet) -> str:
    head = [
        "",
        "strategy",
        *map(_titled, board.columns),
        "group",
        "ranks",
        "seeds",
        "trials",
    ]
    rows = [
        [
            "" if row.rank is None else str(row.rank),
            _code(row.label) + _marks(row),
            *(_cell(row, column) for column in board.columns),
            "" if row.group is None else str(row.group),
            _ranks(row),
            _count(row, board),
            "-" if row.trials is None else str(row.trials),
        ]
        for row in board.rows
    ]
    return _table(head, rows, words=2)


def _cell(row: Row, column: Column) -> str:
    score = row.scores.get(column.key)
    if column.fold is not None:
        return figure(score.mean if score else None, column.unit)
    return spread(score, column.unit)


def _ranks(row: Row) -> str:
    if row.rank_interval is None:
        return ""
    low, high = row.rank_interval
    return str(low) if low == high else f"{low}-{high}"


def _count(row: Row, board: Sheet) -> str:
    """How many repeats there are; with other replicates than seeds, of what."""
    few = "*" if row.few else ""
    if row.repeats <= len(row.seeds):
        return f"{row.repeats}{few}"
    parts = [f"{len(row.seeds)} seeds"]
    if len(board.replicates) == 1:
        each = row.repeats / len(row.seeds)
        parts.append(f"{each:g} {board.replicates[0]}")
    return f"{row.repeats}{few} ({', '.join(parts)})"


def _factors(board: Sheet) -> Iterable[str]:
    """The spread due to seeds and to orders, where both vary."""
    rows = [row for row in board.rows if row.factors]
    if rows:
        unit = board.columns[0].unit
        names = list(dict.fromkeys(name for row in rows for name in row.factors))
        yield (
            f"Standard deviation of {board.columns[0].label}{' %' if unit else ''} "
            f"due to each factor alone:"
        )
        yield _table(
            ["strategy", *names],
            [
                [
                    _code(row.label),
                    *(figure(row.factors.get(name), unit) for name in names),
                ]
                for row in rows
            ],
            words=1,
        )


def _costs(rows: Sequence[Row]) -> str:
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
        "clbench",
        "torch",
        "commit",
        "records",
    ]
    return _table(head, [_cost(row) for row in rows], words=1)


def _cost(row: Row) -> list[str]:
    cost = row.cost
    counts = (cost.adapter, cost.other, cost.head, cost.parameters)
    return [
        _code(row.label),
        *("-" if n is None else f"{n:,}" for n in counts),
        "-" if cost.seconds is None else f"{cost.seconds:.1f}",
        "-" if cost.examples_per_second is None else f"{cost.examples_per_second:,.0f}",
        "-" if cost.peak_bytes is None else f"{cost.peak_bytes / MEBI:,.0f}",
        row.device or "-",
        row.origin,
        row.versions["clbench"] or "-",
        row.versions["torch"] or "-",
        ", ".join(row.commits) or "-",
        _records(row),
    ]


def _records(row: Row) -> str:
    """How many records there are, with a link to their folder."""
    folders = sorted({p.path.rpartition("/")[0] for p in row.records if p.path})
    links = ", ".join(f"[{len(row.records)}]({folder}/)" for folder in folders)
    return links or str(len(row.records))


def _marks(row: Row) -> str:
    local = any(member.origin == "local" for member in row.members)
    return (" (local)" if local else "") + (" (changed)" if row.dirty else "")


def _missing(board: Sheet) -> Iterable[str]:
    for entry in board.missing:
        label = f"{entry.strategy} {entry.settings}".strip()
        folds = f"{', '.join(entry.folds)} " if entry.folds else ""
        seeds = ",".join(map(str, sorted(set(entry.seeds))))
        yield (
            f"- {_code(label)} has no record of {folds}seed={seeds}: "
            f"{_code(entry.command)}"
        )


def _failures(board: Sheet) -> Iterable[str]:
    places: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for entry in board.failed:
        where = f"{entry.fold or ''} seed={entry.seed}".strip()
        places[entry.strategy, entry.status, entry.reason].append(where)
    for (strategy, status, reason), wheres in places.items():
        yield f"- {_code(strategy)} {status}: {reason} ({', '.join(wheres)})"


def _left(out: Sequence[Unread]) -> str:
    """A line for each reason: a board run again leaves as many out as it holds."""
    paths: dict[str, list[str]] = defaultdict(list)
    for entry in out:
        paths[entry.reason].append(_code(entry.path))
    lines = []
    for reason, names in paths.items():
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        lines.append(f"- {', '.join(names[:SHOWN])}{more}: {reason}")
    return "\n".join(lines)


def _definitions(boards: Sequence[Sheet]) -> str:
    known = {
        column.key: column
        for board in boards
        for column in board.columns
        if column.fold is None
    }
    lines = [f"- **{_titled(c)}**: {c.definition}" for c in known.values()]
    folds = any(column.fold for board in boards for column in board.columns)
    average = (
        "averaged over the folds of a seed, then over seeds"
        if folds
        else "averaged over seeds"
    )
    orders = any(board.replicates for board in boards)
    lines += [
        f"- A score is {average}; ± is half its 95 % interval (Student's t). Only "
        f"seeds whose every fold is there count. Columns of single folds take every "
        f"seed that has them."
        + (
            " Several orders of one seed are averaged first: seeds are what repeats."
            if orders
            else ""
        ),
        f"- group: rows of one group are not significantly worse than its best (paired "
        f"t-tests over common seeds, Holm's correction over all pairs, 5 %). ranks: "
        f"where a row's true rank lies, by the same tests (docs/statistics.md). Both "
        f"need {FEW} seeds, and with few seeds tell little apart.",
        f"- *: fewer than {FEW} seeds, which are ranked and not tested. (local): the "
        f"strategy is a file of its user's. (changed): a record's checkout had changes "
        f"that no commit holds.",
        "- trials: how many settings were tried on held-out training data to choose "
        "those of the row (`clbench tune`); -: no record says.",
        "- Trained parameters are those of adapters, of the rest of the backbone and "
        "of heads, at the most; seconds are those of one cell, evaluation included.",
    ]
    if any(row.bound for board in boards for row in board.rows):
        lines.append(
            "- A line without a rank learned a variant of the problem, such as all "
            "tasks at once: a bound to compare with."
        )
    return "\n".join(lines)


def _titled(column: Column) -> str:
    if column.fold is not None:
        return column.label
    arrow = {True: " ↑", False: " ↓", None: ""}[column.higher_is_better]
    return f"{column.label}{' %' if column.unit == '%' else ''}{arrow}"


def _code(text: str) -> str:
    return f"`{text}`"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], *, words: int) -> str:
    """A table whose first columns hold words, the others numbers."""
    rule = ["---" if index < words else "--:" for index in range(len(head))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [head, rule, *rows])
