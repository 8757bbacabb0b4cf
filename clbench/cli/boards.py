"""`clbench board`: boards from records, written and shown."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from clbench import registry
from clbench.contract import InputError

FOLDERS = {"runs": Path("runs"), "out": Path("leaderboards")}
"""Keys of the command, with their defaults: where records lie, where boards go."""


WRONG = 1
"""Exit code of a check that found something."""


def write(words: Sequence[str], quiet: bool) -> None:
    """Write the boards of the scenarios in `words`, or of all, and print them.

    Raises:
        InputError: A scenario is unknown, or has no records.
    """
    scenarios, folders = _read(words)
    from clbench.board import write_boards  # with what it computes: slow to import

    folders = FOLDERS | folders
    for path in write_boards(folders["runs"], folders["out"], scenarios):
        if not quiet:
            sys.stdout.write(path.read_text(encoding="utf-8") + "\n")
        sys.stdout.write(f"board: {path}\n")


def check(words: Sequence[str]) -> int:
    """Say what is wrong with the boards, a line each.

    Records in `runs` count only where the key is given: the published boards are those
    of the published records.

    Returns:
        The exit code: 0 nothing is wrong, 1 something is.

    Raises:
        InputError: A scenario is unknown, or has no records.
    """
    scenarios, folders = _read(words)
    from clbench.board.check import check  # with what it computes: slow to import

    wrong = check(folders.get("out", FOLDERS["out"]), folders.get("runs"), scenarios)
    for line in wrong or ["every board is what its records give"]:
        sys.stdout.write(f"{line}\n")
    return WRONG if wrong else 0


def _read(words: Sequence[str]) -> tuple[list[str] | None, dict[str, Path]]:
    """Scenarios, None if no one is named, and the folders that are given.

    Raises:
        InputError: A scenario or a key is unknown.
    """
    scenarios, folders = [], {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            scenarios.append(registry.get("scenario", word).name)
        elif key in FOLDERS:
            folders[key] = Path(value)
        else:
            near = registry.nearest(key, FOLDERS)
            raise InputError(f"unknown key '{key}'{near} (clbench board --help)")
    return scenarios or None, folders
