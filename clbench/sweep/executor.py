"""What runs the cells of a sweep, as the sweep sees it."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from clbench.sweep.job import Ending, Job


@dataclass(frozen=True)
class Steps:
    """A cell has done `done` of its `total` steps."""

    number: int
    total: int
    done: int


@dataclass(frozen=True)
class Note:
    """A line of a cell for the user."""

    number: int
    text: str


@dataclass(frozen=True)
class Ended:
    """An attempt at a cell has ended."""

    number: int
    ending: Ending


Event = Steps | Note | Ended
"""What an executor tells of a cell, by the number that it was started with."""


class Executor(Protocol):
    """Runs cells.

    Attributes:
        workers: How many at a time.
        threads: That each computes with.
        place: Where, for people.
    """

    workers: int
    threads: int
    place: str

    def start(self, number: int, job: Job) -> None:
        """Begin with `job`; `number` names it in events.

        Raises:
            InputError: There is nowhere to run it.
        """

    def events(self, seconds: float) -> Sequence[Event]:
        """What happened since; waits so long at most for something to happen."""

    def stop(self) -> None:
        """Ask cells that run to stop at their next safe moment, with a checkpoint."""

    def close(self) -> None:
        """End whatever runs still, at once."""


def killed(number: int) -> Ending:
    """The ending of a cell whose process the system ended by signal `number`."""
    known = {each.value: each.name for each in signal.Signals}
    why = ", probably for want of memory" if known.get(number) == "SIGKILL" else ""
    return Ending("killed", f"killed by signal {number} ({known.get(number)}){why}")
