"""The board document as comma-separated values: one line for each row of a board."""

from __future__ import annotations

import csv
import io
from typing import Any

from clbench.board.document import Document, Row, Sheet
from clbench.board.written import plain

PARTS = ("mean", "low", "high")
"""Of every score, as columns `<key>.mean` and so on."""


def render(document: Document) -> bytes:
    """All boards of a scenario in one table; what a board has no column of is empty."""
    rows = [_flat(board, row) for board in document.boards for row in board.rows]
    keys = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, keys, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _flat(board: Sheet, row: Row) -> dict[str, Any]:
    low, high = row.rank_interval or (None, None)
    scores = {
        f"{column.key}.{part}": plain(getattr(score, part))
        for column in board.columns
        if (score := row.scores.get(column.key))
        for part in PARTS
    }
    return {
        "board": board.id,
        "row": row.id,
        "rank": row.rank,
        "group": row.group,
        "rank_low": low,
        "rank_high": high,
        "strategy": row.strategy,
        "label": row.label,
        "bound": str(row.bound).lower(),
        "repeats": row.repeats,
        "seeds": " ".join(map(str, row.seeds)),
        "few": str(row.few).lower(),
        "trials": row.trials,
        **scores,
        **{f"deviation.{name}": plain(value) for name, value in row.factors.items()},
        **plain(row.cost),
        "device": row.device,
        "origin": row.origin,
        **row.versions,
        "commits": " ".join(row.commits),
        "dirty": str(row.dirty).lower(),
        "reproduce": row.reproduce,
    }
