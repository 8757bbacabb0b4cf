"""Board documents as what the page prints: columns, cells, facts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from clbench.page import across, charts
from clbench.page.columns import AFTER, BEFORE, GROUP, Column

MEBI = 2**20

FIRST = 50
"""Rows of a board that its table shows before anybody asks for more."""

HEAD = 5
"""Rows of a board that the overview shows."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell: what it says, and what it sorts by.

    `sub` is its 95 % interval: empty where there is none, None where none is possible.
    """

    text: str
    sub: str | None = None
    value: float | str | None = None


MISSING = Cell("–", "")


def family(document: Mapping[str, Any]) -> dict[str, Any]:
    """A tab of the page: the boards of one scenario."""
    boards = document["boards"]
    return {
        "name": document["scenario"],
        "summary": document["summary"],
        "boards": [_board(board) for board in boards],
        "unread": document["unread"],
        "leading": across.leading(boards[0]) if boards else {},
    }


def _board(board: Mapping[str, Any]) -> dict[str, Any]:
    ordered = sorted(board["columns"], key=lambda c: bool(c["key"] != board["main"]))
    scores = [_score_column(column, board["main"]) for column in ordered]
    columns = [*BEFORE, *scores[:1], GROUP, *scores[1:], *AFTER]
    rows = board["rows"]
    hidden = [n for n, column in enumerate(columns, 1) if not column.shown]
    main = next(column for column in columns if column.key == board["main"])
    ranked = [row for row in rows if row["rank"] is not None][:HEAD]
    shown = _rows(rows, columns)
    return {
        "id": board["id"],
        "title": board["title"],
        "facts": _facts(board),
        "main": main,
        "columns": columns,
        "hidden": " ".join(map(str, hidden)),
        "rows": shown,
        "head": _rows(ranked, columns),
        "origins": sorted({row["origin"] for row in shown}),
        "bounds": any(row["bound"] for row in shown),
        "few": any(row["few"] for row in shown),
        "apart": [_apart(entry) for entry in board["apart"]],
        # Every second part is a name or a command.
        "note": board["note"].split("`"),
        "missing": [_missing(entry) for entry in board["missing"]],
        "failed": [_failed(entry) for entry in board["failed"]],
        "reported": _reported(board["reported"], scores),
        "charts": charts.embedded(charts.data(board)),
    }


def _score_column(column: Mapping[str, Any], main: str) -> Column:
    return Column(
        key=column["key"],
        label=column["label"],
        definition=column["definition"],
        kind="main" if column["key"] == main else "score",
        unit=column["unit"] or "",
        higher_is_better=column["higher_is_better"],
        shown=column["fold"] is None,
    )


def _facts(board: Mapping[str, Any]) -> list[tuple[str, str]]:
    settings = ", ".join(f"{key}={value}" for key, value in board["settings"].items())
    facts = [
        ("Data", f"{board['data']} ({board['fingerprint'][:12]})"),
        ("Backbone", board["backbone"]),
        ("Budget", board["budget_text"]),
        ("Scenario version", str(board["version"])),
        ("Settings", settings),
    ]
    return [(name, text) for name, text in facts if text]


Scale = tuple[float, float]
"""Least and largest number that the pictures of intervals in a column show."""


def _scale(scores: Sequence[Mapping[str, Any] | None]) -> Scale:
    known = [
        value
        for score in scores
        if score
        for value in (score["mean"], score["low"], score["high"])
        if value is not None
    ]
    return (min(known, default=0.0), max(known, default=1.0))


def _rows(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[Column]
) -> list[dict[str, Any]]:
    main = next(column.key for column in columns if column.kind == "main")
    scale = _scale([row["scores"].get(main) for row in rows])
    return [_row(row, columns, scale) for row in rows]


def _row(
    row: Mapping[str, Any], columns: Sequence[Column], scale: Scale
) -> dict[str, Any]:
    cells = [_cell(row, column) for column in columns]
    main = next(column.key for column in columns if column.kind == "main")
    return {
        "id": row["id"],
        "label": row["label"],
        "rank": row["rank"],
        "group": row["group"],
        "bound": row["bound"],
        "few": row["few"],
        "dirty": row["dirty"],
        "origin": origin_kind(row["origin"]),
        "cells": cells,
        "score": cells[next(n for n, c in enumerate(columns) if c.kind == "main")],
        "whisker": _whisker(row["scores"].get(main), scale),
        "run": row["reproduce"],
        "records": [_record(record) for record in row["records"]],
    }


def _cell(row: Mapping[str, Any], column: Column) -> Cell:
    key = column.key
    match column.kind:
        case "rank":
            interval = row["rank_interval"]
            sub = "–".join(map(str, interval)) if interval else ""
            return Cell(str(row["rank"] or ""), sub, row["rank"])
        case "strategy":
            return Cell(row["label"], value=row["label"])
        case "group":
            return Cell(letter(row["group"]), value=row["group"])
        case "records":
            return Cell(str(len(row["records"])), value=len(row["records"]))
        case "run":
            return Cell(row["reproduce"])
        case "main" | "score":
            return _score(row["scores"].get(key), column.unit)
    cost = row["cost"]
    match key:
        case "trained":
            return _plain(charts.trained(cost), ",d")
        case "seconds":
            return _plain(cost[key], ",.1f")
        case "peak_bytes":
            peak = cost[key]
            return _plain(None if peak is None else peak / MEBI, ",.0f")
        case "flops":
            return _plain(cost[key], ".3g")
        case "device" | "origin":
            return Cell(row[key] or "–", value=row[key])
        case "repeats":
            return Cell(str(row["repeats"]), value=row["repeats"])
        case "trials":
            return _plain(row["trials"], ",d")
        case "factors":
            parts = [f"{name} {value:.3g}" for name, value in row["factors"].items()]
            return Cell(", ".join(parts))
        case "version":
            return Cell(_versions(row))
    return _plain(cost[key], ",.0f")


def _score(score: Mapping[str, Any] | None, unit: str) -> Cell:
    if score is None or score["mean"] is None:
        return MISSING
    mean, low, high = score["mean"], score["low"], score["high"]
    sub = ""
    if low is not None and high is not None:
        below, above = number(mean - low, unit), number(high - mean, unit)
        same = below == above
        sub = f"± {above}" if same else f"{number(low, unit)} – {number(high, unit)}"
    return Cell(number(mean, unit), sub, mean)


def _plain(value: float | None, form: str) -> Cell:
    return Cell("–") if value is None else Cell(format(value, form), value=value)


def _versions(row: Mapping[str, Any]) -> str:
    parts = [f"{name} {version}" for name, version in row["versions"].items()]
    parts += row["commits"]
    return ", ".join([*parts, *(["changed"] if row["dirty"] else [])])


def _whisker(score: Mapping[str, Any] | None, scale: Scale) -> str:
    """Where a mean and its interval lie on the scale, in percent, as CSS variables."""
    if score is None or score["mean"] is None:
        return ""
    width = (scale[1] - scale[0]) or 1.0
    values = [score["low"], score["mean"], score["high"]]
    low, mean, high = (score["mean"] if value is None else value for value in values)
    places = (100 * (value - scale[0]) / width for value in (low, mean, high))
    return ";".join(
        f"--{name}:{place:.1f}" for name, place in zip("amb", places, strict=True)
    )


def _record(record: Mapping[str, Any]) -> dict[str, str | None]:
    path = record["path"]
    return {
        "name": charts.record_name(record),
        "key": record["key"],
        # A path that begins with a scheme or two strokes would leave the folder.
        "href": quote(path.lstrip("/")) if path else None,
    }


def _missing(entry: Mapping[str, Any]) -> dict[str, str]:
    parts = [f"seed {', '.join(map(str, entry['seeds']))}"] if entry["seeds"] else []
    parts += [", ".join(map(str, entry["folds"]))] if entry["folds"] else []
    name = f"{entry['strategy']} {entry['settings']}".strip()
    return {"name": name, "what": "; ".join(parts), "command": entry["command"]}


def _failed(entry: Mapping[str, Any]) -> dict[str, str]:
    fold = f" {entry['fold']}" if entry["fold"] else ""
    what = f"seed {entry['seed']}{fold} {entry['status']}: {entry['reason']}"
    return {"name": entry["strategy"], "what": what}


def _apart(entry: Mapping[str, Any]) -> dict[str, str]:
    here, there = (json.dumps(entry[side]) for side in ("here", "there"))
    return {"board": entry["board"], "what": f"{entry['key']}: {here}, there {there}"}


def _reported(
    figures: Sequence[Mapping[str, Any]], scores: Sequence[Column]
) -> dict[str, Any]:
    """Figures of publications, with those columns that some of them have."""
    columns = [c for c in scores if any(c.key in f["scores"] for f in figures)]
    rows = [
        {
            **figure,
            "cells": [
                _score(_single(figure["scores"].get(c.key)), c.unit) for c in columns
            ],
            "href": _web(figure["url"]),
        }
        for figure in figures
    ]
    return {"columns": columns, "rows": rows}


def _single(value: float | None) -> dict[str, float | None]:
    return {"mean": value, "low": None, "high": None}


def _web(url: str | None) -> str | None:
    """`url` if it is an address on the web; links to anything else are not made."""
    return url if url and urlsplit(url).scheme in ("http", "https") else None


def number(value: float, unit: str) -> str:
    """A score as people read it: percent with one decimal, or four digits."""
    if unit == "%":
        # Adding 0 takes the sign off a zero.
        return f"{round(value, 1) + 0.0:.1f}".replace("-", "\u2212")
    text = f"{value:.0f}" if float(value).is_integer() else f"{value:.4g}"
    return text.replace("-", "\u2212")


def letter(group: int | None) -> str:
    """A rank group as a letter, or as its number after Z."""
    if group is None:
        return ""
    return chr(ord("A") + group - 1) if group <= 26 else str(group)


def origin_kind(origin: str) -> str:
    """Which of three kinds an origin is: built in, local, or a package."""
    return origin if origin in ("built in", "local") else "package"
