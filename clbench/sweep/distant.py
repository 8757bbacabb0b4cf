"""Cells that run on other machines, whatever brings them there."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol
from uuid import uuid4

from clbench.sweep.executor import Ended, Event
from clbench.sweep.job import Ending, Job
from clbench.sweep.letters import Letter

FOLDER = ".sweep"
"""Of letters, in that of the records."""

LATE = 5.0
"""Seconds that the last line of a letter may come later than the end of its job: file
systems of several machines show a change some time after it was made."""


class Cluster(Protocol):
    """Brings jobs to machines.

    Attributes:
        place: What it is, for people.
        threads: Of each cell.
    """

    place: str
    threads: int

    def submit(self, letters: Sequence[Letter]) -> None:
        """Have each letter answered: see `clbench.sweep.letters.answer`.

        Raises:
            InputError: They are not taken.
        """

    def gone(self, letter: Letter) -> Ending | None:
        """What became of a job that runs no more; None where it waits or runs."""

    def end(self, letter: Letter) -> None:
        """End a job at once, or take it back."""

    def close(self, lost: Collection[Path]) -> None:
        """Nothing is submitted any more.

        Args:
            lost: Letters of jobs that ended without a word.
        """


class Distant:
    """Runs cells on a cluster.

    Args:
        cluster: Brings them there.
        workers: How many at a time.
        out: Folder of the records.
    """

    def __init__(self, cluster: Cluster, workers: int, out: Path) -> None:
        self.workers = workers
        self.threads = cluster.threads
        self.place = cluster.place
        self._cluster = cluster
        self._folder = out.resolve() / FOLDER / uuid4().hex[:8]
        self._count = 0
        self._new: list[Letter] = []
        self._sent: list[Letter] = []
        self._told: list[Event] = []
        self._missed: dict[Path, float] = {}
        self._lost: set[Path] = set()

    def start(self, number: int, job: Job) -> None:
        """Have `job` submitted, together with others that are started now."""
        self._count += 1
        path = self._folder / f"{number}-{self._count}.letter"
        self._new.append(Letter(number, job.to_text(), path))

    def events(self, seconds: float) -> Sequence[Event]:
        """What happened since; waits so long at most for something to happen."""
        if self._new:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._cluster.submit(self._new)
            self._sent += self._new
            self._new = []
        end = time.monotonic() + seconds
        while True:
            found, self._told = self._told, []
            found += [e for letter in list(self._sent) for e in self._of(letter)]
            if found or time.monotonic() >= end:
                return found
            time.sleep(min(0.1, seconds))

    def stop(self) -> None:
        """Ask cells that run to stop; those that wait are taken back."""
        for letter in list(self._sent):
            if letter.begun:
                letter.ask_to_stop()
            else:
                self._cluster.end(letter)
                self._sent.remove(letter)
                self._told.append(Ended(letter.number, Ending("interrupted")))

    def close(self) -> None:
        """End whatever runs still, at once."""
        for letter in self._sent:
            self._cluster.end(letter)
            letter.remove()
        self._sent = []
        self._cluster.close(self._lost)
        # What a cluster keeps of jobs that were lost stays.
        with suppress(OSError):
            self._folder.rmdir()
            self._folder.parent.rmdir()

    def _of(self, letter: Letter) -> list[Event]:
        """What is new of one."""
        gone = self._cluster.gone(letter)
        found = letter.events()
        if gone is not None and not any(isinstance(event, Ended) for event in found):
            since = self._missed.setdefault(letter.path, time.monotonic())
            if time.monotonic() - since < LATE:
                return found
            found.append(Ended(letter.number, gone))
            self._lost.add(letter.path)
        if any(isinstance(event, Ended) for event in found):
            self._sent.remove(letter)
            self._missed.pop(letter.path, None)
            letter.remove()
        return found
