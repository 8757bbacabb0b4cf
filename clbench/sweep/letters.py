"""How a cell on another machine is spoken with: files in the folder of the records.

That folder is there on every machine that runs cells, or records would not be. A cell
appends what it does to its letter, a line of JSON each; it stops, with a checkpoint,
when there is a file beside the letter that asks for it.
"""

from __future__ import annotations

import _thread
import json
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clbench.sweep.executor import Ended, Event, Note, Steps
from clbench.sweep.job import Ending, work

LOOK = 1.0
"""Seconds between looks for the file that asks a cell to stop."""


@dataclass
class Letter:
    """One attempt at a cell, as the sweep has it.

    Attributes:
        number: Of the cell.
        text: Of the job.
        path: Of the letter.
        read: Bytes of it that were read.
    """

    number: int
    text: str
    path: Path
    read: int = 0

    @property
    def begun(self) -> bool:
        """Whether the cell has been begun, as far as was read."""
        return self.read > 0

    def events(self) -> list[Event]:
        """What is new in it."""
        try:
            with self.path.open("rb") as file:
                file.seek(self.read)
                new = file.read()
        except FileNotFoundError:
            return []
        whole = new[: new.rfind(b"\n") + 1]  # a line that is half there comes later
        self.read += len(whole)
        lines = [json.loads(line) for line in whole.splitlines()]
        return [event for line in lines for event in self._event(line)]

    def ask_to_stop(self) -> None:
        """Have the cell stop at its next safe moment."""
        _stop(self.path).touch()

    def remove(self) -> None:
        """It is answered."""
        self.path.unlink(missing_ok=True)
        _stop(self.path).unlink(missing_ok=True)

    def _event(self, line: Mapping[str, Any]) -> Iterator[Event]:
        if "ended" in line:
            yield Ended(self.number, Ending(**line["ended"]))
        elif "note" in line:
            yield Note(self.number, line["note"])
        elif "steps" in line:
            yield Steps(self.number, line["steps"], line["done"])


def answer(text: str, path: str) -> None:
    """Run the job that `text` is, in this process, and tell the letter at `path`.

    Args:
        text: Of the job.
        path: Of the letter, in a folder that is there.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with Path(path).open("a", buffering=1) as file:

        def tell(event: Mapping[str, Any]) -> None:
            file.write(json.dumps(event) + "\n")

        tell({"begun": True})
        with _stopped_by(_stop(Path(path))):
            ending = work(text, tell)
        tell({"ended": ending.to_dict()})


@contextmanager
def _stopped_by(path: Path) -> Iterator[None]:
    """Within, this process is interrupted when there is a file at `path`."""
    over = threading.Event()

    def look() -> None:
        while not over.wait(LOOK):
            if path.exists():
                # No signal of the system: a worker of Ray has that one blocked.
                _thread.interrupt_main()
                return

    threading.Thread(target=look, daemon=True).start()
    try:
        yield
    finally:
        over.set()


def _stop(path: Path) -> Path:
    return path.with_suffix(".stop")
