"""One cell of a sweep, as whoever runs it gets it and as it tells how it went.

Both are text on their way: another process, or another machine, reads them.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic_core import to_jsonable_python

from clbench import machine, places, raised, standing
from clbench.contract import InputError
from clbench.options import Options
from clbench.report import QuietReporter
from clbench.resolved import Cell
from clbench.threads import use_threads

if TYPE_CHECKING:
    from clbench.record import Status

AGAIN: tuple[Status, ...] = ("failed", "interrupted")
"""Of a record with one of these a sweep runs the cell again. What was found to have no
meaning is found again at once, by whoever runs that cell alone."""

How = Literal[
    "recorded", "had", "busy", "refused", "failed", "lost", "killed", "interrupted"
]


@dataclass(frozen=True)
class Ending:
    """How an attempt at a cell ended.

    Attributes:
        how: `recorded`: its record says the rest. `had`: another process had made its
            record meanwhile. `busy`: another process runs it. `refused`: it cannot be
            run. `failed`: it did, and an earlier record that is ok stays. `lost`:
            something raised, and there is no record. `killed`: its process was ended
            from outside. `interrupted`: it was asked to stop.
        reason: Why, in a line, where there is no record.
        trace: What raised it, for the author of a plugin.
        seconds: It took.
    """

    how: How
    reason: str = ""
    trace: str = ""
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as JSON holds them."""
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class Job:
    """One cell, and how it is run.

    Attributes:
        cell: What.
        options: How; `out` and `plugins` are found from any folder.
    """

    cell: Cell
    options: Options

    def to_text(self) -> str:
        """One line of JSON."""
        options = dataclasses.replace(
            self.options,
            out=self.options.out.resolve(),
            plugins=self.options.plugins and self.options.plugins.resolve(),
        )
        plain = {"cell": self.cell.to_dict(), "options": to_jsonable_python(options)}
        return json.dumps(plain)

    @classmethod
    def from_text(cls, text: str) -> Job:
        """The job that gave `text`.

        Raises:
            InputError: A plugin is unknown here, or does not take its parameters.
        """
        plain = json.loads(text)
        options = plain["options"]
        for name in ("out", "plugins"):
            if options[name] is not None:
                options[name] = Path(options[name])
        if options["plugins"] is not None:
            places.use(options["plugins"])
        return cls(Cell.from_dict(plain["cell"]), Options(**options))


class Told(QuietReporter):
    """Tells what a cell does, so that another process can show it.

    Args:
        tell: Takes what is new: `{"steps": 300, "done": 12}` or `{"note": "a line"}`.
    """

    EVERY = 0.25
    """Seconds between two reports of steps."""

    def __init__(self, tell: Callable[[Mapping[str, Any]], None]) -> None:
        super().__init__()
        self._tell = tell
        self._steps = self._done = 0
        self._last = 0.0

    def total(self, steps: int, done: int = 0) -> None:
        """The optimizer steps of the whole cell."""
        self._steps, self._done, self._last = steps, done, 0.0
        self._report()

    def advance(self, loss: float, examples: int) -> None:
        """One step was done."""
        self._done += 1
        self._report()

    def note(self, text: str) -> None:
        """A line for the user."""
        self._tell({"note": text})

    def _report(self) -> None:
        now = time.monotonic()
        if now - self._last >= self.EVERY or self._done == self._steps:
            self._last = now
            self._tell({"steps": self._steps, "done": self._done})


def work(text: str, tell: Callable[[Mapping[str, Any]], None]) -> Ending:
    """Run the job that `text` is, as `clbench run` runs a cell.

    Args:
        text: See `Job.to_text`.
        tell: See `Told`.
    """
    begun = time.monotonic()
    try:
        job = Job.from_text(text)
        ending = _attempt(job, tell)
    except KeyboardInterrupt:
        ending = Ending("interrupted")
    except InputError as error:
        ending = Ending("refused", str(error))
    return dataclasses.replace(ending, seconds=time.monotonic() - begun)


def _attempt(job: Job, tell: Callable[[Mapping[str, Any]], None]) -> Ending:
    try:
        with standing.claim(job.cell, job.options, AGAIN) as found:
            if found.busy:
                return Ending("busy")
            if found.record is not None:
                return Ending("had")
            return _run(job, Told(tell))
    except InputError:
        raise
    except (Exception, SystemExit) as error:
        where = raised.look(error, job.cell)
        trace = "" if machine.at_fault(error) else where.trace
        reason = f"{type(error).__name__}: {machine.line(error)}{where.place(None)}"
        return Ending("lost", reason, trace)


def _run(job: Job, reporter: Told) -> Ending:
    from clbench.cell import run_cell  # with Avalanche: seconds
    from clbench.record import path_of

    use_threads(job.options.threads)
    record = run_cell(job.cell, job.options, reporter)
    if record.status == "interrupted":
        return Ending("interrupted")
    path = path_of(job.options.out, job.cell)
    if record.status != "ok" and standing.ended_well(path):
        how: How = "failed" if record.status == "failed" else "refused"
        return Ending(how, record.reason or "")
    return Ending("recorded")
