"""The first rows of every scenario's fullest board, as one table in Markdown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from clbench.board.document import Score
from clbench.board.figures import code, spread
from clbench.board.written import Written

PLACES = ("first", "second", "third")
"""Those of a board that are shown; equal rows share one."""


def heads(documents: Iterable[Written], folder: str) -> str:
    """A line for each scenario: what ranks, the best rows, the best bound.

    Args:
        documents: One for each scenario.
        folder: Where the boards lie, as links name it.
    """
    lines = [
        f"| board | ranked by | {' | '.join(PLACES)} | bound |",
        f"| --- | --- |{' --- |' * len(PLACES)} --- |",
    ]
    for document in documents:
        fullest = max(document["boards"], key=_size, default=None)
        if fullest is not None and _size(fullest):
            lines.append(_line(document["scenario"], fullest, folder))
    return "\n".join(lines) + "\n"


def _size(board: Written) -> int:
    """Rows that are ranked."""
    return sum(row["rank"] is not None for row in board["rows"])


def _line(scenario: str, board: Written, folder: str) -> str:
    (main,) = [c for c in board["columns"] if c["key"] == board["main"]]
    arrow = {True: " ↑", False: " ↓", None: ""}[main["higher_is_better"]]
    unit = f" {main['unit']}" if main["unit"] else ""

    def score(row: dict[str, Any]) -> str:
        found = row["scores"].get(main["key"])
        return spread(None if found is None else Score(**found), main["unit"])

    places: dict[int, dict[str, list[str]]] = {}
    for row in board["rows"]:
        if row["rank"] is not None:
            place = places.setdefault(row["rank"], {})
            place.setdefault(score(row), []).append(code(row["label"]))
    best = [
        ", ".join(f"{', '.join(names)} {value}" for value, names in place.items())
        for place in places.values()
    ][: len(PLACES)]
    best += ["-"] * (len(PLACES) - len(best))
    # What others are measured against has no score of its own.
    bounds = [r for r in board["rows"] if r["bound"] and main["key"] in r["scores"]]
    bound = f"{code(bounds[0]['label'])} {score(bounds[0])}" if bounds else "-"
    link = f"[`{scenario}`]({folder}/{scenario}.md)"
    return f"| {link} | {main['label']}{unit}{arrow} | {' | '.join(best)} | {bound} |"
