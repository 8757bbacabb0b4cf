"""What a second worker gains: a sweep of embedded cells with one worker and with two.

All run the same eight cells: one worker with one thread, one with two, two with a
thread each. They take turns, so that whatever else the machine does falls on all. Time
is from the command to its end, imports and summaries included.

    python benchmarks/sweep.py --rounds 2
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time

CELLS = ("strategy=lora,finetune", "scenario=dg", "scenario.target=sketch")
SEEDS = "seed=0,1,2,3"
WAYS = ((1, 1), (1, 2), (2, 1))
"""Workers, and threads of each."""


def sweep(workers: int, steps: int, threads: int) -> float:
    """Seconds that the cells take with so many workers."""
    words = [*CELLS, SEEDS, f"scenario.steps={steps}", f"workers={workers}"]
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        subprocess.run(
            [
                *(sys.executable, "-m", "clbench", "sweep", *words),
                *("device=cpu", f"threads={threads}", f"out={folder}", "--quiet"),
            ],
            check=True,
        )
        return time.perf_counter() - start


def main() -> None:
    """Run it and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=300, help="of each cell")
    given = parser.parse_args()
    sweep(2, 1, 1)  # what is cached is cached for all
    seconds: dict[tuple[int, int], list[float]] = {way: [] for way in WAYS}
    for _ in range(given.rounds):
        for workers, threads in WAYS:
            seconds[workers, threads].append(sweep(workers, given.steps, threads))
    print("| workers | threads of each | seconds, median | least | throughput |")
    print("| --: | --: | --: | --: | --: |")
    one = statistics.median(seconds[WAYS[0]])
    for (workers, threads), found in seconds.items():
        middle = statistics.median(found)
        print(
            f"| {workers} | {threads} | {middle:.1f} | {min(found):.1f} | "
            f"{one / middle:.2f} |"
        )


if __name__ == "__main__":
    main()
