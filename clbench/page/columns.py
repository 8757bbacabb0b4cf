"""The columns that every board of the page has, besides its scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "rank", "strategy", "group", "main", "score", "number", "text", "records", "run"
]


@dataclass(frozen=True)
class Column:
    """A column of a board as the page shows it.

    Attributes:
        key: Unique within the board.
        label: Its header.
        definition: What it is, in a sentence or two.
        kind: How its cells are printed.
        unit: Of its numbers.
        higher_is_better: Which way is up; None where neither is.
        shown: Whether it is there before anybody chooses columns.
    """

    key: str
    label: str
    definition: str
    kind: Kind = "number"
    unit: str = ""
    higher_is_better: bool | None = None
    shown: bool = True

    @property
    def arrow(self) -> str:
        """Which way is up, as a sign."""
        return {True: "↑", False: "↓", None: ""}[self.higher_is_better]


BEFORE = (
    Column(
        "rank",
        "#",
        "Rank by the main score. Below it the interval in which the rank lies with "
        "95 % certainty. Bounds and rows without a complete repeat have none.",
        "rank",
    ),
    Column(
        "strategy",
        "Strategy",
        "The strategy with what was set by its user; everything else is a default or "
        "tuned. Members of a composition are joined by +.",
        "strategy",
    ),
)

GROUP = Column(
    "group",
    "Group",
    "Rank group: strategies that tests do not tell apart from the best of them share a "
    "letter. None with too few repeats.",
    "group",
)

AFTER = (
    Column(
        "trained",
        "Trained",
        "Parameters that were trained at once, at the most: adapters, the rest of the "
        "backbone, and heads.",
        higher_is_better=False,
    ),
    Column("adapter", "Adapter", "Trained parameters of adapters.", shown=False),
    Column("other", "Backbone", "Trained parameters of the backbone.", shown=False),
    Column("head", "Head", "Trained parameters of heads.", shown=False),
    Column(
        "parameters", "Total", "Parameters of the model with adapters.", shown=False
    ),
    Column(
        "seconds",
        "Seconds",
        "Wall-clock seconds of one cell, evaluation included, on average.",
        unit="s",
        higher_is_better=False,
    ),
    Column(
        "peak_bytes",
        "Peak",
        "Peak memory of a cell in MiB; on a CPU that of the whole process, libraries "
        "included.",
        unit="MiB",
        higher_is_better=False,
    ),
    Column(
        "examples_per_second",
        "Examples/s",
        "Training examples in a second, evaluation left aside.",
        higher_is_better=True,
        shown=False,
    ),
    Column(
        "flops",
        "FLOPs",
        "Floating-point operations of all steps, in products, convolutions and, on "
        "GPUs, attention.",
        higher_is_better=False,
        shown=False,
    ),
    Column("device", "Device", "What it ran on.", "text", shown=False),
    Column(
        "repeats",
        "Repeats",
        "Complete repeats (seeds and, where they vary, orders of tasks). Fewer than "
        "three are marked “few”.",
        higher_is_better=True,
    ),
    Column(
        "trials",
        "Trials",
        "How many settings were tried on held-out training data to choose those of "
        "this row; a dash where no record says.",
    ),
    Column(
        "factors",
        "Factors",
        "Standard deviation of the main score due to seeds, to the order of tasks, and "
        "to neither, where both vary.",
        "text",
        shown=False,
    ),
    Column(
        "origin",
        "Origin",
        "Where the strategy's code comes from: built in, an installed package, or a "
        "local file of its user's.",
        "text",
    ),
    Column(
        "version",
        "Versions",
        "Versions and commits that the records come from; “changed” marks a checkout "
        "with changes that no commit holds.",
        "text",
        shown=False,
    ),
    Column(
        "records", "Records", "The records that the row is computed from.", "records"
    ),
    Column("run", "Run again", "The command that runs these cells again.", "run"),
)
