"""One cell for `--json`: what it is, how it ended, and where its record lies."""

from __future__ import annotations

import sys
from json import dumps
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clbench.record import Record
    from clbench.resolved import Cell


def show(cell: Cell, record: Record, path: Path | None, *, ran: bool) -> None:
    """Print a cell that has a record as one line.

    Args:
        cell: What was run.
        record: What it left.
        path: Of the record; None where it was not written.
        ran: Whether it was run now.
    """
    from clbench.report import scores_of  # with rich tables: slow to import

    scores = scores_of(record) if record.status == "ok" else {}
    _print(
        cell,
        status=record.status,
        reason=record.reason,
        # JSON has no NaN: a score that is not defined is null.
        scores={k: None if isnan(v) else v for k, v in scores.items()},
        record=None if path is None else str(path),
        ran=ran,
    )


def show_lost(cell: Cell, status: str, reason: str) -> None:
    """Print a cell that left no record as one line.

    Args:
        cell: What was to be run.
        status: How it ended, in one word.
        reason: Why.
    """
    _print(cell, status=status, reason=reason, scores={}, record=None, ran=True)


def _print(cell: Cell, **found: Any) -> None:
    plain = cell.to_dict()
    line = {
        "strategy": cell.name,
        "scenario": cell.scenario.name,
        "seed": cell.seed,
        "params": {"strategy": plain["strategy"], "scenario": plain["scenario"]},
        **found,
        "command": cell.command(),
    }
    sys.stdout.write(dumps(line) + "\n")
    sys.stdout.flush()
