"""The first rows of every scenario's fullest board, as one table in Markdown."""

from __future__ import annotations

from collections.abc import Iterable

from clbench.board.document import Document, Row, Sheet
from clbench.board.markdown import spread

FIRST = 3
"""Rows that are shown of a board."""


def heads(documents: Iterable[Document], folder: str) -> str:
    """A line for each scenario: what ranks, the best rows, the best bound.

    Args:
        documents: One for each scenario.
        folder: Where the boards lie, as links name it.
    """
    places = " | ".join(str(n) for n in range(1, FIRST + 1))
    lines = [
        f"| board | ranked by | {places} | bound |",
        f"| --- | --- |{' --- |' * FIRST} --- |",
    ]
    for document in documents:
        sheet = fullest(document)
        if sheet is not None:
            lines.append(_line(document.scenario, sheet, folder))
    return "\n".join(lines) + "\n"


def fullest(document: Document) -> Sheet | None:
    """The board with the most ranked rows, the first of these."""
    ranked = [b for b in document.boards if any(row.rank is not None for row in b.rows)]
    return max(ranked, key=_size, default=None)


def _size(sheet: Sheet) -> int:
    return sum(row.rank is not None for row in sheet.rows)


def _line(scenario: str, sheet: Sheet, folder: str) -> str:
    (main,) = [c for c in sheet.columns if c.key == sheet.main]
    arrow = {True: " ↑", False: " ↓", None: ""}[main.higher_is_better]
    unit = f" {main.unit}" if main.unit else ""

    def shown(row: Row) -> str:
        return f"`{row.label}` {spread(row.scores.get(main.key), main.unit)}"

    best = [shown(row) for row in sheet.rows if row.rank is not None][:FIRST]
    best += ["-"] * (FIRST - len(best))
    # What others are measured against has no score of its own.
    bounds = [row for row in sheet.rows if row.bound and main.key in row.scores]
    bound = shown(bounds[0]) if bounds else "-"
    link = f"[`{scenario}`]({folder}/{scenario}.md)"
    return f"| {link} | {main.label}{unit}{arrow} | {' | '.join(best)} | {bound} |"
