"""A search from its command line to its winner: what is shown, and the exit code."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape

from clbench import tuned
from clbench.assets import guard
from clbench.cli import summary
from clbench.cli.ending import INTERRUPTED
from clbench.threads import use_threads
from clbench.tune import document, search, study
from clbench.tune.search import Search

if TYPE_CHECKING:
    from clbench.options import Options
    from clbench.record import Record
    from clbench.report import Reporter
    from clbench.resolved import Cell
    from clbench.tune.progress import Progress
    from clbench.tune.trials import Trial, Trials

NOTHING = 1


def tune(
    words: Sequence[str],
    *,
    trials: int | None,
    over: Sequence[str],
    to: Path | None,
    show: bool,
    force: bool,
    retry: bool,
    quiet: bool,
    json: bool,
) -> int:
    """Search, show what was found, and write the winner down.

    Args:
        words: Overrides, as the user wrote them.
        trials: How many settings to try; None leaves it to the space.
        over: Keys to which the search is confined.
        to: Where the winner goes; None is beside the strategy's source.
        show: Whether it is shown and not written.
        force: Whether trials are run again that have a record.
        retry: Whether trials are run again that failed.
        quiet: Whether nothing is shown.
        json: Whether standard output has one JSON object for each trial.

    Returns:
        The exit code: 0 done, 1 no trial ended well, 130 interrupted.

    Raises:
        InputError: The search has no meaning, or a file cannot be read or written.
    """
    version = study.version()
    try:
        guard.before(words)
        wanted = search.read(words, trials, over)
        guard.cells(wanted.default, wanted.options)
        options = dataclasses.replace(
            wanted.options, force=force, afresh=force, quiet=quiet or json, json=json
        )
        wanted = dataclasses.replace(wanted, options=options)
        # Before hours are spent on what cannot be written.
        place = None if show else document.place(wanted, to)
        return _Session(wanted, version, place, retry).run()
    except KeyboardInterrupt:
        again = "the same command without --force" if force else "the same command"
        sys.stderr.write(f"interrupted: {again} goes on where it stopped\n")
        return INTERRUPTED


class _Session:
    """One command's search.

    Args:
        wanted: What is searched.
        version: Of Optuna.
        place: Where the winner goes; None shows it.
        retry: Whether trials are run again that failed.
    """

    def __init__(
        self, wanted: Search, version: str, place: Path | None, retry: bool
    ) -> None:
        self._search = wanted
        self._place = place
        self._retry = retry
        self._sampler = (
            "all of them tried"
            if wanted.is_grid
            else f"proposed by Optuna {version} (TPE)"
        )
        self._console = Console(quiet=wanted.options.quiet)
        self._made: Trials | None = None
        self._progress: Progress | None = None

    def run(self) -> int:
        """Search; the exit code."""
        from clbench.tune import report, trials
        from clbench.tune.progress import Progress

        wanted = self._search
        self._begin()
        use_threads(wanted.options.threads)
        defaults = trials.defaults(wanted)
        cells = wanted.trials * len(wanted.default)
        label = f"tune {wanted.strategy} on {wanted.scenario}"
        progress = Progress(self._console, label, cells, not wanted.options.quiet)
        self._progress = progress
        made = self._made = trials.Trials(
            wanted, _run, progress, progress.cell_done, self._done, retry=self._retry
        )
        with progress:
            told = study.propose(wanted, defaults, made)
        parts = study.importances(told)
        for name in sorted(made.changed):
            self._say(
                f"[yellow]the source of {escape(name)} has changed since some of these "
                f"trials: --force runs them again[/]"
            )
        for path in report.write_all(wanted, made, parts, self._sampler):
            self._say(f"search: {escape(str(path))}")
        best = made.best
        if best is None:
            reason = made.all[0].reason
            sys.stderr.write(f"no trial ended well: {reason}\n")
            return NOTHING
        for part in report.tables(wanted, made, parts):
            self._console.print(part, highlight=False)
        settings = {**defaults, **best.settings}
        self._keep(settings, made.distinct, best)
        return 0

    def _begin(self) -> None:
        wanted = self._search
        self._say(f"[bold]rule[/]    {escape(wanted.rule)}")
        for axis in wanted.axes:
            self._say(f"[bold]search[/]  {escape(axis.text)}")
        each = len(wanted.default)
        folds = f", {each} cells each" if each > 1 else ""
        self._say(f"[bold]trials[/]  {wanted.trials}{folds}, {self._sampler}")

    def _done(self, trial: Trial) -> None:
        """Show a trial."""
        from clbench.tune import report

        metric, progress = self._search.tuning.metric, self._progress
        assert progress is not None
        if self._search.options.json:
            sys.stdout.write(dumps({**report.plain(trial), "ran": trial.ran}) + "\n")
            sys.stdout.flush()
        elif not self._search.options.quiet:
            had = "" if trial.ran else "  (had its records)"
            text = f"{report.value(trial, metric)}  {report.words(trial.settings)}{had}"
            progress.note(f"trial {trial.number}: {text}")
        assert self._made is not None
        if self._made.best is trial:
            progress.best(report.value(trial, metric))

    def _keep(self, settings: dict[str, Any], trials: int, best: Trial) -> None:
        """Write the winner down, or show what would be written."""
        from clbench.tune import report

        wanted = self._search
        facts = (settings, trials, best.records)
        path = self._place or tuned.path_of(Path(), wanted.strategy, wanted.scenario)
        made = document.change(wanted, *facts, path, self._sampler)
        if made.replaced is not None and self._place is not None:
            self._say(f"[bold]replaces, in {escape(str(made.path))}[/]")
            self._say(escape(made.replaced.rstrip()))
        if self._place is None:
            self._say("[bold]would be written[/]")
        else:
            made.write()
            self._say(f"[bold]written to {escape(str(made.path))}[/]")
        self._say(escape(made.document.rstrip()))
        kept = summary.quoted(wanted.asked)
        if self._place is None:
            kept.append(report.words(settings))
        line = " ".join(["clbench run", *kept])
        self._say(f"next: {escape(line)} seed=0,1,2")

    def _say(self, text: str) -> None:
        self._console.print(text, highlight=False, soft_wrap=True)


def _run(cell: Cell, options: Options, reporter: Reporter) -> Record:
    from clbench.cell import run_cell  # imports torch and Avalanche: seconds

    made = run_cell(cell, options, reporter)
    if made.status == "interrupted":
        raise KeyboardInterrupt
    return made
