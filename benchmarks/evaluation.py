"""What evaluation costs on the CLIP stream, as the number of tasks grows.

For streams of 2, 4 and 6 embedded tasks: seconds of every evaluation after the first,
for a model that stays as it was (zeroshot), one whose image tower alone is adapted, and
one with both towers adapted; then its share of a whole default cell.

    python benchmarks/evaluation.py --strategy codyra
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from torch import nn

from clbench import record, registry
from clbench.contract import Scenario

COUNTS = (2, 4, 6)
REPEATS = 5


def stream_of(count: int) -> Scenario:
    """The embedded stream's first tasks."""
    scenario = registry.load("scenario", "clip")(cache=False)
    scenario._order = scenario._order[:count]
    return scenario


def moved(model: nn.Module, towers: tuple[str, ...]) -> None:
    """Change the weights of `towers` a little, as a step of training does."""
    with torch.no_grad():
        for tower in towers:
            for parameter in getattr(model, tower).parameters():
                parameter.add_(1e-5)


def seconds(scenario: Scenario, towers: tuple[str, ...]) -> float:
    """Median seconds of an evaluation after `towers` changed."""
    model = scenario.model().eval()
    times = []
    with torch.no_grad():
        scenario.evaluate(model, 0)
        for number in range(REPEATS):
            moved(model, towers)
            start = time.perf_counter()
            scenario.evaluate(model, number + 1)
            times.append(time.perf_counter() - start)
    return statistics.median(times)


def share(strategy: str) -> tuple[float, float]:
    """Seconds of evaluation and of the whole, in a default cell."""
    with tempfile.TemporaryDirectory() as folder:
        words = [f"strategy={strategy}", "scenario=clip", f"out={folder}", "--quiet"]
        subprocess.run([sys.executable, "-m", "clbench", "run", *words], check=True)
        (path,) = Path(folder).rglob("*.json")
        cost = record.read(path).cost
    assert cost is not None
    return cost.seconds["evaluate"], cost.seconds["total"]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--strategy", default="codyra")
    options = parser.parse_args()
    cases = {
        "frozen": (),
        "image tower": ("vision_model",),
        "both towers": ("vision_model", "text_model"),
    }
    print(f"seconds of one evaluation ({torch.get_num_threads()} threads)")
    print("tasks  " + "  ".join(f"{name:>11}" for name in cases))
    for count in COUNTS:
        scenario = stream_of(count)
        row = [seconds(scenario, towers) for towers in cases.values()]
        print(f"{count:5}  " + "  ".join(f"{value:11.3f}" for value in row))
    spent, total = share(options.strategy)
    print(
        f"strategy={options.strategy}: {spent:.1f} of {total:.1f} s in evaluation "
        f"({100 * spent / total:.0f} %)"
    )


if __name__ == "__main__":
    main()
