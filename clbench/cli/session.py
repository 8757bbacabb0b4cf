"""The cells of one command, one after another, and what is shown of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console, RenderableType
from rich.markup import escape

from clbench import machine, raised
from clbench.cli import facts, summary, together
from clbench.cli.complaint import complain
from clbench.cli.ending import FAILED, REFUSED, again
from clbench.contract import InputError
from clbench.launched import Lost
from clbench.steady import steady
from clbench.threads import use_threads

if TYPE_CHECKING:
    from clbench.devices.team import Together
    from clbench.options import Options
    from clbench.record import Record
    from clbench.report import Reporter
    from clbench.resolved import Cell
    from clbench.standing import Standing


class Session:
    """The cells of one command.

    Args:
        words: Overrides, as the user wrote them.
        cells: What they resolve to.
        options: How cells are run.
        team: Processes that run each cell together; None where this one is alone.
    """

    def __init__(
        self,
        words: Sequence[str],
        cells: Sequence[Cell],
        options: Options,
        team: Together | None,
    ) -> None:
        self._words, self._team = words, team
        self._cells = cells
        self._options = options
        # JSON has standard output to itself.
        self._console = Console(stderr=options.json, quiet=options.quiet)
        self._done: list[tuple[Cell, Record]] = []
        self._busy: list[Cell] = []
        self._codes: list[int] = []

    def run(self) -> int:
        """Run them all; the exit code."""
        use_threads(self._options.threads)
        for cell in self._cells:
            self._one(cell, wait=len(self._cells) == 1)
        # What other processes run is waited for when there is nothing else to do.
        for cell in self._busy:
            self._one(cell, wait=True)
        if len(self._cells) > 1 and self._done:
            for table in summary.tables(self._done):
                self._print(table)
        self._say(f"next: {escape(self._next())}")
        failed = any(record.status == "failed" for _, record in self._done)
        return max([FAILED if failed else 0, *self._codes])

    def _one(self, cell: Cell, *, wait: bool) -> None:
        """Run `cell`, or leave it for later where another process runs it."""
        if len(self._cells) > 1:
            number = self._cells.index(cell) + 1
            self._say(f"[bold][{number}/{len(self._cells)}][/] ", end="")
        record = self._try(cell, wait=wait)
        if record is None:
            return
        self._done.append((cell, record))
        if record.status == "interrupted":
            raise KeyboardInterrupt

    def _try(self, cell: Cell, *, wait: bool) -> Record | None:
        """The record of `cell`; None where it leaves none, so that the next begins.

        Raises:
            InputError: It cannot be run and is the only one, or there is no room for
                records, of which others would need more.
        """
        from clbench import record as records  # with what it needs: slow to import

        try:
            return self._cell(cell, wait=wait)
        except records.NotWritten as error:
            with self._reporter(cell) as reporter:
                reporter.finish(error.record)
            raise
        except Lost:
            raise
        except InputError as error:
            if len(self._cells) == 1:
                raise
            complain(str(error))
            self._codes.append(REFUSED)
        except (Exception, SystemExit) as error:
            self._failed(cell, "failed and leaves no record", error)
        return None

    def _failed(self, cell: Cell, how: str, error: BaseException) -> None:
        """Say how `cell` failed where its record does not, and go on."""
        where = raised.look(error, cell)
        if not machine.at_fault(error):
            self._print(where.trace, markup=False, highlight=False)
        what = f"{type(error).__name__}: {machine.line(error)}{where.place(None)}"
        complain(f"{cell.label()} {how}: {what}")
        self._codes.append(FAILED)

    def _cell(self, cell: Cell, *, wait: bool) -> Record | None:
        """The record of `cell`, as it was or as it now comes to be.

        None where another process runs it and it is left for later, and where it is
        there, but its scenario cannot make scores of it.
        """
        from clbench import record as records  # with what it needs: slow to import
        from clbench import standing

        path = records.path_of(self._options.out, cell)
        self._say(f"[bold]{escape(cell.label())}[/]")
        waiting = self._waiting if wait else None
        with standing.claim(cell, self._options, waiting=waiting) as found:
            if found.busy:
                self._say("another process runs it: left for later")
                self._busy.append(cell)
                return None
            if found.record is not None:
                self._had(found, path)
                shown = self._shown(cell, found.record, path, None)
                return found.record if shown else None
            if found.again:
                self._say(f"{found.again}: it is run again")
            with self._reporter(cell) as reporter:
                record = self._run_cell(cell, reporter)
                # One that did not end well leaves an earlier one that did.
                written = record.status == "ok" or not standing.ended_well(path)
                shown = self._shown(cell, record, path if written else None, reporter)
            if written:
                self._say(f"record: {escape(str(path))}")
        return record if shown else None

    def _shown(
        self, cell: Cell, record: Record, path: Path | None, reporter: Reporter | None
    ) -> bool:
        """Show `record`, by `reporter` if it has just been made; False: no way.

        Its path is None where it was not written.
        """
        try:
            if reporter is not None:
                reporter.finish(record)
            if self._options.json:
                facts.show(cell, record, path, ran=reporter is not None)
        except Exception as error:
            self._failed(cell, "has its record, which cannot be shown", error)
            return False
        return True

    def _waiting(self) -> None:
        self._say("another process runs it: waits for its record")

    def _run_cell(self, cell: Cell, reporter: Reporter) -> Record:
        from clbench.cell import run_cell  # imports torch and Avalanche: seconds

        if self._team is not None:
            return together.lead(self._team, cell, self._options, reporter)
        return run_cell(cell, self._options, reporter)

    def _had(self, found: Standing, path: Path) -> None:
        """Say that a record makes a run needless."""
        from clbench import standing  # with what it needs: slow to import

        self._say(f"has a record, --force runs it again: {escape(str(path))}")
        if standing.stopped(path):
            self._say(
                f"running it again was stopped: clbench resume {escape(str(path))} "
                f"goes on with that"
            )
        for name in found.changed:
            self._say(f"[yellow]the source of {name} has changed since[/]")

    def _reporter(self, cell: Cell) -> Reporter:
        from clbench.report import QuietReporter, Reporter

        if self._options.quiet:
            return QuietReporter()
        return Reporter(self._console, cell.name)

    def _next(self) -> str:
        """The command that makes sense now."""
        for cell, record in self._done:
            if record.status == "failed":
                return f"{again(cell, self._options)}  (run again what failed)"
        if len({cell.seed for cell in self._cells}) == 1 and any(
            record.status == "ok" for _, record in self._done
        ):
            words = [word for word in self._words if not word.startswith("seed=")]
            return " ".join(["clbench run", *summary.quoted(words), "seed=0,1,2"])
        runs = self._options.out
        return "clbench board" + ("" if runs == Path("runs") else f" runs={runs}")

    def _say(self, text: str, end: str = "\n") -> None:
        self._print(text, end=end, highlight=False, soft_wrap=True)

    @steady
    def _print(self, shown: RenderableType, **form: Any) -> None:
        self._console.print(shown, **form)
