"""One cell, from its configuration to its record."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from clbench import determinism, record, tracking, writing
from clbench.assets import door, lock
from clbench.assets.door import Door
from clbench.attempt import Attempt
from clbench.building import build_scenario
from clbench.checkpoint.state import NotResumable
from clbench.devices import ALONE, Team
from clbench.masking import expanded
from clbench.record import Record
from clbench.seeding import global_seed

if TYPE_CHECKING:
    from clbench.options import Options
    from clbench.report import Reporter
    from clbench.resolved import Cell


def run_cell(
    cell: Cell,
    options: Options,
    reporter: Reporter,
    rows: int | None = None,
    team: Team = ALONE,
) -> Record:
    """Run `cell` and write its record, whatever happens.

    Where an earlier process has left a checkpoint of it, it goes on from there.

    A cell that fails leaves a record that says so, with every row computed until then;
    so does one that is interrupted, and KeyboardInterrupt goes on to the caller.

    Args:
        cell: What is run.
        options: How.
        reporter: Shows it.
        rows: Rows of the matrix after which it stops, as if interrupted; None for all.
        team: The processes that compute it together, of which the first writes.

    Raises:
        InputError: The configuration cannot be run; nothing is written.
        Lost: Another process has ended.
    """
    tracking.check(options.track)
    with terms(options):
        made = _run(cell, options, reporter, rows, team)
    tracking.send(options.track, made, options.out, reporter)
    return made


@contextmanager
def terms(options: Options) -> Iterator[None]:
    """Within, plugins read and compute on the terms that `options` set."""
    known = Door(
        trust_remote_code=options.trust_remote_code,
        offline=options.offline,
        lock=None if options.lock is None else lock.read(options.lock),
    )
    with door.opened(known), determinism.deterministic(options.deterministic):
        yield


def _run(
    cell: Cell, options: Options, reporter: Reporter, rows: int | None, team: Team
) -> Record:
    """From a checkpoint where there is one that can be gone on from, else anew."""
    scenario = build_scenario(cell)
    door.current().survey(scenario.needs(expanded(cell.scenario.params)))
    if team.leads:
        writing.check(record.path_of(options.out, cell))
    with global_seed(cell.seed):
        attempt = Attempt(cell, options, reporter, scenario, rows, team)
        try:
            return attempt.run()
        except NotResumable as error:
            reporter.note(f"the checkpoint cannot be gone on from: {error}")
    reporter.note("the cell starts over")
    scenario, options = build_scenario(cell), dataclasses.replace(options, afresh=True)
    with global_seed(cell.seed):
        return Attempt(cell, options, reporter, scenario, rows, team).run()
