"""Are the boards those of their records, and the records those that were written?"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from clbench import beside, registry
from clbench.board.gather import Found, gather
from clbench.contract import InputError

SHOWN = 100
"""Characters of a line that are shown."""

SUFFIXES = (".md", ".csv", ".json", ".html")
"""Kinds of files that a board may be."""

_GENERATOR = re.compile(rb'<meta name="generator" content="([^"]*)">')
"""Where a page names the library of charts that it holds, and its version."""


Writer = Callable[[Path, Path, Sequence[str] | None], Sequence[Path]]
"""Writes boards as `clbench.board.write_boards` does; the paths of what it wrote."""


def check(
    out: Path,
    runs: Path | None = None,
    scenarios: Sequence[str] | None = None,
    writer: Writer | None = None,
) -> list[str]:
    """What is wrong with the boards in `out`: a line each, none if nothing is.

    They are computed anew in a folder that is thrown away, and compared byte for byte.

    Args:
        out: Folder of the boards and of the published records.
        runs: Records that are on the boards besides the published ones; None for none.
        scenarios: Those whose boards are looked at; None is all.
        writer: What wrote them; `write_boards` if None.

    Raises:
        InputError: There is no record.
    """
    from clbench.board import write_boards  # which imports this package

    if not out.is_dir():
        raise InputError(f"out={out}: there is no such folder of boards")
    folders = [*([runs] if runs is not None else []), *sorted(out.glob("*/records"))]
    found, left = gather(folders)
    wrong = [f"{entry.path}: {entry.reason}" for entry in left]
    wrong += _foreign(found)
    with tempfile.TemporaryDirectory(prefix="clbench-check-") as name:
        place = Path(name) / out.name
        nothing = Path(name) / "runs"
        shutil.copytree(out, place, ignore=shutil.ignore_patterns(".*"))
        try:
            written = (writer or write_boards)(runs or nothing, place, scenarios)
        except InputError:
            if wrong:
                return wrong
            raise
        for path in written:
            # Where a board names a record's path, it names the one in `out`.
            computed = path.read_bytes().replace(bytes(place), bytes(out))
            wrong += _compare(out / path.relative_to(place), computed)
        if scenarios is None:
            wrong += _stale(out, {path.stem for path in written})
    return wrong


def _foreign(found: Sequence[Found]) -> Iterator[str]:
    """A line for each record beside which the outcomes of another run lie."""
    for entry in found:
        try:
            beside.check(entry.path, entry.record)
        except InputError as error:
            yield str(error)


def _compare(committed: Path, should: bytes) -> Iterator[str]:
    """One line if the file is not what it should be."""
    if not committed.is_file():
        yield f"{committed}: is missing; `clbench board` writes it"
        return
    is_ = committed.read_bytes()
    if is_ == should or _generator(is_) != _generator(should):
        # A page holds its library, so that another version's differs by megabytes.
        return
    found, wanted = is_.splitlines(), should.splitlines()
    number = next(
        (n for n, (a, b) in enumerate(zip(found, wanted, strict=False)) if a != b),
        min(len(found), len(wanted)),
    )
    yield (
        f"{committed}: line {number + 1} is not what its records give: it is "
        f"{_line(found, number)}, they give {_line(wanted, number)}; boards are not "
        f"edited, `clbench board` writes them"
    )


def _generator(content: bytes) -> bytes | None:
    match = _GENERATOR.search(content[:4096])
    return None if match is None else match[1]


def _line(lines: Sequence[bytes], number: int) -> str:
    if number >= len(lines):
        return "missing"
    text = lines[number].decode(errors="replace").strip()
    return f"'{text}'" if len(text) <= SHOWN else f"'{text[:SHOWN]}...'"


def _stale(out: Path, written: set[str]) -> Iterator[str]:
    """Boards of scenarios that have no record any more."""
    names = set(registry.find("scenario")) - written
    for path in sorted(out.iterdir()):
        if path.is_file() and path.suffix in SUFFIXES and path.stem in names:
            yield f"{path}: no record of {path.stem} is there; remove it"
