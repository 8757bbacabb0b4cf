"""Figures that papers report: shown beside boards, never ranked with their rows.

They lie in `leaderboards/reported/*.yaml`, a document for each table: what it is about,
which boards it belongs to, where it comes from and how sure that is.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from clbench import registry
from clbench.contract import InputError, Metric, Scenario, nearest

NAME = "reported"
"""Of their folder, beside the boards, and of the page that lists them all."""

FOLDER = Path("leaderboards") / NAME

CERTAINTY = {
    "code": "read in, or computed from, what the authors released",
    "paper": "read on a page of the paper",
    "secondary": "read in what others write of the paper",
}
"""How sure a figure is; what is less sure is not shown."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Figure(_Part):
    """What was reported of one method."""

    label: str = Field(min_length=1)
    scores: dict[str, float] = Field(min_length=1)
    note: str | None = None


class Table(_Part):
    """Figures of one protocol from one source.

    Attributes:
        title: What they are about.
        scenario: The plugin on whose boards they are shown.
        when: Its parameters that must have these values; of a list one of them.
        source: Paper and table, or whoever reported them.
        url: Where that is, if it is known.
        certainty: One of `CERTAINTY`.
        protocol: Model, data and training behind them.
        figures: In the source's order; scores in percent where boards show percent.
    """

    title: str = Field(min_length=1)
    scenario: str
    when: dict[str, Any] = Field(min_length=1)
    source: str = Field(min_length=1)
    url: str | None
    certainty: Literal["code", "paper", "secondary"]
    protocol: str = Field(min_length=1)
    figures: list[Figure] = Field(min_length=1)


def reported_for(
    scenario: str, settings: Mapping[str, Any], folder: Path = FOLDER
) -> list[dict[str, Any]]:
    """The figures that belong on a board, in the form of the board's document.

    Args:
        scenario: The board's.
        settings: Parameters of the scenario that the board fixes; one that is not among
            them has its default.
        folder: Of the files; there may be none.

    Raises:
        InputError: A file there is not right.
    """
    return select(read(folder), scenario, settings)


def select(
    tables: Iterable[Table], scenario: str, settings: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Those of `tables` that belong on a board; see `reported_for`."""
    return [
        {
            "label": figure.label,
            "scores": dict(figure.scores),
            "source": table.source,
            "protocol": _protocol(table, figure),
            "certainty": CERTAINTY[table.certainty],
            "url": table.url or "",
        }
        for table in tables
        if table.scenario == scenario and _belongs(table, settings)
        for figure in table.figures
    ]


def read(folder: Path) -> list[Table]:
    """Every table in `folder`, in the order of the files' names.

    Raises:
        InputError: A file is not right; names it, the document and the key.
    """
    return [
        table for path in sorted(folder.glob("*.yaml")) for table in _read_file(path)
    ]


def _read_file(path: Path) -> Iterator[Table]:
    try:
        documents = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        line = " ".join(str(error).split())
        raise InputError(f"{path}: no file of reported figures: {line}") from error
    for number, document in enumerate(documents, start=1):
        where = str(path) if len(documents) == 1 else f"{path}, document {number}"
        try:
            table = Table.model_validate(document)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"])) or "the document"
            raise InputError(f"{where}: {place}: {first['msg']}") from error
        _check(table, where)
        yield table


def _check(table: Table, where: str) -> None:
    """Refuse keys that the scenario does not know."""
    try:
        scenario = registry.load("scenario", table.scenario)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    known = [n for n in inspect.signature(scenario).parameters if n != "seed"]
    for key in table.when:
        if key not in known:
            near = nearest(key, known)
            raise InputError(
                f"{where}: when.{key} is no parameter of {table.scenario}{near}"
            )
    metrics = list(_metrics(scenario))
    for number, figure in enumerate(table.figures):
        for key in figure.scores:
            if key not in metrics:
                near = nearest(key, metrics)
                raise InputError(
                    f"{where}: figures.{number}.scores.{key} is no score of "
                    f"{table.scenario}{near}"
                )


def _metrics(scenario: type[Scenario]) -> dict[str, Metric]:
    """The scenario's numbers by name, the one that ranks first."""
    every = (scenario.main, *scenario.metrics, *scenario.compared)
    return {metric.name: metric for metric in every}


def _belongs(table: Table, settings: Mapping[str, Any]) -> bool:
    parameters = inspect.signature(registry.load("scenario", table.scenario)).parameters

    def holds(key: str, wanted: Any) -> bool:
        value = settings.get(key, parameters[key].default)
        return value in (wanted if isinstance(wanted, list) else [wanted])

    return all(holds(key, wanted) for key, wanted in table.when.items())


def _protocol(table: Table, figure: Figure) -> str:
    return f"{table.protocol}; {figure.note}" if figure.note else table.protocol


# --- the page that lists them all ---


def page(folder: Path) -> str | None:
    """All figures in markdown; None where there is none.

    Raises:
        InputError: A file in `folder` is not right.
    """
    tables = read(folder)
    if not tables:
        return None
    lines = [
        "<!-- Written by `clbench board` from reported/*.yaml: edits are lost. -->",
        "",
        "# Reported figures",
        "",
        "What papers report on protocols that clbench runs. Nothing here was run by "
        "clbench, and",
        "nothing here is ranked. A board of the same data shows its figures below its "
        "own rows.",
    ]
    for table in tables:
        lines += ["", *_section(table)]
    return "\n".join(lines) + "\n"


def _section(table: Table) -> Iterator[str]:
    metrics = _metrics(registry.load("scenario", table.scenario))
    given = {key for figure in table.figures for key in figure.scores}
    columns = [metric for name, metric in metrics.items() if name in given]
    where = " ".join(f"scenario.{k}={_value(v)}" for k, v in table.when.items())
    yield f"## {table.title}"
    yield ""
    yield f"- board: scenario={table.scenario} {where}"
    yield f"- source: {table.source}" + (f", <{table.url}>" if table.url else "")
    yield f"- how sure: {CERTAINTY[table.certainty]}"
    yield f"- protocol: {table.protocol}"
    yield ""
    titles = [metric.title + " %" * metric.percent for metric in columns]
    yield _row(["method", *titles, "note"])
    yield _row(["---", *["--:"] * len(columns), "---"])
    for figure in table.figures:
        scores = [
            str(figure.scores[m.name]) if m.name in figure.scores else "-"
            for m in columns
        ]
        yield _row([figure.label, *scores, figure.note or ""])


def _value(value: Any) -> str:
    values = value if isinstance(value, list) else [value]
    return " or ".join("null" if v is None else str(v) for v in values)


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"
