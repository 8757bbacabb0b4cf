"""The board document as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from clbench.board import foot
from clbench.board.document import Apart, Column, Document, Row, Sheet
from clbench.board.figures import code, figure, spread, titled
from clbench.grammar import write

MEBI = 2**20


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
        parts += ["## What the numbers are", foot.definitions(document.boards)]
    if document.unread:
        parts += ["## Left out", foot.left(document.unread)]
    return "\n\n".join(parts) + "\n"


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
        yield "\n".join(foot.missing(board))
    if board.failed:
        yield "Not ranked:"
        yield "\n".join(foot.failures(board))


def _reported(board: Sheet) -> str:
    given = {key for entry in board.reported for key in entry.scores}
    columns = [column for column in board.columns if column.key in given]
    head = [*(f"{c.label} {c.unit}".strip() for c in columns), "source, protocol"]
    lines = [
        "| " + " | ".join(["method", *head]) + " |",
        "| " + " | ".join(["---", *["--:"] * len(columns), "---"]) + " |",
    ]
    for entry in board.reported:
        scores = [str(entry.scores.get(column.key, "-")) for column in columns]
        what = f"{entry.source} ({entry.certainty}); {entry.protocol}"
        lines.append("| " + " | ".join([entry.label, *scores, what]) + " |")
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
        *map(titled, board.columns),
        "group",
        "ranks",
        "seeds",
        "trials",
    ]
    rows = [
        [
            "" if row.rank is None else str(row.rank),
            code(row.label) + _marks(row),
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
                    code(row.label),
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
        code(row.label),
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


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], *, words: int) -> str:
    """A table whose first columns hold words, the others numbers."""
    rule = ["---" if index < words else "--:" for index in range(len(head))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [head, rule, *rows])
