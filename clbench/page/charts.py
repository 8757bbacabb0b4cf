"""What the page's charts draw: data of each board, and Vega-Lite specifications.

A specification is a template: the page puts values in the place of strings that begin
with `$`, and colours come from its style. Nothing in it is a function of the data, so
that each is embedded once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

COSTS = ("trained", "seconds", "peak")
"""What the main score is drawn against: parameters, seconds, MiB. Less is better."""

Point = tuple[float, float]


def data(board: Mapping[str, Any]) -> dict[str, Any]:
    """What the charts of a board draw, compactly.

    Values of a matrix are in the order of its rows, with the digits that are shown;
    equal axes and equal lists of tasks are kept once.
    """
    main = next(c for c in board["columns"] if c["key"] == board["main"])
    axes: dict[tuple[tuple[int, int], ...], int] = {}
    tasks: dict[tuple[str, ...], int] = {}
    rows = []
    for row in board["rows"]:
        score = row["scores"].get(board["main"])
        records = []
        for record in row["records"]:
            matrix = record["matrix"]
            axis = tuple((r["experience"], r["step"]) for r in matrix["rows"])
            values = [
                _shown(v, matrix["unit"]) for r in matrix["rows"] for v in r["values"]
            ]
            records.append(
                [
                    record_name(record),
                    axes.setdefault(axis, len(axes)),
                    tasks.setdefault(tuple(matrix["tasks"]), len(tasks)),
                    values,
                ]
            )
        rows.append(
            {
                "id": row["id"],
                "label": row["label"],
                "bound": row["bound"],
                "ranked": row["rank"] is not None,
                "score": score and [score["mean"], score["low"], score["high"]],
                "cost": _costs(row["cost"]),
                "records": records,
            }
        )
    matrix = next((r["matrix"] for row in board["rows"] for r in row["records"]), None)
    return {
        "main": {
            "label": main["label"],
            "unit": main["unit"] or "",
            "higher": main["higher_is_better"] is not False,
        },
        "matrix": matrix and {"metric": matrix["metric"], "unit": matrix["unit"] or ""},
        "axes": list(axes),
        "tasks": list(tasks),
        "rows": rows,
        "fronts": {cost: _front_of(rows, cost, main) for cost in COSTS},
    }


def record_name(record: Mapping[str, Any]) -> str:
    """What tells a record from the others of its row."""
    fold = f" · {record['fold']}" if record["fold"] else ""
    return f"seed {record['seed']}{fold}"


def front(points: Sequence[Point], higher: bool = True) -> list[int]:
    """Positions of the points that no other beats, from the cheapest on.

    Args:
        points: (cost, score) each; less cost is better.
        higher: Whether more of the score is better.
    """
    sign = 1.0 if higher else -1.0
    order = sorted(
        range(len(points)), key=lambda i: (points[i][0], -sign * points[i][1], i)
    )
    kept: list[int] = []
    for i in order:
        if not kept or sign * points[i][1] > sign * points[kept[-1]][1]:
            kept.append(i)
    # Of points with equal cost only the best can be left.
    assert all(points[a][0] < points[b][0] for a, b in pairwise(kept))
    return kept


def _front_of(
    rows: Sequence[Mapping[str, Any]], cost: str, main: Mapping[str, Any]
) -> list[int]:
    known = [
        n
        for n, row in enumerate(rows)
        if row["ranked"] and row["score"] and row["cost"][cost] is not None
    ]
    points = [(rows[n]["cost"][cost], rows[n]["score"][0]) for n in known]
    return [known[i] for i in front(points, main["higher_is_better"] is not False)]


def _costs(cost: Mapping[str, Any]) -> dict[str, float | None]:
    peak = cost["peak_bytes"]
    return {
        "trained": trained(cost),
        "seconds": cost["seconds"],
        "peak": None if peak is None else round(peak / 2**20, 1),
    }


def trained(cost: Mapping[str, Any]) -> int | None:
    """Parameters that were trained, of whatever kind; None where nothing says."""
    parts = [cost[name] for name in ("adapter", "other", "head")]
    return None if None in parts else sum(parts)


def _shown(value: float | None, unit: str) -> float | None:
    if value is None:
        return None
    return float(f"{value:.1f}" if unit == "%" else f"{value:.4g}")


# --- specifications ------------------------------------------------------------------

_SIZE = {
    "width": "container",
    "background": "transparent",
    "autosize": {"type": "fit-x", "contains": "padding"},
}
_TIP = [
    {"field": "label", "title": "strategy"},
    {"field": "shown", "title": "$y"},
    {"field": "cost", "title": "$x"},
]
_COST = {
    "field": "x",
    "type": "quantitative",
    "scale": {"type": "log", "domain": "$domain", "nice": False},
    "axis": {
        "title": "$x",
        "values": "$ticks",
        "labelExpr": "datum.value <= $floor ? '0' : format(datum.value, '~s')",
    },
}
_SCORE = {
    "field": "y",
    "type": "quantitative",
    "scale": {"zero": False, "nice": True, "padding": 8},
    "axis": {"title": "$y", "tickCount": 5},
}

PARETO = {
    **_SIZE,
    "height": 240,
    "description": "$description",
    "data": {"values": "$values"},
    "encoding": {"x": _COST, "y": _SCORE},
    "layer": [
        {
            "mark": {"type": "rule", "opacity": 0.3, "tooltip": None},
            "encoding": {"y": {**_SCORE, "field": "low"}, "y2": {"field": "high"}},
        },
        {
            "transform": [{"filter": "datum.front"}],
            "mark": {"type": "line", "interpolate": "step-after", "strokeWidth": 1.5},
        },
        {
            "mark": {"type": "point", "filled": True, "opacity": 1, "size": 55},
            "encoding": {
                "color": {
                    "condition": {"test": "datum.front", "value": "$accent"},
                    "value": "$muted",
                },
                "shape": {
                    "condition": {"test": "datum.bound", "value": "diamond"},
                    "value": "circle",
                },
                "tooltip": _TIP,
            },
        },
        {
            "transform": [{"filter": "datum.name"}],
            "mark": {
                "type": "text",
                "align": {"expr": "datum.left ? 'left' : 'right'"},
                "dx": {"expr": "datum.left ? 4 : -6"},
                "dy": -8,
            },
            "encoding": {"text": {"field": "name"}},
        },
    ],
}

HEAT = {
    **_SIZE,
    "height": "$height",
    "description": "$description",
    "data": {"values": "$values"},
    "encoding": {
        "x": {
            "field": "task",
            "type": "ordinal",
            "sort": None,
            "axis": {"title": None, "orient": "top", "labelAngle": "$angle"},
        },
        "y": {
            "field": "row",
            "type": "ordinal",
            "sort": None,
            "axis": {"title": None},
        },
    },
    "layer": [
        {
            "mark": {"type": "rect", "stroke": "$surface", "strokeWidth": 2},
            "encoding": {
                "color": {
                    "field": "value",
                    "type": "quantitative",
                    "scale": {"range": "$range", "domain": "$domain"},
                    "legend": None,
                },
                "tooltip": [
                    {"field": "row", "title": "after"},
                    {"field": "task", "title": "task"},
                    {"field": "text", "title": "$metric"},
                ],
            },
        },
        {
            "mark": {"type": "text", "tooltip": None, "fontSize": "$size"},
            "encoding": {
                "text": {"field": "text"},
                "color": {
                    "condition": {"test": "datum.strong", "value": "$onstrong"},
                    "value": "$onweak",
                },
            },
        },
    ],
}

CURVE = {
    **_SIZE,
    "height": 150,
    "title": {"text": "$title", "anchor": "start"},
    "description": "$description",
    "data": {"values": "$values"},
    "encoding": {
        "x": {
            "field": "x",
            "type": "quantitative",
            "axis": {"title": "$x", "tickMinStep": 1, "tickCount": "$count"},
            "scale": {"nice": False, "padding": 6},
        },
        "y": {
            "field": "y",
            "type": "quantitative",
            "axis": {"title": None, "tickCount": 4},
            "scale": {"zero": False, "domain": "$domain"},
        },
        "color": {
            "field": "label",
            "type": "nominal",
            "scale": {"domain": "$labels", "range": "$colours"},
            "legend": None,
        },
    },
    "layer": [
        {"mark": {"type": "line", "strokeWidth": 2}},
        {
            "mark": {"type": "point", "filled": True, "size": 40, "opacity": 1},
            "encoding": {
                "tooltip": [
                    {"field": "label", "title": "strategy"},
                    {"field": "x", "title": "$x"},
                    {"field": "text", "title": "$title"},
                ]
            },
        },
    ],
}

SPECS = {"pareto": PARETO, "heat": HEAT, "curve": CURVE}
