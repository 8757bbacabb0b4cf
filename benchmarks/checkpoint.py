"""What a checkpoint costs: its size, and the time to gather, hash and write it.

For the embedded model of every family, with every weight trained (the largest state:
weights and two moments of Adam) and with low-rank updates: one step is taken, then the
state is written several times over to a folder beside this process's temporary files.
Beside it stand the checkpoints that a cell of five minutes writes at the default
interval (when its experiences take equally long) and what they take of it. With `--run`
one such cell is run for each family given, with every weight trained, and its record is
asked.

    python benchmarks/checkpoint.py --repeats 9
    python benchmarks/checkpoint.py --run clip nlu
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from clbench import config, registry
from clbench.cell import run_cell
from clbench.checkpoint.pace import Pace
from clbench.checkpoint.state import Position, gather
from clbench.checkpoint.store import Identity, Store
from clbench.contract import Experience, Scenario, Strategy
from clbench.engine import Loop
from clbench.estimate.worker import Worker
from clbench.options import Options
from clbench.problem import view
from clbench.report import QuietReporter
from clbench.session import Session, Watch

FAMILIES = ("clip", "dg", "mtl", "dpo", "nlu")
STRATEGIES = ("finetune", "lora")

PARAMS = {"dg": {"target": "sketch"}}
"""Of scenarios, what is not default."""

CELL = 300.0
"""Seconds of the cell that the cost is a share of."""

STEPS = {"clip": "steps_per_task", "dg": "steps", "mtl": "steps", "dpo": "steps"}
STEPS["nlu"] = "steps_per_task"
"""The parameter that makes a cell longer."""


class Writes(Watch):
    """Writes the state after the first step, several times over.

    Args:
        repeats: How often.
        strategy: That learns.
        scenario: What is learned.
    """

    def __init__(self, repeats: int, strategy: Strategy, scenario: Scenario) -> None:
        self._repeats, self._strategy, self._scenario = repeats, strategy, scenario
        self.seconds: list[float] = []
        self.bytes = 0
        self.experiences = len(scenario.stream())

    def safe(self, run: Session, boundary: bool) -> bool:
        return not boundary

    def stopped(self, run: Session, boundary: bool) -> None:
        with tempfile.TemporaryDirectory() as folder:
            store = Store(Path(folder) / "it--0.json", Identity({}), print)
            for _ in range(self._repeats):
                start = time.perf_counter()
                position = Position(experience=0, step=run.step)
                state = gather(run, self._strategy, self._scenario, position)
                store.write({}, {"run": state})
                self.seconds.append(time.perf_counter() - start)
            self.bytes = max(p.stat().st_size for p in Path(folder).iterdir())


def measure(family: str, name: str, repeats: int) -> Writes:
    """Take a step of `name` on `family` and write what there is."""
    kind: Any = registry.load("scenario", family)
    scenario: Scenario = kind(**PARAMS.get(family, {}))
    strategy = registry.load("strategy", name)()
    problem, model = view(scenario), scenario.model()
    strategy.prepare(model, problem)
    run = Session(model, problem, torch.device("cpu"), lambda *_: None)
    writes = Writes(repeats, strategy, scenario)
    first: Sequence[Experience] = [dataclasses.replace(scenario.stream()[0], steps=1)]
    Loop(run=run, strategy=strategy, watch=writes).learn(first)
    return writes


def written(experiences: int, took: float) -> int:
    """Checkpoints of a cell of five minutes at the default interval.

    Args:
        experiences: That it has, all equally long.
        took: Seconds of one checkpoint.
    """
    now, count = 0.0, 0
    with patch("clbench.checkpoint.pace.time.monotonic", lambda: now):
        pace = Pace(Options().checkpoint_every)
        ends = [CELL * (i + 1) / experiences for i in range(experiences - 1)]
        # One before training, if preparing took that long.
        for moment in (10.0, *ends):
            now = moment
            if pace.due(boundary=True):
                pace.wrote(took)
                count += 1
    return count


def run(family: str, name: str) -> str:
    """A row about a cell that takes about five minutes."""
    with tempfile.TemporaryDirectory() as folder:
        words = [f"strategy={name}", f"scenario={family}", f"out={folder}", "threads=1"]
        given = PARAMS.get(family, {})
        words += [f"scenario.{key}={value}" for key, value in given.items()]
        (cell,), options = config.resolve(words)
        with Worker(options) as worker:
            timed = worker.time(cell)
        each = timed.total_steps // (1 if family in ("dg", "mtl") else len(timed.steps))
        steps = max(1, round(each * CELL / timed.seconds.middle))
        (cell,), _ = config.resolve([*words, f"scenario.{STEPS[family]}={steps}"])
        torch.set_num_threads(1)
        cost = run_cell(cell, options, QuietReporter()).cost
        assert cost is not None
        spent, total = cost.seconds["checkpoint"], cost.seconds["total"]
        return f"| {cell.label()} | {total:.0f} | {spent:.2f} | {spent / total:.3%} |"


def main() -> None:
    """Run it and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--run", nargs="+", choices=FAMILIES, metavar="FAMILY")
    given = parser.parse_args()
    if given.run:
        print("| cell | seconds | of these checkpoints | part |")
        print("| --- | --: | --: | --: |")
        for family in given.run:
            print(run(family, STRATEGIES[0]), flush=True)
        return
    print(
        "| scenario | strategy | size, MB | median, ms | largest, ms | in 5 minutes | "
        "part, median | part, largest |"
    )
    print("| --- | --- | --: | --: | --: | --: | --: | --: |")
    for family in FAMILIES:
        for name in STRATEGIES:
            found = measure(family, name, given.repeats)
            middle, worst = statistics.median(found.seconds), max(found.seconds)
            count = written(found.experiences, worst)
            print(
                f"| {family} | {name} | {found.bytes / 1e6:.1f} | {1e3 * middle:.0f} | "
                f"{1e3 * worst:.0f} | {count} | {count * middle / CELL:.3%} | "
                f"{count * worst / CELL:.3%} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
