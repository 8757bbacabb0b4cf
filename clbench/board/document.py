"""The board document: everything a board says, as plain values.

It is written as `leaderboards/<scenario>.json` (see `clbench.board.written`); whatever
shows boards reads it. Its numbers are in the unit of their column: percent where a
metric is a part of 1. Whoever makes it rounds them (`clbench.board.written.rounded`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

FORMAT = 1
"""Version of the fields below; raised whenever one changes its meaning."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """A number of every row.

    Attributes:
        key: By which rows hold it; of one fold it ends in `/<fold>`.
        label: Its head.
        unit: `%`, or empty.
        higher_is_better: Which way is up; None where neither is.
        definition: What it is, in a sentence.
        fold: The fold that it is of; None is the mean over all.
    """

    key: str
    label: str
    unit: str
    higher_is_better: bool | None
    definition: str
    fold: str | None = None


@dataclass(frozen=True, kw_only=True)
class Score:
    """A mean, its 95 % interval over seeds, and the value of each repeat."""

    mean: float
    low: float | None
    high: float | None
    values: list[float | None]


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a row's cells take.

    Trained parameters and memory are the most of any cell, the rest means over cells.
    """

    adapter: int | None
    other: int | None
    head: int | None
    parameters: int | None
    seconds: float | None
    examples_per_second: float | None
    peak_bytes: int | None
    flops: float | None


@dataclass(frozen=True, kw_only=True)
class Member:
    """One of the strategies that learned together, and where its code is from."""

    name: str
    origin: str
    version: str | None


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """One row of a score matrix: a value for each task."""

    experience: int
    step: int
    values: list[float | None]


@dataclass(frozen=True, kw_only=True)
class Scores:
    """A score matrix; where tasks have measures of their own, their names tell."""

    metric: str
    unit: str
    tasks: list[str]
    rows: list[Evaluation]


@dataclass(frozen=True, kw_only=True)
class Source:
    """A record that a row is computed from.

    Attributes:
        path: Relative to the folder of the boards; None if it lies elsewhere.
        key: Of its configuration.
        seed: Of its cell.
        fold: Of its cell, if the scenario has folds.
        matrix: Its scores.
    """

    path: str | None
    key: str
    seed: int
    fold: str | None
    matrix: Scores


@dataclass(frozen=True, kw_only=True)
class Row:
    """One way of learning.

    Attributes:
        id: Permanent name.
        rank: 1 is best, equal means share one; None is not ranked.
        group: Rows of one group are not told apart from its best; see
            `clbench.statistics.ranking`. None where there are too few seeds.
        rank_interval: The best and the worst rank that tests leave it.
        label: The strategy, and what is not default.
        strategy: Names of the members joined by `+`.
        bound: Whether it learned a variant of the problem, and is not ranked.
        repeats: How often the experiment was done, with other seeds or orders.
        few: Whether there are too few independent repeats for a test.
        scores: By the key of the column.
        seeds: Those of its complete repeats.
        factors: Standard deviation of the main score due to each factor, where seeds
            and something else vary: `seed`, the replicates, `rest`.
        cost: What it takes.
        device: Where it ran.
        origin: `built in`, a package and its version, or `local`.
        members: Its strategies.
        versions: Of clbench and torch.
        commits: Of the checkouts it ran from.
        dirty: Whether one of these had changes that no commit holds.
        trials: How many settings were tried before; None where nothing says.
        reproduce: The command that runs all of it again.
        records: What it is computed from.
    """

    id: str
    rank: int | None
    group: int | None
    rank_interval: list[int] | None
    label: str
    strategy: str
    bound: bool
    repeats: int
    few: bool
    scores: dict[str, Score]
    seeds: list[int]
    factors: dict[str, float]
    cost: Cost
    device: str
    origin: str
    members: list[Member]
    versions: dict[str, str]
    commits: list[str]
    dirty: bool
    trials: int | None
    reproduce: str
    records: list[Source]


@dataclass(frozen=True, kw_only=True)
class Missing:
    """Cells that are planned, or that a repeat lacks, and have no record.

    Attributes:
        strategy: Names of the members joined by `+`.
        settings: What is not default.
        seeds: Of the cells.
        folds: Of the cells; none is all.
        command: Runs them.
    """

    strategy: str
    settings: str
    seeds: list[int]
    folds: list[str]
    command: str


@dataclass(frozen=True, kw_only=True)
class Failed:
    """A cell that did not end well."""

    strategy: str
    seed: int
    reason: str
    status: str
    fold: str | None


@dataclass(frozen=True, kw_only=True)
class Reported:
    """A figure from a paper: shown beside the rows, never ranked with them."""

    label: str
    scores: dict[str, float]
    source: str
    protocol: str
    certainty: str
    url: str


@dataclass(frozen=True, kw_only=True)
class Apart:
    """Why two boards are not one: a key, its value here and its value there."""

    board: str
    key: str
    here: Any
    there: Any


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """One board: rows that may be compared."""

    id: str
    title: str
    data: str
    backbone: str
    fingerprint: str
    version: int
    settings: dict[str, Any]
    budget: dict[str, Any]
    budget_text: str
    main: str
    replicates: list[str]
    columns: list[Column]
    rows: list[Row]
    missing: list[Missing]
    failed: list[Failed]
    reported: list[Reported]
    apart: list[Apart]
    note: str


@dataclass(frozen=True, kw_only=True)
class Unread:
    """A record that is on no board, and why."""

    path: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Document:
    """The boards of one scenario, and what is on none."""

    format: int = FORMAT
    scenario: str
    summary: str
    boards: list[Sheet]
    unread: list[Unread]
