"""What stands below the tables: what is missing, failed, left out, and definitions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from clbench.board.document import Sheet, Unread
from clbench.board.figures import code, titled
from clbench.statistics.paired import FEW

SHOWN = 3
"""Files that are named beside what they have in common; the others are counted."""


def missing(board: Sheet) -> Iterable[str]:
    """A line for each strategy that lacks cells."""
    for entry in board.missing:
        label = f"{entry.strategy} {entry.settings}".strip()
        folds = f"{', '.join(entry.folds)} " if entry.folds else ""
        seeds = ",".join(map(str, sorted(set(entry.seeds))))
        yield (
            f"- {code(label)} has no record of {folds}seed={seeds}: "
            f"{code(entry.command)}"
        )


def failures(board: Sheet) -> Iterable[str]:
    """A line for each way in which cells did not end well."""
    places: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for entry in board.failed:
        where = f"{entry.fold or ''} seed={entry.seed}".strip()
        places[entry.strategy, entry.status, entry.reason].append(where)
    for (strategy, status, reason), wheres in places.items():
        yield f"- {code(strategy)} {status}: {reason} ({', '.join(wheres)})"


def left(out: Sequence[Unread]) -> str:
    """A line for each reason: a board run again leaves as many out as it holds."""
    paths: dict[str, list[str]] = defaultdict(list)
    for entry in out:
        paths[entry.reason].append(code(entry.path))
    lines = []
    for reason, names in paths.items():
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        lines.append(f"- {', '.join(names[:SHOWN])}{more}: {reason}")
    return "\n".join(lines)


def definitions(boards: Sequence[Sheet]) -> str:
    """What the columns, marks and intervals of `boards` mean."""
    known = {
        column.key: column
        for board in boards
        for column in board.columns
        if column.fold is None
    }
    lines = [f"- **{titled(c)}**: {c.definition}" for c in known.values()]
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
