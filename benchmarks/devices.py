"""One cell in one process and in several: how far numbers differ, how long it takes.

Float32 sums up in another order where rows are divided. To show that it is this and
nothing else, the cell runs in one process as it is, in one process in as many parts
(`accumulate=`), and in several processes: the last two compute the same sums.

    python benchmarks/devices.py --processes 2 strategy=pego scenario=dg \
        scenario.target=sketch scenario.steps=60 device=cpu

They run one after another, with as many threads (`OMP_NUM_THREADS`, or 1) for each
process. Prints the largest difference of a score, absolute and in parts of the score
where that is above 1, and the seconds of each.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from clbench.record import Record, read


def launched(words: list[str], processes: int, out: Path) -> list[Record]:
    """The records of `words`, run by so many processes."""
    command = ["-m", "clbench", "run", *words, f"out={out}", "--quiet"]
    if processes > 1:
        launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node")
        command = [*launcher, str(processes), *command]
    threads = os.environ.get("OMP_NUM_THREADS", "1")
    environment = {**os.environ, "OMP_NUM_THREADS": threads}
    subprocess.run([sys.executable, *command], env=environment, check=True)
    return [read(path) for path in sorted(out.rglob("*--*.json"))]


def gaps(one: Record, several: Record) -> Iterator[tuple[float, float, str]]:
    """Of each score the difference, that in parts of it, and which it is."""
    for number, (then, now) in enumerate(zip(one.rows, several.rows, strict=True)):
        for task, scores in then.scores.items():
            for name, score in scores.items():
                other = now.scores[task][name]
                if score is not None and other is not None:
                    gap = abs(score - other)
                    where = f"row {number}, {task} {name}"
                    yield gap, gap / max(1.0, abs(score)), where


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("words", nargs="+", help="what follows `clbench run`")
    given = parser.parse_args()
    count = given.processes
    parts = [*given.words, f"accumulate={count}"]
    ways = {
        "1 process": (given.words, 1),
        f"1 process, {count} parts": (parts, 1),
        f"{count} processes": (given.words, count),
    }
    with tempfile.TemporaryDirectory() as folder:
        found = [
            launched(words, number, Path(folder) / str(place))
            for place, (words, number) in enumerate(ways.values())
        ]
    for cells in zip(*found, strict=True):
        first, last = cells[0], cells[-1]
        print(f"{first.strategy.name} on {first.scenario.name}, seed {first.seed}")
        for name, each in zip(ways, cells, strict=True):
            taken = 0.0 if each.cost is None else each.cost.seconds["train"]
            print(f"  {name}: {each.status}, {taken:.1f} seconds of training")
        for name, each in zip(ways, cells[:-1], strict=False):
            apart, _, where = max(gaps(each, last), default=(0.0, 0.0, "-"))
            part = max((part for _, part, _ in gaps(each, last)), default=0.0)
            gap = f"{apart:.1e} ({where}), in parts of the score {part:.1e}"
            print(f"  {count} processes and {name} differ by {gap}")


if __name__ == "__main__":
    main()
