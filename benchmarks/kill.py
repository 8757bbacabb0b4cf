"""Cells killed at random moments, again and again, end as if nobody had touched them.

Each cell runs once undisturbed. Then it is started through the command line and killed
(SIGKILL) at a random moment between its first evaluation and its end, started again,
killed again, and at last left alone. Record and outcomes must be those of the first
run: `record.comparable` equal, the file of outcomes equal byte for byte. Cells are
toys, stretched to a few dozen steps, so that kills hit everywhere: in steps, in
evaluations, while a checkpoint is written.

Processes are forked from one that has imported what all of them import; `--anew` starts
an interpreter for each instead, which takes ten times as long.

    python benchmarks/kill.py --kills 60 --each 3 --seed 0
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clbench import record

SERVER = multiprocessing.get_context("forkserver")

PLUGINS = Path(__file__).resolve().parent / "plugins"

CELLS = (
    "strategy=pego scenario.of=dg",
    "strategy=codyra scenario.of=clip",
    "strategy=mtlora scenario.of=mtl",
    "strategy=ofs_dpo strategy.interval=3 strategy.lr_follows=role scenario.of=dpo",
    "strategy=increlora strategy.until=0.9 scenario.of=nlu",
    "strategy=replay scenario.of=clip",
    "strategy=cofs_dpo strategy.weights=chosen scenario.of=dpo",
    "strategy=increlora strategy.dropout=0.2 scenario.of=dg",
    "strategy=uncertainty scenario.of=mtl",
    "strategy=lwf scenario.of=nlu",
    "strategy=ewc+olora scenario.of=clip",
    "strategy=zscl scenario.of=clip",
    "strategy=lora scenario.of=dpo scenario.settings._reference=previous",
    "strategy=adalora scenario.of=mtl",
    "strategy=agem scenario.of=dg recipe.optimizer=sgd",
    "strategy=increlora+lwf strategy.increlora.until=0.9 scenario.of=clip",
    "strategy=pcgrad+mtlora scenario.of=mtl",
    "strategy=wiseft scenario.of=nlu",
    "strategy=bitfit+l2 scenario.of=dpo",
    "strategy=codyra scenario.of=mtl recipe.schedule=cosine recipe.warmup=3",
)
"""Over all families; what grows, exchanges roles, remembers or teaches among them."""

HEAVY = ("peft", "transformers", "timm", "torchvision.transforms.v2", "matplotlib")
"""What scenarios and strategies import besides."""

COMMON = "scenario=toy scenario.stretch=5 scenario.pause=0.01 checkpoint.every=0.0005"


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


def reached(text: str) -> str:
    """The step at which a process says that it goes on; `start` where it does not."""
    _, found, rest = text.partition("goes on at step ")
    return rest.split(" ", 1)[0] if found else "start"


def try_cell(
    kind: type[Cell], words: str, kills: int, chance: random.Random, folder: Path
) -> list[str]:
    """Kill one cell `kills` times; the row of the table."""
    given = [*words.split(), *COMMON.split()]
    whole = kind(given, folder / "whole")
    parts = kind(given, folder / "parts")
    for cell in (whole, parts):
        cell.folder.mkdir(parents=True)
    whole.run()
    cost = record.read(whole.record).cost
    assert cost is not None
    learns = cost.seconds["total"] - cost.seconds["prepare"]
    done, last = 0, learns
    while done < kills:
        # A later start has less to do: a kill that comes too late does not count.
        if parts.kill(chance.uniform(0, last)):
            done += 1
        else:
            shutil.rmtree(parts.folder / "runs")
            last /= 2
    text = parts.run()
    same = equal(whole.record, parts.record)
    left = list(parts.folder.glob("runs/*/*checkpoint*"))
    verdict = "equal" if same and not left else "DIFFERENT" if not same else "LEFT OVER"
    return [words, str(done), f"{reached(text)} of {cost.steps}", verdict]


def main() -> None:
    """Run it and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--each", type=int, default=3, help="kills of one cell")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--anew", action="store_true", help="new interpreters")
    given = parser.parse_args()
    kind = Cell if given.anew else Forked
    SERVER.set_forkserver_preload(["clbench.cell", "clbench.cli.running", *HEAVY])
    chance = random.Random(given.seed)
    rows, killed = [], 0
    while killed < given.kills:
        words = CELLS[len(rows) % len(CELLS)]
        with tempfile.TemporaryDirectory() as folder:
            count = min(given.each, given.kills - killed)
            rows.append(try_cell(kind, words, count, chance, Path(folder)))
        killed += count
        print("\t".join(rows[-1]), flush=True)
    print("\n| cell | kills | went on at last from step | record and outcomes |")
    print("| --- | :-: | :-: | --- |")
    for row in rows:
        print(f"| `{row[0]}` | {' | '.join(row[1:])} |")
    good = sum(int(row[1]) for row in rows if row[3] == "equal")
    print(f"\n{good} of {killed} kills ended in an equal record")
    sys.exit(good != killed)


if __name__ == "__main__":
    main()
