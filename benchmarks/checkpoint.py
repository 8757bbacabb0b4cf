"""What a checkpoint costs: its size, and the time to gather, hash and write it.

For the embedded model of every family, with every weight trained (the largest state:
weights and two moments of Adam) and with low-rank updates: one step is taken, then the
state is written several times over to a folder beside this process's temporary files.

    python benchmarks/checkpoint.py --repeats 9
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

import torch

from clbench import registry
from clbench.checkpoint.state import Position, gather
from clbench.checkpoint.store import Identity, Store
from clbench.contract import Experience, Scenario, Strategy
from clbench.engine import Loop
from clbench.problem import view
from clbench.session import Session, Watch

FAMILIES = ("clip", "dg", "mtl", "dpo", "nlu")
STRATEGIES = ("finetune", "lora")

CELL = 300.0
"""Seconds of the cell that the cost is a share of."""


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
    scenario: Scenario = kind()
    strategy = registry.load("strategy", name)()
    problem, model = view(scenario), scenario.model()
    strategy.prepare(model, problem)
    run = Session(model, problem, torch.device("cpu"), lambda *_: None)
    writes = Writes(repeats, strategy, scenario)
    first: Sequence[Experience] = [dataclasses.replace(scenario.stream()[0], steps=1)]
    Loop(run=run, strategy=strategy, watch=writes).learn(first)
    return writes


def main() -> None:
    """Run it and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=9)
    given = parser.parse_args()
    print(
        "| scenario | strategy | size, MB | median, ms | largest, ms | of 5 minutes |"
    )
    print("| --- | --- | --: | --: | --: | --: |")
    for family in FAMILIES:
        for name in STRATEGIES:
            found = measure(family, name, given.repeats)
            middle, worst = statistics.median(found.seconds), max(found.seconds)
            print(
                f"| {family} | {name} | {found.bytes / 1e6:.1f} | {1e3 * middle:.0f} | "
                f"{1e3 * worst:.0f} | {middle / CELL:.3%} |"
            )


if __name__ == "__main__":
    main()
