"""A cell in a process of its own, and how it is killed: what `kill.py` is made of."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clbench import record
from clbench.checkpoint.file import Damaged, facts_of

SERVER = multiprocessing.get_context("forkserver")

PLUGINS = Path(__file__).resolve().parent / "plugins"


@dataclass(frozen=True)
class Cell:
    """A cell and where it lies.

    Attributes:
        words: What it is, after `clbench run`.
        folder: It is run in.
    """

    words: Sequence[str]
    folder: Path

    def start(self) -> subprocess.Popen[str]:
        """A process that runs it."""
        command = [sys.executable, "-P", "-m", "clbench", "run", *self.words]
        return subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self.folder,
            env={**os.environ, "CLBENCH_PATH": str(PLUGINS)},
        )

    def run(self) -> str:
        """Run it to its end; what it printed."""
        process = self.start()
        text, _ = process.communicate()
        if process.returncode:
            raise SystemExit(f"{' '.join(self.words)} failed:\n{text}")
        return text

    def kill(self, delay: float) -> bool:
        """Kill it `delay` seconds after a new checkpoint; False: it has a record."""
        begun = time.time()
        process = self.start()
        while process.poll() is None and not self._fresh(begun):
            time.sleep(0.001)
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        return not list(self.folder.glob("runs/*/*.json"))

    def _fresh(self, since: float) -> bool:
        for path in self.folder.glob("runs/*/*.checkpoint-*"):
            try:
                if path.stat().st_mtime >= since:
                    return True
            except FileNotFoundError:
                continue
        return False

    @property
    def record(self) -> Path:
        """The path of its record."""
        (path,) = self.folder.glob("runs/*/*.json")
        return path

    @property
    def step(self) -> int:
        """Steps that its newest checkpoint has done; what is damaged is left out."""
        found = [{"count": -1, "step": 0}]
        for path in self.folder.glob("runs/*/*.checkpoint-?.safetensors"):
            try:
                found.append(facts_of(path))
            except Damaged:
                continue
        return int(max(found, key=lambda facts: facts["count"])["step"])


class Forked(Cell):
    """A cell in a process that has nothing left to import."""

    def start(self) -> Any:
        """A process that runs it, with what of `Popen` is needed here."""
        log = self.folder / "log"
        process = SERVER.Process(target=_command, args=(self.words, self.folder, log))
        process.start()
        return Child(process, log)


class Child:
    """A forked process with the interface of `Popen`.

    Args:
        process: That was started.
        log: File of what it prints.
    """

    def __init__(self, process: Any, log: Path) -> None:
        self._process, self._log = process, log

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        if self._process.is_alive():
            os.kill(self._process.pid, number)

    def communicate(self) -> tuple[str, None]:
        self._process.join()
        return self._log.read_text(), None


def _command(words: Sequence[str], folder: Path, log: Path) -> None:
    """In the child: the command line, as `python -m clbench` has it."""
    from clbench import cli

    os.environ["CLBENCH_PATH"] = str(PLUGINS)
    os.chdir(folder)
    with log.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.argv = ["clbench", "run", *words]
    cli.main()


def equal(one: Path, other: Path) -> bool:
    """Whether two records say the same, but for times, memory and machine."""
    first, second = record.read(one), record.read(other)
    same = record.comparable(first) == record.comparable(second)
    outcomes = [record.outcomes_path(path).read_bytes() for path in (one, other)]
    return same and outcomes[0] == outcomes[1]
