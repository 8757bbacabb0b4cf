"""One cell in one process and in several: how far numbers differ, how long it takes.

    python benchmarks/devices.py --processes 2 strategy=pego scenario=dg \
        scenario.target=sketch scenario.steps=60 device=cpu

One runs after the other, with as many threads (`OMP_NUM_THREADS`, or 1) for each
process. Prints the largest difference of a score, absolute and in parts of the score
where that is above 1, and the seconds of each.
"""

from __future__ import annotations

import argparse
import os
import socket
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
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            port = str(found.getsockname()[1])
        launcher = ("-m", "torch.distributed.run", "--nproc-per-node", str(processes))
        command = [*launcher, "--master-port", port, *command]
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
    with tempfile.TemporaryDirectory() as folder:
        one = launched(given.words, 1, Path(folder) / "one")
        several = launched(given.words, given.processes, Path(folder) / "several")
    for then, now in zip(one, several, strict=True):
        apart, _, where = max(gaps(then, now), default=(0.0, 0.0, "-"))
        part = max((part for _, part, _ in gaps(then, now)), default=0.0)
        seconds = [
            0.0 if record.cost is None else record.cost.seconds["train"]
            for record in (then, now)
        ]
        print(f"{then.strategy.name} on {then.scenario.name}, seed {then.seed}")
        print(f"  {then.status} in 1 process, {now.status} in {given.processes}")
        print(f"  largest difference {apart:.1e} ({where}), in parts {part:.1e}")
        print("  seconds of training {:.1f} and {:.1f}".format(*seconds))


if __name__ == "__main__":
    main()
