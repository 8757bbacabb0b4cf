"""What it saves to have the reference's log-probabilities from the cache.

Prints seconds of a DPO step on the embedded stream, with the reference looked up and
with the reference model run on every batch, and their ratio.

    python benchmarks/dpo_reference.py [steps]
"""

from __future__ import annotations

import statistics
import sys
import time

import torch

from clbench import registry
from clbench.contract import Batch


def main(steps: int) -> None:
    """Alternate steps of both kinds, and compare their medians."""
    scenario = registry.load("scenario", "dpo")(domains=("brief",), cache=False)
    (experience,) = scenario.stream()
    model, base = scenario.model(), scenario.model().eval().requires_grad_(False)
    scenario.begin(model, experience)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)

    def step(batch: Batch, *, again: bool) -> float:
        start = time.perf_counter()
        if again:
            with torch.no_grad():
                batch = {**batch, "reference": base(batch)["logp"]}
        scenario.loss(model(batch), batch).backward()
        optimizer.step()
        optimizer.zero_grad()
        return time.perf_counter() - start

    spent: dict[bool, list[float]] = {False: [], True: []}
    for number, rows in enumerate(experience.train.batches(0, steps + 2)):
        batch = experience.train.__getitems__(rows)
        for again in (False, True):
            seconds = step(batch, again=again)
            if number >= 2:
                spent[again].append(seconds)
    cached, fresh = (statistics.median(spent[again]) for again in (False, True))
    print(f"reference looked up   {1000 * cached:8.1f} ms a step")
    print(f"reference run again   {1000 * fresh:8.1f} ms a step")
    print(f"ratio                 {cached / fresh:8.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 30)
