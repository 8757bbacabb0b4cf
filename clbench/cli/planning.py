"""What a sweep will cost, as a table or as JSON, before any of it is run."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Never

from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from clbench.estimate import kept
from clbench.estimate.bundles import Bundle, bundled
from clbench.estimate.plan import NOT_COUNTED, Line, Plan, plan
from clbench.estimate.spent import Comparison
from clbench.estimate.timed import Span
from clbench.estimate.worker import Worker
from clbench.quantities import duration, size

if TYPE_CHECKING:
    from clbench.options import Options
    from clbench.resolved import Cell

BUSY = 0.5
"""Other processes that compute, for each processor, from which timings are in doubt."""


def show(cells: Sequence[Cell], options: Options, workers: int) -> Plan:
    """Time a few steps of what `cells` are, and print what all of them will take.

    Args:
        cells: Of the sweep.
        options: How they would run; `json` prints one object, `quiet` shows no bar.
        workers: Cells that would run at a time.
    """
    found = _timed(bundled(cells, options), options, workers)
    kept.remember(found, options)
    if options.json:
        sys.stdout.write(json.dumps(found.to_dict()) + "\n")
    else:
        console = Console()
        console.print(table(found))
        for line in facts(found):
            console.print(line, markup=False, highlight=False, soft_wrap=True)
    return found


def _timed(bundles: Sequence[Bundle], options: Options, workers: int) -> Plan:
    terminal = sys.stderr.isatty()
    bar: tqdm[Never] = tqdm(
        total=len(bundles),
        desc="timing",
        unit="kind of cell",
        bar_format="{desc}: {n}/{total} [{elapsed}<{remaining}] {postfix}",
        mininterval=0.1 if terminal else 10,
        dynamic_ncols=terminal,
        disable=options.quiet,
        leave=False,
    )
    begun = 0

    def tell(bundle: Bundle) -> None:
        nonlocal begun
        bar.update(begun - bar.n)
        bar.set_postfix_str(bundle.name)
        begun += 1

    with bar, Worker(options) as worker:
        return plan(bundles, worker, workers, tell)


def table(found: Plan) -> Table:
    """A row for every kind of cell, and one for all."""
    made = Table(box=None, padding=(0, 2, 0, 0))
    made.add_column("cells")
    names = ("to run", "steps", "evaluations", "a cell", "all of them", "memory")
    for name in names:
        made.add_column(name, justify="right")
    for line in found.lines:
        made.add_row(line.bundle.name, *_row(line))
    if len(found.lines) > 1:
        plain = found.to_dict()
        made.add_row(
            "all",
            _left(plain["to_run"], plain["cells"]),
            f"{plain['steps']:,}",
            f"{plain['evaluations']:,}",
            "",
            duration(found.work.middle),
            size(found.memory["cell"]),
            style="bold",
        )
    return made


def _row(line: Line) -> list[str]:
    cells = _left(line.count, len(line.bundle.cells))
    timed = line.timed
    if timed is None:
        return [cells, *["-"] * 5]
    total = sum((cell.middle for cell in line.cells), 0.0)
    return [
        cells,
        f"{line.steps:,}",
        f"{line.evaluations:,}",
        span(timed.seconds),
        duration(total),
        size(timed.peak),
    ]


def _left(count: int, of: int) -> str:
    return str(count) if count == of else f"{count} of {of}"


def facts(found: Plan) -> list[str]:
    """What is to be said below the table."""
    plain, lines = found.to_dict(), []
    for line in found.lines:
        if line.reason:
            what = "unsupported" if line.unsupported else "not timed"
            lines.append(f"{what}: {line.bundle.name}: {line.reason}")
        lines += [f"cannot be run: {reason}" for reason in line.bundle.refused]
    if plain["done"]:
        lines.append(f"{plain['done']} of {plain['cells']} cells have a record")
    if plain["stopped"]:
        lines.append(f"{plain['stopped']} go on from a checkpoint, what is done is off")
    work = f"time: {span(found.work)} of work"
    if found.workers > 1:
        work += f", {span(found.wall)} with {found.workers} workers at the least"
    if found.load is not None and found.load > BUSY:
        work += (
            f"; other programs were computing ({found.load:.1f} for each processor), "
            f"without them it may be less"
        )
    disk, memory = found.disk, found.memory
    parts = [f"{size(disk['records'])} of records"]
    if disk["models"]:
        parts.append(f"{size(disk['models'])} of models")
    parts.append(f"{size(disk['checkpoints'])} of checkpoints meanwhile")
    peak = f"memory: {size(memory['cell'])} for the largest cell"
    if found.workers > 1:
        peak += f", {size(memory['together'])} for {found.workers} at a time"
    judged = (
        f"judged: {plain['evaluations']:,} evaluation passes, "
        f"{plain['judgements']:,} tasks in all of them"
    )
    return [
        *lines,
        work,
        f"disk: at most {', '.join(parts)}",
        peak,
        judged,
        f"not counted: {'; '.join(NOT_COUNTED)}",
    ]


def comparison(found: Comparison) -> str:
    """What cells took, beside what they should have, in a line."""
    sources = {
        "plan": "--plan",
        "records": "records that were there",
        "first": "the first cell of each kind",
    }
    several = "s" if found.cells > 1 else ""
    line = (
        f"estimated {span(found.estimated)} for {found.cells} cell{several} "
        f"(from {sources[found.source]}), they took {duration(found.true)}"
    )
    if found.estimated.middle:
        line += f": {found.true / found.estimated.middle:.2f} times"
    if found.worst is not None:
        name, ratio = found.worst
        line += f"; worst for {name}, {ratio:.2f} times"
    return line


def span(seconds: Span) -> str:
    """`12 min (10 to 14 min)`; without a range where there is none."""
    low, middle, high = map(duration, (seconds.low, seconds.middle, seconds.high))
    return middle if low == high else f"{middle} ({low} to {high})"
