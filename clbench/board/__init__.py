"""Leaderboards: computed from records and from nothing else.

`gather` finds records, `table` groups those that may be compared, `line` computes their
scores, `plan` knows which are missing. `build` makes the document of all that, `basis`
that of one scenario after another; `written`, `flat` and `markdown` write it down.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from clbench import atomic
from clbench.board import flat, markdown, plan, reported, written
from clbench.board.basis import Basis, gaps, records
from clbench.board.document import Document, Missing
from clbench.board.gather import Found, Left, Records, gather
from clbench.board.table import Board, boards
from clbench.processes import together

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
    runs: Path, out: Path, scenarios: Sequence[str] | None = None, workers: int = 1
) -> list[Path]:
    """Write `out/<scenario>` as `.csv`, `.json` and `.md`, for each that has records.

    Beside them goes `out/reported.md`, if `out/reported` has figures from papers. See
    `documents`.

    Args:
        runs: Folder of the records of this place; there may be none.
        out: Folder of the boards.
        scenarios: Those whose boards are made; None is all.
        workers: Processes that share the work.
    """
    basis = Basis(runs, out, scenarios)
    shares = basis.shares(workers)
    if len(shares) > 1:
        basis.load()

    def write(names: Sequence[str]) -> dict[str, list[Path]]:
        return {name: _write(basis.document(name), out) for name in names}

    found = {k: v for part in together(write, shares) for k, v in part.items()}
    paths = [path for name in basis.names for path in found[name]]
    figures = reported.page(out / reported.NAME)
    if figures is not None:
        paths.append(out / f"{reported.NAME}.md")
        atomic.write(paths[-1], figures.encode())
    return paths


def _write(document: Document, out: Path) -> list[Path]:
    forms = {
        ".csv": flat.render(document),
        ".json": written.dump(document),
        ".md": markdown.render(document).encode(),
    }
    paths = []
    for suffix, content in forms.items():
        paths.append(out / f"{document.scenario}{suffix}")
        atomic.write(paths[-1], content)
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
    basis = Basis(runs, out, scenarios)
    # One after another: what is done makes room.
    for name in basis.names:
        yield basis.document(name)


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
        of_boards, others = gaps(name, made, those, planned)
        lacking += [entry for gap in of_boards for entry in gap] + others
    return lacking
