"""A sweep: which cells wait, run, are done; what is tried again; when to stop."""

from __future__ import annotations

import dataclasses
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from clbench import locking, standing
from clbench import record as records
from clbench.checkpoint.pace import Interrupt
from clbench.contract import InputError
from clbench.sweep.executor import Ended, Event, Executor, Note, Steps
from clbench.sweep.job import AGAIN, Ending, Job

if TYPE_CHECKING:
    from clbench.options import Options
    from clbench.record import Record
    from clbench.resolved import Cell

TICK = 0.5
"""Seconds that a sweep waits for news before it looks around."""

LOOK = 2.0
"""Seconds between looks at a cell that another process runs."""

State = Literal["waiting", "running", "elsewhere", "done"]


@dataclasses.dataclass
class Task:
    """One cell of a sweep.

    Attributes:
        number: From 1, in the order of the command line.
        cell: What is run.
        path: Of its record.
        state: Whether it waits, runs, is run by another process, or is done.
        attempts: How often it was begun here.
        begun: When that was last, by `time.monotonic`.
        steps: Of the whole cell; 0 while nobody knows.
        steps_done: Of these.
        ran: Whether it was run here, to its end.
        seconds: Its last attempt took.
        record: What it left; None where it left none, or is not done.
        ending: Of its last attempt; None where there was none.
        changed: Plugins whose source is another than when its record was made.
    """

    number: int
    cell: Cell
    path: Path
    state: State = "waiting"
    attempts: int = 0
    begun: float = 0.0
    steps: int = 0
    steps_done: int = 0
    ran: bool = False
    seconds: float = 0.0
    record: Record | None = None
    ending: Ending | None = None
    changed: tuple[str, ...] = ()

    @property
    def part(self) -> float:
        """How much of it is done, from 0 to 1."""
        if self.state == "done":
            return 1.0
        return self.steps_done / self.steps if self.steps else 0.0

    @property
    def outcome(self) -> str:
        """How it ended, in one word: what its record says, or why there is none."""
        if self.record is not None:
            return self.record.status
        return self.ending.how if self.ending is not None else self.state

    @property
    def reason(self) -> str:
        """Why it did not end well, in a line."""
        if self.record is not None:
            return self.record.reason or ""
        return self.ending.reason if self.ending is not None else ""

    @property
    def bad(self) -> bool:
        """Whether it is done, and did not end as it should have."""
        wrong = ("failed", "refused", "lost", "killed")
        return self.state == "done" and self.outcome in wrong


class Watch(Protocol):
    """Shows a sweep."""

    def said(self, task: Task, text: str) -> None:
        """A cell has a line for the user."""

    def begun(self, task: Task) -> None:
        """An attempt at it has begun."""

    def done(self, task: Task) -> None:
        """It is done: run here, or not, well or not."""

    def stopping(self) -> None:
        """The user asked to stop: what runs goes on to its next safe moment."""

    def tick(self) -> None:
        """Time has passed."""


