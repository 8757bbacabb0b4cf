"""The process in which cells are timed: whatever they do, it is a line."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from clbench import machine, raised
from clbench.contract import InputError
from clbench.estimate.timed import Timed
from clbench.sweep.executor import killed
from clbench.sweep.job import Job

if TYPE_CHECKING:
    from clbench.resolved import Cell, Options

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
        self._process: Any = None
        self._pipe: Connection
        self.startup = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    def time(self, cell: Cell) -> Timed:
        """What a few steps of `cell` take.

        Raises:
            NotTimed: It is unsupported, raises, ends its process or takes too long.
        """
        if self._process is None:
            self._start()
        try:
            self._pipe.send_bytes(Job(cell, self._options).to_text().encode())
        except OSError:
            raise NotTimed(self._death()) from None
        answer = self._answer()
        if "unsupported" in answer:
            raise NotTimed(answer["unsupported"], unsupported=True)
        if "failed" in answer:
            raise NotTimed(answer["failed"])
        return Timed.from_dict(answer["timed"])

    def _start(self) -> None:
        start = time.monotonic()
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=serve, args=(other,), daemon=True)
        self._process.start()
        other.close()
        self._answer()
        self.startup = time.monotonic() - start

    def _answer(self) -> dict[str, Any]:
        """The next line of the process.

        Raises:
            NotTimed: It has ended, or is silent for too long.
        """
        try:
            if self._pipe.poll(LIMIT):
                found: dict[str, Any] = json.loads(self._pipe.recv_bytes())
                return found
        except (EOFError, OSError):
            raise NotTimed(self._death()) from None
        self._end()
        raise NotTimed(f"was not timed within {LIMIT:.0f} seconds")

    def _death(self) -> str:
        """How the process ended, in words."""
        self._process.join()
        code = self._process.exitcode
        self._end()
        if code is not None and code < 0:
            return killed(-code).reason
        return f"its process ended with exit code {code}"

    def _end(self) -> None:
        if self._process is not None:
            self._pipe.close()
            self._process.kill()
            self._process.join()
            self._process = None


def serve(pipe: Connection) -> None:
    """Time the cell of every job that comes through `pipe`; JSON both ways."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _silence()
    import torch

    from clbench.estimate import trial  # slow, and not needed by the one that asks

    pipe.send_bytes(b"{}")
    while True:
        try:
            text = pipe.recv_bytes().decode()
        except EOFError:
            return
        answer: dict[str, Any]
        job = Job.from_text(text)
        try:
            if job.options.threads is not None:
                torch.set_num_threads(job.options.threads)
            answer = {"timed": trial.measure(job.cell, job.options).to_dict()}
        except trial.Unsupported as error:
            answer = {"unsupported": str(error)}
        except InputError as error:
            answer = {"failed": str(error)}
        except (Exception, SystemExit) as error:
            where = raised.look(error, job.cell).place(None)
            what = f"{type(error).__name__}: {machine.line(error)}{where}"
            answer = {"failed": what}
        pipe.send_bytes(json.dumps(answer).encode())


def _silence() -> None:
    """Let nothing that cells print come between the lines of the command."""
    with Path(os.devnull).open("w") as nothing:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os.dup2(nothing.fileno(), 1)
        os.dup2(nothing.fileno(), 2)
