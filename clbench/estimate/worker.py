"""The process in which cells are timed: whatever they do, it is a line.

Jobs come on its standard input and answers go to its standard output, a line each.
"""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Self

from clbench import machine, raised
from clbench.contract import InputError
from clbench.estimate.timed import Timed
from clbench.sweep.executor import killed
from clbench.sweep.job import Job
from clbench.sweep.worker import own_output
from clbench.threads import use_threads

if TYPE_CHECKING:
    from clbench.options import Options
    from clbench.resolved import Cell

GRACE = 5.0
"""Seconds for a process that has nothing to do to end by itself."""

LIMIT = 600.0
"""Seconds after which the timing of one cell is given up."""


class NotTimed(Exception):
    """A cell could not be timed.

    Attributes:
        unsupported: Whether its strategy has no meaning on its scenario, which the
            message then says why.
    """

    def __init__(self, message: str, *, unsupported: bool = False) -> None:
        super().__init__(message)
        self.unsupported = unsupported


class Worker:
    """Times cells, one after another; leaving its `with` block ends the process.

    Args:
        options: How cells would run.

    Attributes:
        startup: Seconds that a process took until it could run a cell; 0 before.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self._process: subprocess.Popen[str] | None = None
        self._lines: queue.SimpleQueue[str | None]
        self.startup = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end(GRACE if error is None else 0.0)

    def time(self, cell: Cell) -> Timed:
        """What a few steps of `cell` take.

        Raises:
            NotTimed: It is unsupported, raises, ends its process or takes too long.
        """
        process = self._process or self._start()
        assert process.stdin is not None
        try:
            process.stdin.write(Job(cell, self._options).to_text() + "\n")
            process.stdin.flush()
        except BrokenPipeError:
            raise NotTimed(self._death(process)) from None
        answer = self._answer(process)
        if "unsupported" in answer:
            raise NotTimed(answer["unsupported"], unsupported=True)
        if "failed" in answer:
            raise NotTimed(answer["failed"])
        return Timed.from_dict(answer["timed"])

    def _start(self) -> subprocess.Popen[str]:
        start = time.monotonic()
        here = str(Path.cwd()) in sys.path
        process = self._process = subprocess.Popen(
            [
                sys.executable,
                *([] if here else ["-P"]),
                "-m",
                "clbench.estimate.worker",
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # What cells print would come between the lines of the command.
            stderr=subprocess.DEVNULL,
            text=True,
            # Ctrl-C is for the command, which ends this.
            start_new_session=True,
        )
        lines = self._lines = queue.SimpleQueue()
        threading.Thread(target=_listen, args=(process, lines), daemon=True).start()
        self._answer(process)
        self.startup = time.monotonic() - start
        return process

    def _answer(self, process: subprocess.Popen[str]) -> dict[str, Any]:
        """The next line of the process.

        Raises:
            NotTimed: It has ended, or is silent for too long.
        """
        try:
            line = self._lines.get(timeout=LIMIT)
        except queue.Empty:
            self._end(0.0)
            raise NotTimed(f"was not timed within {LIMIT:.0f} seconds") from None
        if line is None:
            raise NotTimed(self._death(process))
        found: dict[str, Any] = json.loads(line)
        return found

    def _death(self, process: subprocess.Popen[str]) -> str:
        """How the process ended, in words."""
        code = process.wait()
        self._end(0.0)
        if code < 0:
            return killed(-code).reason
        return f"its process ended with exit code {code}"

    def _end(self, grace: float) -> None:
        """End the process, by itself if it does so in `grace` seconds."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        try:
            process.stdin.close()
            process.wait(grace)
        except (subprocess.TimeoutExpired, BrokenPipeError):
            process.kill()
            process.wait()


def _listen(
    process: subprocess.Popen[str], lines: queue.SimpleQueue[str | None]
) -> None:
    assert process.stdout is not None
    with process.stdout as answers:
        for line in answers:
            lines.put(line)
    lines.put(None)


def main() -> None:
    """Time the cell of every job that comes, until none comes any more."""
    answers = own_output()

    from clbench.estimate import trial  # slow, and not needed by the one that asks

    _tell(answers, {})
    for text in sys.stdin:
        job = Job.from_text(text)
        answer: dict[str, Any]
        try:
            use_threads(job.options.threads)
            answer = {"timed": trial.measure(job.cell, job.options).to_dict()}
        except trial.Unsupported as error:
            answer = {"unsupported": str(error)}
        except InputError as error:
            answer = {"failed": str(error)}
        except (Exception, SystemExit) as error:
            where = raised.look(error, job.cell).place(None)
            what = f"{type(error).__name__}: {machine.line(error)}{where}"
            answer = {"failed": what}
        _tell(answers, answer)


def _tell(answers: IO[str], answer: dict[str, Any]) -> None:
    answers.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
