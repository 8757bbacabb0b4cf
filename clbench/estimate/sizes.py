"""How much room a cell will take on the disk, from what a few steps of it left."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from clbench import outcomes, record
from clbench.checkpoint.file import encode
from clbench.record import Entry, Record

if TYPE_CHECKING:
    from clbench.findings import Findings

WIDEST = -2.2250738585072014e-308
"""A number that takes as many letters as any."""

HEADER = 192
"""Bytes that a tensor takes in a file besides its own, at the most."""


def checkpoint(facts: Mapping[str, Any], state: Any) -> int:
    """Bytes of a checkpoint of `state`, made in memory and thrown away.

    Raises:
        TypeError: It holds what no checkpoint does.
    """
    return sum(len(part) for part in encode(facts, state))


def model(bare: nn.Module) -> int:
    """Bytes of a scenario's model when all of it is kept."""
    return sum(
        value.numel() * value.element_size() + HEADER
        for value in bare.state_dict().values()
        if isinstance(value, Tensor)
    )


def lasting(made: Record, found: Findings, rows: int, steps: int) -> int:
    """Bytes of the record and what lies beside it, once a cell is done.

    Args:
        made: The record as it would be now.
        found: What it holds.
        rows: Of the matrix in the end.
        steps: In the end.
    """
    pictures = outcomes.pack_pictures(found.pictures) if found.pictures else b""
    return len(pictures) + rows * of_row(found) + _record(made, rows, steps)


def of_row(found: Findings) -> int:
    """Bytes of every example's outcomes in one row, were none equal in all rows."""
    return max(
        sum(
            int(values.nbytes) + HEADER
            for arrays in row.values()
            for values in arrays.values()
        )
        for row in found.outcomes
    )


def _record(made: Record, rows: int, steps: int) -> int:
    """Bytes of the record with all its rows and all that the strategy logs."""
    wide = [
        Entry(
            experience=rows,
            step=steps,
            boundary=False,
            scores={
                task: dict.fromkeys(values, WIDEST)
                for task, values in entry.scores.items()
            },
        )
        for entry in made.rows[-1:]
    ]
    done = max(1, 0 if made.cost is None else made.cost.steps)
    log: dict[str, list[tuple[int, float | None]]] = {
        name: [(steps, WIDEST)] * (len(entries) * math.ceil(max(1, steps / done)))
        for name, entries in made.log.items()
    }
    return len(record.encode(made.model_copy(update={"rows": wide * rows, "log": log})))
