"""What was estimated and what it took: cells timed for a few steps, then run.

Each embedded cell is first timed as `clbench sweep --plan` does, then run; both are
printed side by side, with what was counted. Cells are cut short to save time. Where
other programs compute meanwhile, `--cpu` counts the processor's time instead of the
clock's, for both alike.

    python benchmarks/plan.py --whole
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from unittest.mock import patch

from clbench import config, record
from clbench.cell import run_cell
from clbench.cli.planning import span
from clbench.estimate import trial
from clbench.estimate.worker import Worker
from clbench.report import QuietReporter
from clbench.threads import use_threads

CELLS: Sequence[tuple[str, str]] = (
    ("strategy=lora scenario=dg scenario.target=sketch", "scenario.steps=100"),
    ("strategy=pego scenario=dg scenario.target=sketch", "scenario.steps=100"),
    ("strategy=ewc scenario=clip", "scenario.steps_per_task=40"),
    ("strategy=lwf scenario=clip", "scenario.steps_per_task=40"),
    ("strategy=mtlora scenario=mtl", "scenario.steps=60"),
    ("strategy=ofs_dpo scenario=dpo", "scenario.steps=40"),
    ("strategy=increlora scenario=nlu", "scenario.steps_per_task=50"),
)
"""What is run, and how it is cut short."""


def main() -> None:
    """Time, run and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--whole", action="store_true", help="Cut nothing short")
    parser.add_argument("--cpu", action="store_true", help="Time of the processor")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    use_threads(given.threads)
    print(
        "| cell | estimated | true, s | true / estimated | steps | rows | disk, kB: "
        "estimated | true | memory, MB: estimated | true |"
    )
    print("| --- | --- " + "| --: " * 8 + "|")
    clock = time.process_time if given.cpu else time.perf_counter
    with tempfile.TemporaryDirectory() as folder, patch("time.perf_counter", clock):
        for words, cut in CELLS:
            more = [] if given.whole else [cut]
            fixed = [f"out={folder}", f"threads={given.threads}"]
            print(_line([*words.split(), *more, *fixed], given.cpu), flush=True)


def _line(words: Sequence[str], here: bool) -> str:
    (cell,), options = config.resolve(words)
    if here:
        timed = trial.measure(cell, options)
    else:
        with Worker(options) as worker:
            timed = worker.time(cell)
    made = run_cell(cell, options, QuietReporter())
    if made.cost is None or made.status != "ok":
        raise SystemExit(f"{cell.label()}: {made.reason}")
    path = record.path_of(options.out, cell)
    beside = sum(p.stat().st_size for p in Path(path.parent).glob(f"{path.stem}*"))
    spent, expected = made.cost.seconds["total"], timed.seconds
    parts = [
        cell.label(),
        span(expected),
        f"{spent:.1f}",
        f"{spent / expected.middle:.2f}",
        f"{timed.total_steps} / {made.cost.steps}",
        f"{timed.evaluations} / {len(made.rows)}",
        f"{timed.sizes.record / 1e3:.0f}",
        f"{beside / 1e3:.0f}",
        f"{timed.peak / 1e6:.0f}",
        f"{made.cost.peak_bytes / 1e6:.0f}",
    ]
    return "| " + " | ".join(parts) + " |"


if __name__ == "__main__":
    main()
