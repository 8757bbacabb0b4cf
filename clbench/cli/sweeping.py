"""`clbench sweep`: many cells at once, what is shown of them, and the exit code."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from clbench import config, machine, raised
from clbench.assets import guard
from clbench.cli import facts, summary
from clbench.cli.complaint import complain
from clbench.cli.ending import FAILED, INTERRUPTED, REFUSED, again, stopped_line
from clbench.quantities import clock
from clbench.sweep import options as sweep_options

if TYPE_CHECKING:
    from clbench.options import Options
    from clbench.record import Record
    from clbench.resolved import Cell
    from clbench.sweep.driver import Task
    from clbench.sweep.executor import Executor
    from clbench.sweep.options import Asked


def sweep(
    words: Sequence[str], *, force: bool, quiet: bool, json: bool, plan: bool = False
) -> int:
    """Run every cell that has no record yet, several at a time.

    Args:
        words: Overrides, as the user wrote them: of cells, and of the sweep.
        force: Whether cells are run again that have a record.
        quiet: Whether nothing is shown.
        json: Whether standard output has one JSON object for each cell.
        plan: Whether nothing is run, and what all of it will cost is printed.

    Returns:
        The exit code: 0 done, 1 a cell failed, 2 one was refused, 130 interrupted.

    Raises:
        InputError: The overrides cannot be run.
    """
    try:
        sweep_options.launched()
        asked = sweep_options.read(words)
        guard.before(asked.words)
        cells, options = config.resolve(asked.words, sweep_options.KEYS)
        guard.cells(cells, options)
        options = dataclasses.replace(
            options, force=force, afresh=force, quiet=quiet, json=json
        )
        session = _Session(asked, cells, options)
        return session.plan() if plan else session.run()
    except KeyboardInterrupt:
        sys.stderr.write(stopped_line(force, options.out))
        return INTERRUPTED


class _Session:
    """One command's sweep.

    Args:
        asked: What the user wrote.
        cells: What is run.
        options: How.
    """

    def __init__(self, asked: Asked, cells: Sequence[Cell], options: Options) -> None:
        self._asked, self._cells = asked, cells
        executor = sweep_options.choose(asked, options, len(cells))
        self._executor: Executor = executor
        self._options = dataclasses.replace(options, threads=executor.threads)
        self._codes: list[int] = []
        # JSON has standard output to itself.
        self._console = Console(stderr=options.json, quiet=options.quiet)

    def plan(self) -> int:
        """Say what they will cost; the exit code."""
        from clbench.cli import planning

        try:
            planning.show(self._cells, self._options, self._executor.workers)
        finally:
            self._executor.close()
        return 0

    def run(self) -> int:
        """Run them all; the exit code."""
        from clbench.sweep.driver import Sweep
        from clbench.sweep.table import View

        several = "s" if len(self._cells) > 1 else ""
        self._say(f"{len(self._cells)} cell{several} on {self._executor.place}")
        view = View(self._console, self._executor.workers)
        made = Sweep(
            self._cells,
            # Workers show nothing: what they tell is shown here.
            dataclasses.replace(self._options, quiet=True),
            self._executor,
            self._asked.options.retries,
            view,
        )
        view.watch(made.tasks)
        try:
            with view:
                made.run()
        finally:
            scored = self._scored(made.tasks)
        self._summary(made.tasks, scored)
        self._say(f"took {clock(made.seconds)}: {_counts(made.tasks)}")
        if (line := self._against_estimate(made.tasks)) is not None:
            self._say(line)
        self._say(f"next: {escape(self._next(made.tasks))}")
        return max([0, *map(_code, made.tasks), *self._codes])

    def _scored(self, tasks: Sequence[Task]) -> list[tuple[Cell, Record]]:
        """Those with a record that scores can be made of; as JSON where that is asked.

        In the order of the command line.
        """
        from clbench.report import scores_of

        found = []
        for task in tasks:
            if task.record is None:
                if self._options.json and task.state == "done":
                    facts.show_lost(task.cell, task.outcome, task.reason)
                continue
            try:
                if task.record.status == "ok":
                    scores_of(task.record)
            except Exception as error:
                self._unscored(task, error)
                continue
            found.append((task.cell, task.record))
            if self._options.json:
                facts.show(task.cell, task.record, task.path, ran=task.ran)
        return found

    def _unscored(self, task: Task, error: Exception) -> None:
        where = raised.look(error, task.cell)
        self._console.print(where.trace, markup=False, highlight=False)
        what = f"{type(error).__name__}: {machine.line(error)}{where.place(None)}"
        label = task.cell.label()
        complain(f"{label} has its record, which cannot be scored: {what}")
        self._codes.append(FAILED)

    def _summary(
        self, tasks: Sequence[Task], scored: Sequence[tuple[Cell, Record]]
    ) -> None:
        """The scores, and why cells have none."""
        if scored:
            for table in summary.tables(scored):
                self._console.print(table)
        for task in tasks:
            if task.bad and task.record is None:
                line = f"{task.cell.label()} {task.outcome}: {task.reason}"
                self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _against_estimate(self, tasks: Sequence[Task]) -> str | None:
        """How long cells took, beside how long they should have; None: nobody knew."""
        from clbench.cli import planning
        from clbench.estimate import spent

        done = [
            spent.Done(task.cell, task.record, task.ran)
            for task in tasks
            if task.record is not None and task.record.status == "ok"
        ]
        found = spent.compare(done, self._options)
        return None if found is None else planning.comparison(found)

    def _next(self, tasks: Sequence[Task]) -> str:
        """The command that makes sense now."""
        for task in tasks:
            if task.bad:
                return f"{again(task.cell, self._options)}  (run again what failed)"
        runs = self._options.out
        return "clbench board" + ("" if runs == Path("runs") else f" runs={runs}")

    def _say(self, text: str) -> None:
        self._console.print(text, highlight=False, soft_wrap=True)


def _counts(tasks: Sequence[Task]) -> str:
    """`6 run, 1 had a record, 1 failed`."""
    bad = sum(task.bad for task in tasks)
    had = sum(not task.ran and not task.bad for task in tasks)
    ran = len(tasks) - bad - had
    parts = {"run": ran, "had a record": had, "failed": bad}
    return ", ".join(f"{count} {what}" for what, count in parts.items() if count)


def _code(task: Task) -> int:
    """The exit code that a cell asks for."""
    if not task.bad:
        return 0
    return REFUSED if task.outcome == "refused" else FAILED
