"""`clbench run` and `clbench resume`: what is to be run, and how it ended."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

from clbench import config, launched
from clbench.assets import guard
from clbench.cli import together
from clbench.cli.complaint import complain
from clbench.cli.ending import FAILED, INTERRUPTED, REFUSED, stopped_line
from clbench.cli.session import Session
from clbench.contract import InputError
from clbench.launched import Lost


def configure(words: Sequence[str]) -> int:
    """Print the configuration of every cell, as `+experiment=FILE` reads it."""
    cells, _ = config.resolve(words)
    sys.stdout.write("---\n".join(cell.to_yaml() for cell in cells))
    return 0


def run(words: Sequence[str], *, force: bool, quiet: bool, json: bool) -> int:
    """Run every cell that has no record yet.

    Args:
        words: Overrides, as the user wrote them.
        force: Whether cells are run again that have a record.
        quiet: Whether nothing is shown.
        json: Whether standard output has one JSON object for each cell.

    Returns:
        The exit code: 0 done, 1 a cell failed, 130 interrupted.

    Raises:
        InputError: The overrides cannot be run.
    """
    guard.before(words)
    if launched.follows():
        return together.follow()
    try:
        cells, options = config.resolve(words)
        guard.cells(cells, options)
        options = dataclasses.replace(
            options, force=force, afresh=force, quiet=quiet, json=json
        )
        with together.leading(options) as team:
            return Session(words, cells, options, team).run()
    except Lost as error:
        complain(str(error))
        return FAILED
    except KeyboardInterrupt:
        sys.stderr.write(stopped_line(force, options.out))
        return INTERRUPTED


def resume(place: Path, *, quiet: bool, json: bool) -> int:
    """Go on with every cell that was stopped at `place`.

    Args:
        place: A checkpoint, a record, or a folder of them.
        quiet: Whether nothing is shown.
        json: Whether standard output has one JSON object for each cell.

    Returns:
        The exit code, as of `run`.

    Raises:
        InputError: There is nothing to go on with.
    """
    from clbench.cli.resuming import stopped  # reads checkpoints: imports torch

    if launched.follows():
        return together.follow()
    codes = [0]
    entries = stopped(place)
    try:
        with together.leading(entries[0].options) as team:
            for entry in entries:
                options = dataclasses.replace(entry.options, quiet=quiet, json=json)
                session = Session(entry.words, [entry.cell], options, team)
                try:
                    guard.cells([entry.cell], options)
                    codes.append(session.run())
                except InputError as error:
                    if len(entries) == 1:
                        raise
                    complain(str(error))
                    codes.append(REFUSED)
    except Lost as error:
        complain(str(error))
        return FAILED
    except KeyboardInterrupt:
        sys.stderr.write(f"interrupted: clbench resume {place} goes on\n")
        return INTERRUPTED
    return max(codes)
