"""Toys that learn in several processes: what the tests of devices start.

Called with a file and pairs `strategy:scenario[:key=value]`; writes for each what it
gives alone, alone in as many parts as there are processes, and in all of them together.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import torch
from torch import nn

from clbench import registry
from clbench.check.checks import learn
from clbench.devices import ALONE, Plan, Team, methods_of
from clbench.devices.team import Together
from clbench.execution import Execution
from clbench.problem import view
from clbench.seeding import global_seed

CPU = torch.device("cpu")


def learned(pair: str, team: Team, parts: int = 1) -> dict:
    """Losses of the first two experiences, scores after them, the next random draw."""
    name, scenario, *given = pair.split(":")
    params = {k: json.loads(v) for k, v in (word.split("=") for word in given)}
    toy = registry.load("scenario", scenario).toy()
    strategy = registry.load("strategy", name)(**params)
    plan = Plan(Execution(accumulate=parts), CPU, team)
    stream = toy.stream()[:2]

    def prepared(model: nn.Module) -> None:
        if not plan.usual:
            plan.apply(model, methods_of(model, view(toy)), [])

    with global_seed(0):
        model, _, trace = learn(strategy, toy, prepared=prepared, stream=stream)
        drawn = torch.rand(1).item()
    with torch.no_grad():
        row = toy.evaluate(model.eval(), len(stream))
    scores = {f"{t} {k}": v for t, r in row.items() for k, v in r.metrics.items()}
    return {"losses": trace.losses, "scores": scores, "drawn": drawn}


class Normalises(nn.Module):
    """Normalises over its batch, twice as many rows as there are examples."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(3, 4), nn.Linear(8, 2)
        self.norm = nn.BatchNorm1d(4)

    def forward(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        x = self.first(batch["x"].flatten(0, 1))
        return self.last(torch.tanh(self.norm(x)).reshape(-1, 8))


def normalised(team: Team) -> dict:
    """Gradients and statistics of a normalisation, of a number of rows that is odd."""
    torch.manual_seed(0)
    model, x = Normalises(), torch.randn(5, 2, 3)
    plan = Plan(Execution(), CPU, team)
    if not plan.usual:
        plan.apply(model, ("forward",), [])
    output = model({"x": x})
    loss = (output @ output.T).square().sum()
    loss.backward()
    gradients = [v for p in model.parameters() for v in p.grad.flatten().tolist()]
    statistics = model.norm.running_mean.tolist() + model.norm.running_var.tolist()
    return {
        "losses": [loss.item(), *gradients],
        "scores": dict(enumerate(statistics)),
        "drawn": 0,
    }


def main(path: str, pairs: list[str]) -> None:
    """Alone they are shared out; together everybody has all of them."""
    torch.set_num_threads(1)
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    # Before there is a group: Avalanche refuses some imports in one.
    alone = {pair: learned(pair, ALONE) for pair in pairs[rank::size]}
    parted = {pair: learned(pair, ALONE, size) for pair in pairs[rank::size]}
    team = Together("cpu" if rank == 0 else None)
    together = {pair: learned(pair, team) for pair in pairs}
    alone["normalises"], together["normalises"] = normalised(ALONE), normalised(team)
    found = {"alone": alone, "parted": parted, "together": together}
    Path(f"{path}.{rank}").write_text(json.dumps(found))
    if rank == 0:
        team.end()
    else:
        assert team.next() is None


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
