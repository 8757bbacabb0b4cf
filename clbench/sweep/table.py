"""What a user sees of a sweep while it runs: a live table, or lines."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from clbench import registry
from clbench.quantities import clock
from clbench.report import number, scores_of
from clbench.sweep.left import seconds_left

if TYPE_CHECKING:
    from clbench.sweep.driver import Task

COLOURS = {"ok": "green", "unsupported": "yellow"}
"""Of an outcome; any other is red."""


class View:
    """Shows a sweep: what ends is a line, what runs is a table that changes in place.

    Where there is no terminal the table is left out.

    Args:
        console: Where it goes.
        workers: Cells that run at a time.
    """

    def __init__(self, console: Console, workers: int) -> None:
        self._console, self._workers = console, workers
        self._tasks: Sequence[Task] = ()
        self._begun = time.monotonic()
        self._live: Live | None = None
        if console.is_terminal and not console.quiet:
            # What changes is drawn by `tick`: a thread of rich's would read tasks that
            # change meanwhile.
            self._live = Live(console=console, auto_refresh=False, transient=True)

    def watch(self, tasks: Sequence[Task]) -> None:
        """Have these to show."""
        self._tasks = tasks

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    # --- told by the sweep ---

    def said(self, task: Task, text: str) -> None:
        """A cell has a line for the user."""
        self._say(f"{self._place(task)} {escape(f'{task.cell.label()}: {text}')}")

    def begun(self, task: Task) -> None:
        """An attempt at it has begun; where there is a table, that shows it."""
        if self._live is None:
            self._say(f"{self._place(task)} {escape(task.cell.label())}: runs")

    def done(self, task: Task) -> None:
        """It is done."""
        parts = [f"{escape(task.cell.label())}: {_outcome(task)}"]
        if task.ran and task.seconds:
            parts.append(f"[dim]{clock(task.seconds)}[/]")
        left = self._left()
        if self._live is None and left is not None and task.ran:
            parts.append(f"[dim]left {clock(left)}[/]")
        self._say(f"{self._place(task)} {' · '.join(parts)}")

    def stopping(self) -> None:
        """The user asked to stop."""
        self._say("stops: cells write a checkpoint first; Ctrl-C again: at once")

    def tick(self) -> None:
        """Time has passed."""
        if self._live is not None:
            self._live.update(self._table(), refresh=True)

    # --- how it looks ---

    def _say(self, text: str) -> None:
        self._console.print(text, highlight=False, soft_wrap=True)

    def _place(self, task: Task) -> str:
        return f"[bold]\\[{task.number}/{len(self._tasks)}][/]"

    def _left(self) -> float | None:
        return seconds_left(self._tasks, self._workers)

    def _table(self) -> RenderableType:
        table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
        table.add_column(overflow="ellipsis", no_wrap=True, ratio=1)
        table.add_column(width=20)
        table.add_column(justify="right", no_wrap=True)
        table.add_column(justify="right", no_wrap=True)
        for task in self._tasks:
            if task.state == "running":
                table.add_row(
                    task.cell.label(),
                    ProgressBar(total=1.0, completed=task.part, width=20),
                    f"{task.steps_done}/{task.steps}" if task.steps else "begins",
                    clock(time.monotonic() - task.begun),
                )
        return Group(Text(self._line(), style="bold"), table)

    def _line(self) -> str:
        """How many there are of what, and the time."""
        counts = Counter(_kind(task) for task in self._tasks)
        names = ("running", "waiting", "elsewhere", "done", "failed", "skipped")
        parts = [f"{name} {counts[name]}" for name in names if counts[name]]
        parts.append(f"took {clock(time.monotonic() - self._begun)}")
        left = self._left()
        parts += [] if left is None else [f"left {clock(left)}"]
        return " · ".join(parts)


def _kind(task: Task) -> str:
    """In which of the counts it is."""
    if task.state != "done":
        return task.state
    if task.bad:
        return "failed"
    return "done" if task.ran else "skipped"


def _outcome(task: Task) -> str:
    """How it ended, with its score or the reason."""
    word = task.outcome
    text = f"[{COLOURS.get(word, 'red')}]{word}[/]"
    if not task.ran and task.record is not None:
        text = f"has a record, {text}"
    if task.changed:
        names = " and ".join(task.changed)
        text += f", [yellow]the source of {names} has changed since[/]"
    if word != "ok":
        return f"{text}, {escape(task.reason)}" if task.reason else text
    assert task.record is not None
    scenario = registry.load("scenario", task.record.scenario.name)
    try:
        score = scores_of(task.record).get(scenario.main.name)
    except Exception:
        # Of a scenario; said with its place when the sweep is over.
        return f"{text}, [red]cannot be scored[/]"
    if score is None:
        return text
    unit = " %" if scenario.main.percent else ""
    return f"{text}, {scenario.main.title} {number(score, scenario.main)}{unit}"