class Sweep:
    """Cells, and who runs them.

    Args:
        cells: What is to be run.
        options: How.
        executor: Runs it.
        retries: How often a cell that failed is tried again.
        watch: Shows it.

    Attributes:
        tasks: The cells, in their order.
        seconds: The sweep took, so far.
    """

    def __init__(
        self,
        cells: Sequence[Cell],
        options: Options,
        executor: Executor,
        retries: int,
        watch: Watch,
    ) -> None:
        self.tasks = [
            Task(number, cell, records.path_of(options.out, cell))
            for number, cell in enumerate(cells, start=1)
        ]
        self.seconds = 0.0
        self._options, self._executor = options, executor
        self._retries, self._watch = retries, watch
        self._waiting: deque[Task] = deque()
        self._looked = 0.0
        self._stopping = False

    def run(self) -> None:
        """Run what has no record yet, until all is done.

        Raises:
            KeyboardInterrupt: The user stopped it; what ran has a checkpoint.
            InputError: There is nowhere to run cells.
        """
        begun = time.monotonic()
        try:
            self._settle()
            with Interrupt(armed=True, line="") as interrupt:
                self._run(interrupt)
        finally:
            self._executor.close()
            self.seconds = time.monotonic() - begun

    def _settle(self) -> None:
        """Set aside what has a record that makes a run needless."""
        for task in self.tasks:
            try:
                found = standing.find(task.cell, self._options, AGAIN)
            except InputError as error:
                self._lost(task, Ending("refused", str(error)))
                continue
            if found.record is not None:
                task.changed = found.changed
                self._recorded(task, found.record, ran=False)
            else:
                self._waiting.append(task)

    def _run(self, interrupt: Interrupt) -> None:
        while self._count("running") or (not self._stopping and self._open()):
            if interrupt.asked and not self._stopping:
                self._stopping = True
                self._executor.stop()
                self._watch.stopping()
            if not self._stopping:
                self._look_elsewhere()
                self._fill()
            for event in self._executor.events(TICK):
                self._take(event)
            self._watch.tick()
        if self._stopping:
            raise KeyboardInterrupt

    def _open(self) -> bool:
        return any(task.state != "done" for task in self.tasks)

    def _count(self, state: State) -> int:
        return sum(task.state == state for task in self.tasks)

    def _fill(self) -> None:
        """Give every worker a cell."""
        while self._waiting and self._count("running") < self._executor.workers:
            task = self._waiting.popleft()
            task.state, task.begun = "running", time.monotonic()
            task.attempts += 1
            self._executor.start(task.number, Job(task.cell, self._options_of(task)))
            self._watch.begun(task)

    def _options_of(self, task: Task) -> Options:
        """How it is run: what this sweep has begun goes on, whatever it began from."""
        begun = task.ending is not None and task.ending.how != "busy"
        if begun and standing.stopped(task.path):
            return dataclasses.replace(self._options, afresh=False)
        return self._options

    def _take(self, event: Event) -> None:
        task = self.tasks[event.number - 1]
        if isinstance(event, Note):
            self._watch.said(task, event.text)
        elif isinstance(event, Steps):
            task.steps, task.steps_done = event.total, event.done
        elif isinstance(event, Ended):
            self._ended(task, event.ending)

    def _ended(self, task: Task, ending: Ending) -> None:
        task.ending, task.seconds = ending, ending.seconds
        if ending.trace:
            self._watch.said(task, ending.trace.rstrip())
        if ending.how == "busy":
            self._watch.said(task, "another process runs it: its record is waited for")
            task.state = "elsewhere"
            task.attempts -= 1
        elif self._stopping and ending.how != "recorded":
            task.state = "waiting"
        elif ending.how == "interrupted":
            # Not by the user, such as by a cluster whose time for it was over.
            self._watch.said(task, "was stopped, and goes on")
            task.attempts -= 1
            self._wait(task)
        elif ending.how in ("recorded", "had"):
            self._read(task, ran=ending.how == "recorded")
        elif ending.how == "refused" or not self._again(task, ending.reason):
            self._lost(task, ending)

    def _read(self, task: Task, *, ran: bool) -> None:
        """It has a record, which says how it went."""
        try:
            record = records.read(task.path)
        except InputError as error:
            self._lost(task, Ending("lost", str(error)))
            return
        failed = record.status == "failed"
        if not (failed and ran and self._again(task, record.reason or "")):
            self._recorded(task, record, ran=ran)

    def _again(self, task: Task, reason: str) -> bool:
        """Have a cell that failed tried once more, unless that was done."""
        if task.attempts > self._retries or self._stopping:
            return False
        self._watch.said(task, f"{reason}: it is tried again")
        self._wait(task)
        return True

    def _wait(self, task: Task) -> None:
        """Have it begin again when it is its turn."""
        task.state = "waiting"
        task.steps = task.steps_done = 0
        self._waiting.append(task)

    def _recorded(self, task: Task, record: Record, *, ran: bool) -> None:
        task.state, task.record, task.ran = "done", record, ran
        self._watch.done(task)

    def _lost(self, task: Task, ending: Ending) -> None:
        task.state, task.ending = "done", ending
        task.ran = task.attempts > 0
        self._watch.done(task)

    def _look_elsewhere(self) -> None:
        """Take over what another process was running and does not run any more."""
        if time.monotonic() - self._looked < LOOK:
            return
        self._looked = time.monotonic()
        for task in self.tasks:
            if task.state == "elsewhere" and not locking.taken(task.path):
                found = standing.find(task.cell, self._options, AGAIN)
                if found.record is not None:
                    self._recorded(task, found.record, ran=False)
                else:
                    self._wait(task)
