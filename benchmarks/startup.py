"""How soon a run begins: `clbench run` to its first step, beside the libraries alone.

The libraries are torch, transformers, timm and avalanche, imported in a process that
does nothing else. Both kinds of process alternate, so that whatever else the machine
does falls on both alike; the least of each is what the machine can do.

    python benchmarks/startup.py --rounds 5
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

IMPORTS = """
import time
begun = time.perf_counter()
import torch, transformers, timm, warnings
warnings.simplefilter("ignore")
import avalanche.training.templates, avalanche.benchmarks.scenarios
"""

STEP = """
from clbench import cell, config
from clbench.cell import run_cell
from clbench.engine import Hooks
from clbench.report import QuietReporter
import os

def stop(self, strategy, **kwargs):
    os._exit(0)

Hooks.before_forward = stop
((one,), options) = config.resolve({words!r})
run_cell(one, options, QuietReporter())
"""

LIST = "from clbench.cli import app; app(['list'])"


def seconds(code: str) -> float:
    """Of a process that runs `code`, its start included."""
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begun


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scenario", default="dg")
    parser.add_argument("--strategy", default="lora")
    options = parser.parse_args()
    words = [f"strategy={options.strategy}", f"scenario={options.scenario}"]
    words += ["out=runs-startup"]
    if options.scenario == "dg":
        words.append("scenario.target=sketch")
    codes = {"libraries": IMPORTS, "first step": STEP.format(words=words), "list": LIST}
    found: dict[str, list[float]] = {name: [] for name in codes}
    for _ in range(options.rounds):
        for name, code in codes.items():
            found[name].append(seconds(code))
    least = {name: min(values) for name, values in found.items()}
    print(f"import of torch, transformers, timm, avalanche {least['libraries']:6.2f} s")
    print(f"{' '.join(words[:2])}: to the first step {least['first step']:6.2f} s")
    print(f"ratio {least['first step'] / least['libraries']:.2f}")
    print(f"clbench list {least['list']:.2f} s")


if __name__ == "__main__":
    main()
