"""What the engine costs: its steps against a bare PyTorch loop's, side by side.

Both do the same steps on the embedded world's dg view: the same batches, augmentation,
adapters, penalty and optimizer. They alternate in short stretches within one process,
so that whatever else the machine does falls on both alike. The first step of a stretch
warms up and is left out (there the engine also counts floating-point operations, once
for a cell).

    python benchmarks/overhead.py --strategy pego --steps 30 --rounds 10
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import statistics
import time
from collections.abc import Sequence

import torch
from torch import nn

from clbench import registry
from clbench.contract import Experience, Scenario, Strategy
from clbench.engine import Loop
from clbench.minibatches import loader
from clbench.optim import Groups
from clbench.problem import view
from clbench.seeding import derive
from clbench.session import Session, Watch


class Stopwatch(Watch):
    """Notes when each step was done."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def stepped(self, run: Session, losses: Sequence[float], examples: int) -> None:
        self.times.append(time.perf_counter())


def prepared(
    scenario: Scenario, kind: type[Strategy]
) -> tuple[Strategy, nn.Module, Session]:
    """A fresh strategy, its model, and what its hooks are handed."""
    strategy, model = kind(), scenario.model()
    strategy.prepare(model, view(scenario))
    session = Session(model, view(scenario), torch.device("cpu"), lambda *_: None)
    return strategy, model, session


def bare(
    scenario: Scenario, kind: type[Strategy], experience: Experience
) -> list[float]:
    """The steps as anybody would write them; when each was done."""
    strategy, model, session = prepared(scenario, kind)
    strategy.before_experience(session, experience)
    groups = strategy.groups(model, scenario.recipe)
    optimizer = Groups(groups, scenario.recipe, experience.steps).optimizer
    model.train()
    times = []
    for step, batch in enumerate(loader(experience, scenario.seed)):
        seed = derive(scenario.seed, "augment", 0, step)
        generator = torch.Generator().manual_seed(seed)
        batch = experience.train.augment(batch, generator)
        optimizer.zero_grad()
        output = model(batch)
        loss = scenario.loss(output, batch)
        penalty = strategy.penalty(session, output, batch)
        if penalty is not None:
            loss = loss + penalty
        loss.backward()
        times.append(time.perf_counter())
        optimizer.step()
    return times


def engine(
    scenario: Scenario, kind: type[Strategy], experience: Experience
) -> list[float]:
    """The same steps by the engine; when each was done."""
    strategy, _, session = prepared(scenario, kind)
    watch = Stopwatch()
    Loop(run=session, strategy=strategy, watch=watch).learn([experience])
    return watch.times


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--strategy", default="pego")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=10)
    options = parser.parse_args()

    kind = registry.load("strategy", options.strategy)
    scenario = registry.load("scenario", "dg")(target="sketch")
    scenario.budget = dataclasses.replace(scenario.budget, evaluate_every=None)
    experience = dataclasses.replace(scenario.stream()[0], steps=options.steps)

    seconds: dict[str, list[float]] = {"bare": [], "engine": []}
    for round_ in range(options.rounds):
        order = [("bare", bare), ("engine", engine)]
        for name, loop in order if round_ % 2 else reversed(order):
            times = loop(scenario, kind, experience)
            steps = [b - a for a, b in itertools.pairwise(times)]
            seconds[name] += steps
    ours, theirs = (statistics.median(seconds[name]) for name in ("engine", "bare"))
    print(f"strategy={options.strategy} scenario=dg, {len(seconds['bare'])} steps each")
    print(f"bare loop {1e3 * theirs:8.2f} ms a step (median)")
    print(f"engine    {1e3 * ours:8.2f} ms a step (median)")
    print(f"ratio     {ours / theirs:8.3f}")


if __name__ == "__main__":
    main()
