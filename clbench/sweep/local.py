"""Worker processes on this machine."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from clbench.sweep.executor import Ended, Event, Note, Steps, killed
from clbench.sweep.job import Ending, Job
from clbench.sweep.processors import THREADS

TAIL = 4000
"""Bytes of a worker's error stream that are shown where it ended by itself."""

GRACE = 5.0
"""Seconds for idle workers to end by themselves."""


class Local:
    """Processes that live for many cells; one that dies is replaced.

    Args:
        workers: How many.
        threads: Of each.
        devices: What `CUDA_VISIBLE_DEVICES` is for each worker in turn; empty leaves it
            as it is.
    """

    def __init__(self, workers: int, threads: int, devices: Sequence[str] = ()) -> None:
        self.workers = workers
        each = "a thread each" if threads == 1 else f"{threads} threads each"
        self.place = (
            f"{workers} workers, {each}" if workers > 1 else f"1 worker, {each}"
        )
        self.threads = threads
        self._devices = devices
        self._news: queue.SimpleQueue[tuple[_Worker, str | None]] = queue.SimpleQueue()
        self._living: list[_Worker | None] = [None] * workers

    def start(self, number: int, job: Job) -> None:
        """Begin with `job` on a worker that has nothing to do."""
        place = next(
            i for i, each in enumerate(self._living) if each is None or each.free
        )
        worker = self._living[place]
        if worker is None:
            worker = _Worker(self.environment(place), self._news)
            self._living[place] = worker
        worker.give(number, job.to_text())

    def events(self, seconds: float) -> Sequence[Event]:
        """What happened since; waits so long at most for something to happen."""
        found: list[Event] = []
        while True:
            try:
                worker, line = self._news.get(timeout=0 if found else seconds)
            except queue.Empty:
                return found
            found += self._gone(worker) if line is None else worker.told(line)

    def stop(self) -> None:
        """Ask cells that run to stop at their next safe moment, with a checkpoint."""
        for worker in filter(None, self._living):
            worker.signal(signal.SIGINT)

    def close(self) -> None:
        """End whatever runs still, at once."""
        for worker in filter(None, self._living):
            worker.close()

    def environment(self, place: int) -> dict[str, str]:
        """Variables of the worker that is the `place`-th, from 0."""
        more = dict.fromkeys(THREADS, str(self.threads))
        if self._devices:
            more["CUDA_VISIBLE_DEVICES"] = self._devices[place % len(self._devices)]
        return {**os.environ, **more}

    def _gone(self, worker: _Worker) -> list[Event]:
        """A worker's answers have ended, and so has its process."""
        if worker in self._living:
            self._living[self._living.index(worker)] = None
        return worker.end()


class _Worker:
    """A process that runs one cell at a time.

    Args:
        environment: Its variables.
        news: Takes its answers as they come, and None at their end.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        news: queue.SimpleQueue[tuple[_Worker, str | None]],
    ) -> None:
        self._number: int | None = None
        # Closed when the process has ended that writes to it.
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        here = str(Path.cwd()) in sys.path
        self._process = subprocess.Popen(
            [sys.executable, *([] if here else ["-P"]), "-m", "clbench.sweep.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=environment,
            text=True,
            # Ctrl-C reaches the sweep alone, which passes it on.
            start_new_session=True,
        )
        self._ear = threading.Thread(target=self._listen, args=(news,), daemon=True)
        self._ear.start()

    @property
    def free(self) -> bool:
        """Whether it has nothing to do."""
        return self._number is None

    def give(self, number: int, text: str) -> None:
        """Have it run a job."""
        self._number = number
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(text + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return  # it has died; its end is told by `_listen`

    def told(self, line: str) -> list[Event]:
        """What a line of its answers says."""
        number = self._number
        assert number is not None
        event = json.loads(line)
        if "ended" in event:
            self._number = None
            return [Ended(number, Ending(**event["ended"]))]
        if "note" in event:
            return [Note(number, event["note"])]
        return [Steps(number, event["steps"], event["done"])]

    def end(self) -> list[Event]:
        """Its process has ended; what that means for the cell that it had."""
        code = self._process.wait()
        said = self._said()
        self._shut()
        number, self._number = self._number, None
        if number is None:
            return []
        if code < 0:
            return [Ended(number, killed(-code))]
        last = said.splitlines()[-1] if said else "nothing was said"
        reason = f"its process ended with exit code {code}: {last}"
        return [Ended(number, Ending("lost", reason, said))]

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it runs a cell."""
        if not self.free and self._process.poll() is None:
            self._process.send_signal(number)

    def close(self) -> None:
        """End it: by itself if it is idle, else at once."""
        if not self.free:
            self._process.kill()
        self._hang_up()
        try:
            self._process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._shut()

    def _hang_up(self) -> None:
        """Give it nothing more, which ends it when it is idle."""
        assert self._process.stdin is not None
        # What a process that has died did not read is of no use to anybody.
        with suppress(BrokenPipeError):
            self._process.stdin.close()

    def _shut(self) -> None:
        """Close whatever it was spoken with, once it has ended."""
        self._hang_up()
        # Whoever holds its standard output besides, such as a loader of data that
        # outlives it for a moment, is not waited for longer.
        self._ear.join(GRACE)
        self._errors.close()

    def _listen(self, news: queue.SimpleQueue[tuple[_Worker, str | None]]) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as answers:
            for line in answers:
                news.put((self, line))
        news.put((self, None))

    def _said(self) -> str:
        """The end of what it wrote to its error stream."""
        size = self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, size - TAIL))
        return self._errors.read().decode(errors="replace").strip()
