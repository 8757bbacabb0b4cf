"""Strategies over several boards: which are ranked on all, their ranks, a drawing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from clbench import drawn
from clbench.board.document import Document, Sheet
from clbench.contract import InputError, nearest
from clbench.statistics.several import EXTRA, MeanRanks, Posthoc, mean_ranks

FORMATS = (".png", ".svg")


@dataclass(frozen=True)
class Across:
    """Ranks over boards.

    Attributes:
        boards: Permanent names of the boards.
        found: The ranks of the strategies that are ranked on all of them.
        left: Labels that are ranked on some of them only.
    """

    boards: list[str]
    found: MeanRanks
    left: list[str]


def across(
    documents: Iterable[Document], ids: Sequence[str] = (), posthoc: Posthoc = "nemenyi"
) -> Across:
    """Rank the strategies that several boards share.

    Args:
        documents: The boards of each scenario.
        ids: Permanent names of the boards; none takes the fullest of each scenario.
        posthoc: The test that compares two strategies.

    Raises:
        InputError: A board is unknown, or too few strategies are on all boards.
    """
    documents = list(documents)
    known = {board.id: board for entry in documents for board in entry.boards}
    for name in ids:
        if name not in known:
            raise InputError(f"--board {name}: no such board{nearest(name, known)}")
    chosen = (
        [known[name] for name in ids]
        if ids
        else [entry.boards[0] for entry in documents if entry.boards]
    )
    values = [_scores(board) for board in chosen]
    every = list(dict.fromkeys(label for entry in values for label in entry))
    names = [x for x in every if all(x in entry for entry in values)]
    scores = np.array([[entry[name] for name in names] for entry in values])
    found = mean_ranks(names, scores.reshape(len(values), len(names)), posthoc)
    left = sorted(set(every) - set(names))
    return Across([board.id for board in chosen], found, left)


def _scores(board: Sheet) -> dict[str, float]:
    """The main score of each ranked row, by label; higher is better."""
    sign = -1.0 if board.columns[0].higher_is_better is False else 1.0
    return {
        row.label: sign * row.scores[board.main].mean
        for row in board.rows
        if row.rank is not None
    }


def draw(found: MeanRanks, path: Path) -> None:
    """Draw the critical-difference diagram; equal ranks give an equal file.

    Args:
        found: What to draw.
        path: Of the picture; its ending says which kind.

    Raises:
        InputError: The ending is unknown, or scikit-posthocs is not installed.
    """
    if path.suffix not in FORMATS:
        raise InputError(f"{path} must end in {' or '.join(FORMATS)}")
    try:
        import scikit_posthocs
    except ImportError as error:
        raise InputError(EXTRA) from error
    import pandas
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    p = pandas.DataFrame(found.p, index=found.names, columns=found.names)
    with rc_context({"svg.hashsalt": "clbench"}):
        figure = Figure(
            figsize=(9, 1.6 + 0.18 * len(found.names)), layout="constrained"
        )
        axes = figure.add_subplot()
        scikit_posthocs.critical_difference_diagram(
            dict(zip(found.names, found.means, strict=True)),
            p,
            cd=found.critical,
            ax=axes,
        )
        drawn.save(figure, path, path.suffix.removeprefix("."))
