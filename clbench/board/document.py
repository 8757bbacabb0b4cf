"""The board document: everything a board says, as plain values.

It is written as `leaderboards/<scenario>.json`; whatever shows boards reads it. Its
numbers are in the unit of their column: percent where a metric is a part of 1.
"""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from clbench.contract import InputError

FORMAT = 1
"""Version of the fields below; raised whenever one changes its meaning."""

DIGITS = 10
"""Significant digits of a number: what is further is not the same on every machine."""

ZERO = 1e-12
"""Sizes below it are rounding."""


Written = Mapping[str, Any]
"""What `leaderboards/<scenario>.json` holds: a `Document` as plain values."""


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


def read(folder: Path) -> Iterator[Written]:
    """The board documents in `folder`, in the order of their names.

    Raises:
        InputError: A JSON file there is none, or of another format.
    """
    for path in sorted(folder.glob("*.json")):
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except (UnicodeDecodeError, json.JSONDecodeError) as error:
            raise InputError(f"{path}: not a board ({error})") from error
        found = document.get("format") if isinstance(document, dict) else None
        if found != FORMAT:
            raise InputError(
                f"{path}: a board of format {found}, and only {FORMAT} is known here; "
                f"write it again with `clbench board`"
            )
        yield document


def plain(value: Any) -> Any:
    """`value` as JSON holds it: fields in their order, numbers rounded, no NaN."""
    if dataclasses.is_dataclass(value):
        names = (field.name for field in dataclasses.fields(value))
        return {name: plain(getattr(value, name)) for name in names}
    if isinstance(value, float):
        return rounded(value)
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    return value


def rounded(value: float) -> float | None:
    """`value` to the digits that every machine agrees on; None if it is not finite."""
    if not isfinite(value):
        return None
    return 0.0 if abs(value) < ZERO else float(f"{value:.{DIGITS}g}")


def dump(document: Document) -> bytes:
    """The JSON file of `document`."""
    encoder = json.JSONEncoder(
        indent=1, allow_nan=False, ensure_ascii=False, default=_fields
    )
    # Piece by piece: a large document is there once, not three times.
    out = io.BytesIO()
    for piece in encoder.iterencode(document):
        out.write(piece.encode())
    out.write(b"\n")
    return out.getvalue()


def _fields(value: Any) -> dict[str, Any]:
    """The fields of one dataclass as `plain` has them, further dataclasses left."""
    return {
        field.name: _level(getattr(value, field.name))
        for field in dataclasses.fields(value)
    }


def _level(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_level(entry) for entry in value]
    if isinstance(value, Mapping):
        return {str(key): _level(entry) for key, entry in value.items()}
    return rounded(value) if isinstance(value, float) else value
