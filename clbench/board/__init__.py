"""Leaderboards: computed from records and from nothing else.

`gather` finds records, `table` groups those that may be compared and computes their
scores, `markdown` writes them down.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from clbench.board import markdown, reported
from clbench.board.gather import Found, Left, gather
from clbench.board.table import Board, boards
from clbench.contract import InputError
from clbench.record import write_bytes

__all__ = ["Board", "Found", "Left", "boards", "gather", "write_boards"]


def write_boards(
    runs: Path, out: Path, scenarios: Sequence[str] | None = None
) -> list[Path]:
    """Write `out/<scenario>.md` for each scenario that has records.

    Beside them goes `out/reported.md`, if `out/reported` has figures from papers.

    Args:
        runs: Folder of the records of this place; there may be none.
        out: Folder of the boards. Records published there, in
            `out/<scenario>/records`, are on the boards too.
        scenarios: Those whose boards are written; None is all.

    Raises:
        InputError: There is no record, or none of a scenario in `scenarios`, or a file
            of reported figures is not right.
    """
    records, left = gather([runs, *sorted(out.glob("*/records"))])
    by_scenario: dict[str, list[Found]] = defaultdict(list)
    for found in records:
        by_scenario[found.record.scenario.name].append(found)
    missing = [name for name in scenarios or () if name not in by_scenario]
    if missing or not by_scenario:
        what = f" of {missing[0]}" if missing else ""
        hint = f" ({left[0].path}: {left[0].reason})" if left else ""
        raise InputError(
            f"runs={runs} holds no record{what}{hint}; make one with `clbench run`"
        )
    paths = []
    for name in sorted(scenarios or by_scenario):
        text = markdown.render(name, *boards(name, by_scenario[name]), unread=left)
        paths.append(out / f"{name}.md")
        write_bytes(paths[-1], text.encode())
    figures = reported.page(out / "reported")
    if figures is not None:
        paths.append(out / "reported.md")
        write_bytes(paths[-1], figures.encode())
    return paths
