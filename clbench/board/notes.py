"""What is said below a board's rows: the bounds they stand against, and equal rows."""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Iterable, Sequence

from clbench.board.line import Line
from clbench.board.table import Board


def text(board: Board, lines: Sequence[Line]) -> str:
    """Sentences, one a line, names and commands between backticks; empty is none.

    Args:
        board: They are about.
        lines: Those of its lines that are shown.
    """
    return "\n".join([*_bounds(board, lines), *_alike(lines)])


def _bounds(board: Board, lines: Sequence[Line]) -> Iterable[str]:
    """Which bounds lines were compared with, and how to get what is missing."""
    scenario = board.scenario
    if scenario.reference != "all":
        return
    titles = " and ".join(metric.title for metric in scenario.compared)
    ranked = [line for line in lines if not line.bound]
    bounds = {b.label: b for x in ranked if (b := board.against.get(x.way))}
    for label, bound in bounds.items():
        needed = {repeat for line in ranked for repeat in line.repeats}
        lacking = sorted({r[0] for r in needed - set(bound.repeats)})
        note = f", which lacks seed {', '.join(map(str, lacking))}" if lacking else ""
        yield f"{titles} is against `{label}`{note}."
    if ranked and not bounds:
        ((name, values),) = scenario.variants.items()
        kept = [
            word
            for word in shlex.split(ranked[0].command())
            if not word.startswith(("strategy", f"scenario.{name}=", "recipe."))
        ]
        kept.insert(2, "strategy=STRATEGY")
        given = f"scenario.{name}={values[0]}"
        yield (
            f"{titles} needs records of {name}={values[0]}, such as those of "
            f"`{shlex.join([*kept, given])}`: without them nothing is ranked."
        )


def _alike(lines: Sequence[Line]) -> Iterable[str]:
    """Which lines learned alike: a method with nothing to do here is another's twin."""
    groups: list[list[Line]] = []
    # Of many lines only those are compared that have equal scores in some cell.
    near: dict[int, list[list[Line]]] = defaultdict(list)
    for line in lines:
        marks = [hash((place, found.rows)) for place, found in line.cells.items()]
        group = next(
            (
                group
                for mark in marks
                for group in near[mark]
                if all(_equal(line, other) for other in group)
            ),
            None,
        )
        if group is None:
            group = []
            groups.append(group)
        group.append(line)
        for mark in marks:
            near[mark].append(group)
    for group in groups:
        if len(group) > 1:
            names = ", ".join(f"`{line.label}`" for line in group)
            yield f"Equal in every score of every cell that they share: {names}."


def _equal(one: Line, other: Line) -> bool:
    shared = one.cells.keys() & other.cells.keys()
    return bool(shared) and all(
        one.cells[place].rows == other.cells[place].rows for place in shared
    )
