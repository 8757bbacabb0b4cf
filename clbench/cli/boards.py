"""`clbench board`: boards from records, written and shown."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from clbench import registry
from clbench.contract import InputError, nearest
from clbench.processes import apart
from clbench.sweep.processors import cores

FOLDERS = {"runs": Path("runs"), "out": Path("leaderboards")}
"""Keys of the command, with their defaults: where records lie, where boards go."""

MOST = 2
"""Processes that compute boards: each takes memory for the records it reads."""

WRONG = 1
"""Exit code of a check that found something."""


def write(
    words: Sequence[str], quiet: bool, page: bool = True, into: Path | None = None
) -> None:
    """Write the boards of the scenarios in `words`, or of all, and print them.

    Args:
        words: Scenarios, and folders as `key=DIR`.
        quiet: Whether paths alone are printed.
        page: Whether the page of all boards in the folder is written too.
        into: A document that has their heads between marks.

    Raises:
        InputError: A scenario is unknown, or has no records; `into` has no marks.
    """
    scenarios, folders = read(words, "board")
    writer = _with_page if page else _boards
    paths = writer(folders["runs"], folders["out"], scenarios or None)
    for path in paths:
        if not quiet and path.suffix == ".md":
            sys.stdout.write(path.read_text(encoding="utf-8") + "\n")
        what = "page" if path.suffix == ".html" else "board"
        sys.stdout.write(f"{what}: {path}\n")
    if into is not None:
        from clbench.board import written
        from clbench.board.heads import heads
        from clbench.cli.marked import write_into

        found = written.read(folders["out"])
        place = os.path.relpath(folders["out"], into.parent)
        write_into(into, "boards", heads(found, Path(place).as_posix()))


def check(words: Sequence[str], page: bool = True) -> int:
    """Say what is wrong with the boards, a line each.

    Records in `runs` count only where the key is given: the published boards are those
    of the published records.

    Args:
        words: Scenarios, and folders as `key=DIR`.
        page: Whether the page of all boards in the folder is looked at too.

    Returns:
        The exit code: 0 nothing is wrong, 1 something is.

    Raises:
        InputError: A scenario is unknown, or has no records.
    """
    scenarios, folders = read(words, "board")
    from clbench.board.check import check  # with what it computes: slow to import

    given = any(word.startswith("runs=") for word in words)
    runs = folders["runs"] if given else None
    writer = _with_page if page else _boards
    wrong = check(folders["out"], runs, scenarios or None, writer)
    for line in wrong or ["every board is what its records give"]:
        sys.stdout.write(f"{line}\n")
    return WRONG if wrong else 0


def _boards(runs: Path, out: Path, scenarios: Sequence[str] | None) -> list[Path]:
    """Written apart: the room of torch and of records is free again for the page.

    Where torch is imported already there is little to gain.
    """
    if "torch" in sys.modules:
        return _computed(runs, out, scenarios)
    return apart(_computed, runs, out, scenarios, min(cores(), MOST))


def _computed(
    runs: Path, out: Path, scenarios: Sequence[str] | None, workers: int = 1
) -> list[Path]:
    from clbench.board import write_boards  # with what it computes: slow to import

    with _uncollected():
        return write_boards(runs, out, scenarios, workers)


def _with_page(runs: Path, out: Path, scenarios: Sequence[str] | None) -> list[Path]:
    paths = _boards(runs, out, scenarios)
    from clbench.board import written
    from clbench.page import write_page

    with _uncollected():
        write_page(written.read(out), out / "index.html")
    return [*paths, out / "index.html"]


@contextmanager
def _uncollected() -> Iterator[None]:
    """Nobody looks for cycles: records are many small objects, and in none of them.

    Looking is a fourth of the time that ten thousand records take.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def missing(words: Sequence[str]) -> None:
    """Print the command of every cell that the boards lack, one a line.

    Raises:
        InputError: A scenario or a key is unknown, or the plan cannot be read.
    """
    scenarios, folders = read(words, "board")
    from clbench import board  # with what it computes: slow to import

    for entry in board.missing(folders["runs"], folders["out"], scenarios or None):
        sys.stdout.write(f"{entry.command}\n")


def read(words: Sequence[str], command: str) -> tuple[list[str], dict[str, Path]]:
    """Scenarios and folders that a command line names.

    Raises:
        InputError: A scenario or a key is unknown.
    """
    scenarios, folders = [], dict(FOLDERS)
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            scenarios.append(registry.get("scenario", word).name)
        elif key in FOLDERS:
            folders[key] = Path(value)
        else:
            near = nearest(key, FOLDERS)
            raise InputError(f"unknown key '{key}'{near} (clbench {command} --help)")
    return scenarios, folders
