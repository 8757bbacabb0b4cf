"""Leaderboards: computed from records and from nothing else.

`gather` finds records, `table` groups those that may be compared, `line` computes their
scores, `plan` knows which are missing. `build` makes the document of all that, which
`written`, `flat` and `markdown` write down.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from clbench import atomic, registry
from clbench.board import flat, markdown, plan, reported, written
from clbench.board.build import document as build
from clbench.board.document import Document, Missing
from clbench.board.gather import Found, Left, Records, gather
from clbench.board.table import Board, boards
from clbench.contract import InputError

__all__ = [
    "Board",
    "Document",
    "Found",
    "Left",
    "Records",
    "boards",
    "documents",
    "gather",
    "missing",
    "records",
    "write_boards",
]


def write_boards(
    runs: Path, out: Path, scenarios: Sequence[str] | None = None
) -> list[Path]:
    """Write `out/<scenario>` as `.csv`, `.json` and `.md`, for each that has records.

    Beside them goes `out/reported.md`, if `out/reported` has figures from papers. See
    `documents`.
    """
    paths = []
    for entry in documents(runs, out, scenarios):
        forms = {
            ".csv": flat.render(entry),
            ".json": written.dump(entry),
            ".md": markdown.render(entry).encode(),
        }
        for suffix, content in forms.items():
            paths.append(out / f"{entry.scenario}{suffix}")
            atomic.write(paths[-1], content)
    figures = reported.page(out / reported.NAME)
    if figures is not None:
        paths.append(out / f"{reported.NAME}.md")
        atomic.write(paths[-1], figures.encode())
    return paths


def documents(
    runs: Path, out: Path, scenarios: Sequence[str] | None = None
) -> Iterator[Document]:
    """The document of each scenario that has records, in the order of their names.

    Args:
        runs: Folder of the records of this place; there may be none.
        out: Folder of the boards. Records published there, in
            `out/<scenario>/records`, are on the boards too; `out/plan.yaml` says which
            cells they are to hold.
        scenarios: Those whose boards are made; None is all.

    Raises:
        InputError: There is no file of a record, or none of a scenario in `scenarios`,
            or a file of reported figures is not right.
    """
    found = records(runs, out)
    names = sorted(scenarios or found.scenarios)
    lacking = [name for name in names if name not in found.scenarios]
    if lacking or not names:
        raise InputError(_nothing(runs, found, *lacking[:1]))
    planned = plan.read(out, names)
    # One after another: what is done makes room.
    for name in names:
        yield _document(name, found, planned, out)


def missing(
    runs: Path, out: Path, scenarios: Sequence[str] | None = None
) -> list[Missing]:
    """Every cell that a board lacks, or that is planned and has no board yet."""
    found = records(runs, out)
    planned = plan.read(out, scenarios)
    names = {*found.scenarios, *(entry.scenario for entry in planned)}
    lacking = []
    for name in sorted(scenarios or names):
        those, _ = found.of(name)
        made, _ = boards(name, those)
        gaps, others = _gaps(name, made, those, planned)
        lacking += [entry for gap in gaps for entry in gap] + others
    return lacking


def records(runs: Path, out: Path) -> Records:
    """The records below `runs`, and those published in `out`."""
    return Records([runs, *sorted(out.glob("*/records"))])


def _document(
    name: str, found: Records, planned: Sequence[plan.Planned], out: Path
) -> Document:
    those, unread = found.of(name)
    made, left = boards(name, those)
    gaps, _ = _gaps(name, made, those, planned)
    return build(name, _summary(name), made, gaps, [*left, *unread], out)


def _nothing(runs: Path, found: Records, name: str = "") -> str:
    """What to say where there is no record of a scenario, or none at all."""
    _, unread = found.of(name)
    hint = f" ({unread[0].path}: {unread[0].reason})" if unread else ""
    what = f" of {name}" if name else ""
    return f"runs={runs} holds no record{what}{hint}; make one with `clbench run`"


def _gaps(
    name: str,
    made: Sequence[Board],
    found: Sequence[Found],
    planned: Sequence[plan.Planned],
) -> tuple[list[list[Missing]], list[Missing]]:
    """What each board lacks, and what is planned and fits none."""
    wanted = [entry for entry in planned if entry.scenario == name]
    if not made and not wanted:
        return [], []
    scenario = registry.load("scenario", name)
    present = {
        plan.identity(entry.record, scenario)
        for entry in (found if wanted else ())
        if entry.record.status in ("ok", "unsupported")
        and entry.record.scenario.version == scenario.version
    }
    return plan.missing(scenario, made, wanted, present)


def _summary(name: str) -> str:
    try:
        return registry.get("scenario", name).summary
    except InputError:
        return ""
