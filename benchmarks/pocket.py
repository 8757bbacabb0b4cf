"""Whether the embedded world shows what it is for: its required properties, measured.

Runs the cells that are needed and have no record yet, then prints every property with
its 95 % interval over seeds (Student's t). Exit code 1 if one does not hold.

    python benchmarks/pocket.py --seeds 0,1,2 --runs runs
"""

from __future__ import annotations

import argparse
import math
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev

from scipy.stats import t

from clbench.board import boards, gather
from clbench.board.table import Line
from clbench.contract import InputError
from clbench.pocket.views import dg

STRATEGIES = ("linear", "finetune")
CHANCE = 1 / len(dg.KINDS)


@dataclass(frozen=True)
class Property:
    """What must hold of the mean over seeds.

    Attributes:
        title: In words.
        values: One for each seed, from the lines of the board, in percent.
        least: What the mean must reach.
    """

    title: str
    values: Callable[[dict[str, Line]], list[float]]
    least: float


def per_seed(line: Line, metric: str) -> list[float]:
    """`metric` in percent for each seed, averaged over the styles left out."""
    return [100 * value for value in line.values(metric)]


def gap(lines: dict[str, Line]) -> list[float]:
    """Points by which full fine-tuning is lower on the unseen style, for each seed."""
    sources = per_seed(lines["finetune"], "source_accuracy")
    unseen = per_seed(lines["finetune"], "target_accuracy")
    return [a - b for a, b in zip(sources, unseen, strict=True)]


PROPERTIES = (
    Property(
        f"frozen backbone and linear head on the unseen style, % "
        f"(chance: {100 * CHANCE:.1f})",
        lambda lines: per_seed(lines["linear"], "target_accuracy"),
        200 * CHANCE,
    ),
    Property(
        "full fine-tuning on the sources, %",
        lambda lines: per_seed(lines["finetune"], "source_accuracy"),
        90,
    ),
    Property("full fine-tuning, points lower on the unseen style", gap, 10),
)


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Mean and half the width of its 95 % interval."""
    if len(values) < 2:
        return fmean(values), math.inf
    half = t.ppf(0.975, len(values) - 1) * stdev(values) / math.sqrt(len(values))
    return fmean(values), float(half)


def main() -> int:
    """Run, measure and print; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    options = parser.parse_args()
    words = [f"strategy={','.join(STRATEGIES)}", "scenario=dg"]
    words += [f"seed={options.seeds}", f"out={options.runs}"]
    subprocess.run([sys.executable, "-m", "clbench", "run", *words], check=True)

    found, _ = gather([options.runs / "dg"])
    plain = [b for b in boards("dg", found)[0] if not b.settings]
    if not plain:
        raise InputError(f"{options.runs} holds no record of dg with its defaults")
    lines = {line.label: line for line in plain[0].lines}
    print(f"| dg: property | least | mean ± 95 % over seeds {options.seeds} | holds |")
    print("| --- | --: | --: | --- |")
    held = True
    for entry in PROPERTIES:
        mean, half = interval(entry.values(lines))
        holds = mean >= entry.least
        held &= holds
        word = "yes" if holds else "NO"
        print(
            f"| {entry.title} | {entry.least:.1f} | {mean:.1f} ± {half:.1f} | {word} |"
        )
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
