"""A strategy that prepares nothing and has many kinds of parameters."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from clbench.contract import Batch, Count, Fraction, Positive, Reference, Run, Strategy


class Wide(Strategy):
    """Pulls the output towards zero.

    Args:
        rank: How many directions it has.
        scale: Factor of the penalty.
        keep: Share that is kept.
        mode: What is kept.
        roles: Where it acts.
        pair: Two numbers.
        limit: Where it ends; null never ends.
        table: A file.
        label: A text.
        on: Whether it acts.
    """

    reference = Reference(
        paper="Nobody: A paper that does not exist. Nowhere, 1900.",
        url="https://example.org/paper",
        equations=("(1)", "(2)"),
        differs="It exists.",
    )

    def __init__(
        self,
        *,
        rank: Count = 4,
        scale: Positive = 0.5,
        keep: Fraction = 1.0,
        mode: Literal["mean", "median"] = "mean",
        roles: tuple[str, ...] = ("q", "v"),
        pair: tuple[int, float] = (1, 2.0),
        limit: Count | None = None,
        table: Path | None = None,
        label: str = "",
        on: bool = True,
    ) -> None:
        self.rank, self.scale, self.keep, self.mode = rank, scale, keep, mode
        self.roles, self.pair, self.limit = roles, pair, limit
        self.table, self.label, self.on = table, label, on

    def penalty(self, run: Run, output: Any, batch: Batch) -> Tensor:
        return self.scale * output.square().mean()
