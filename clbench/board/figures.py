"""Numbers and names of a board as people read them."""

from __future__ import annotations

from clbench.board.document import Column, Score
from clbench.board.written import rounded


def figure(value: float | None, unit: str) -> str:
    """A score as people read it: percent with one decimal, or four digits."""
    if value is None:
        return "-"
    if unit == "%":
        # Adding 0 takes the sign off a zero.
        return f"{round(value, 1) + 0.0:.1f}"
    return f"{value:.0f}" if float(value).is_integer() else f"{value:.4g}"


def spread(score: Score | None, unit: str) -> str:
    """A mean, and half of its interval where there is one; a dash without a score."""
    if score is None:
        return "-"
    if score.high is None:
        return figure(score.mean, unit)
    half = rounded(score.high - score.mean)
    return f"{figure(score.mean, unit)} ± {figure(half, unit)}"


def titled(column: Column) -> str:
    """The head of a column: its unit, and an arrow to where better is."""
    if column.fold is not None:
        return column.label
    arrow = {True: " ↑", False: " ↓", None: ""}[column.higher_is_better]
    return f"{column.label}{' %' if column.unit == '%' else ''}{arrow}"


def code(text: str) -> str:
    """`text` as Markdown sets code."""
    return f"`{text}`"
