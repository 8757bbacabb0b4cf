"""What all cells of a sweep will take together."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from clbench.estimate.bundles import Bundle
from clbench.estimate.timed import Span, Timed
from clbench.estimate.worker import NotTimed, Worker
from clbench.sweep import processors

NOT_COUNTED = (
    "what changes later than in the timed steps: ranks that grow, memories that fill",
    "the writing of checkpoints (of boundaries at most a fiftieth of the time)",
    "downloads, and cells that fail and are run again",
    "workers that slow each other down: cells are timed one at a time",
)
"""What an estimate leaves aside, in words."""

FILES = 3
"""Checkpoints of one cell on the disk: two are kept while another is written."""


@dataclass(frozen=True)
class Line:
    """One bundle and what a cell of it takes.

    Attributes:
        bundle: The cells.
        timed: What was found; None where nothing had to be, or could be.
        reason: Why it could not be.
        unsupported: Whether the strategy says that reason.
    """

    bundle: Bundle
    timed: Timed | None = None
    reason: str = ""
    unsupported: bool = False

    @property
    def count(self) -> int:
        """Cells to be run."""
        return len(self.bundle.left)

    @property
    def steps(self) -> int:
        """Optimizer steps of its cells that are to be run."""
        return 0 if self.timed is None else self.timed.total_steps * self.count

    @property
    def evaluations(self) -> int:
        """Rows of the matrices of its cells that are to be run."""
        return 0 if self.timed is None else self.timed.evaluations * self.count

    @property
    def judgements(self) -> int:
        """Entries of these matrices."""
        return 0 if self.timed is None else self.timed.judgements * self.count

    @property
    def cells(self) -> list[Span]:
        """Seconds of each cell that is to be run."""
        if self.timed is None:
            return []
        return [self.timed.seconds * part for part in self.bundle.left]


@dataclass(frozen=True)
class Plan:
    """Everything a sweep will take.

    Attributes:
        lines: One for each bundle.
        workers: Cells that run at a time.
        startup: Seconds until a process can run a cell.
        load: Processes that computed beside it when it was made, for each processor;
            None where the system does not say.
    """

    lines: Sequence[Line]
    workers: int
    startup: float
    load: float | None = None

    @property
    def work(self) -> Span:
        """Seconds of all cells, as if one ran after another."""
        total = Span()
        for line in self.lines:
            for cell in line.cells:
                total += cell
        caches = sum(li.timed.caches for li in self.lines if li.timed is not None)
        return total + Span.exactly(caches)

    @property
    def wall(self) -> Span:
        """Seconds until the last cell is done, at the least.

        The work divided by the workers, and never less than the longest cell.
        """
        cells = [cell for line in self.lines for cell in line.cells]
        if not cells:
            return Span()
        shared = self.work * (1 / min(self.workers, len(cells)))
        longest = Span(
            max(cell.low for cell in cells),
            max(cell.middle for cell in cells),
            max(cell.high for cell in cells),
        )
        return Span.exactly(self.startup) + Span(
            max(shared.low, longest.low),
            max(shared.middle, longest.middle),
            max(shared.high, longest.high),
        )

    @property
    def disk(self) -> dict[str, int]:
        """Bytes at the most: of records, kept models, and checkpoints meanwhile."""
        timed = [(line.timed.sizes, line.count) for line in self.lines if line.timed]
        largest = sorted(
            (sizes.checkpoint for sizes, count in timed for _ in range(count)),
            reverse=True,
        )
        found = {
            "records": sum(sizes.record * count for sizes, count in timed),
            "models": sum(sizes.model * count for sizes, count in timed),
            "checkpoints": FILES * sum(largest[: self.workers]),
        }
        return {**found, "total": sum(found.values())}

    @property
    def memory(self) -> dict[str, int]:
        """Bytes at the most: of the largest cell, and of those that run together."""
        peaks = sorted(
            (li.timed.peak for li in self.lines if li.timed for _ in range(li.count)),
            reverse=True,
        )
        return {"cell": max(peaks, default=0), "together": sum(peaks[: self.workers])}

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as JSON holds them."""
        return {
            "cells": sum(len(line.bundle.cells) for line in self.lines),
            "done": sum(line.bundle.done for line in self.lines),
            "stopped": sum(line.bundle.stopped for line in self.lines),
            "refused": sum(len(line.bundle.refused) for line in self.lines),
            "to_run": sum(line.count for line in self.lines),
            "unsupported": sum(line.count for line in self.lines if line.unsupported),
            "not_timed": sum(
                line.count
                for line in self.lines
                if line.reason and not line.unsupported
            ),
            "steps": sum(line.steps for line in self.lines),
            "evaluations": sum(line.evaluations for line in self.lines),
            "judgements": sum(line.judgements for line in self.lines),
            "workers": self.workers,
            "load": self.load,
            "seconds": dataclasses.asdict(self.work),
            "wall_seconds": dataclasses.asdict(self.wall),
            "disk_bytes": self.disk,
            "memory_bytes": self.memory,
            "not_counted": list(NOT_COUNTED),
            "lines": [_plain(line) for line in self.lines],
        }


def plan(
    bundles: Sequence[Bundle],
    worker: Worker,
    workers: int,
    tell: Callable[[Bundle], None],
) -> Plan:
    """Time one cell of each of `bundles` that has one to be run.

    Args:
        bundles: All cells.
        worker: Times them.
        workers: Cells that will run at a time.
        tell: Called with each bundle before it is timed.
    """
    load = processors.load()
    lines = []
    for bundle in bundles:
        tell(bundle)
        if not bundle.left:
            lines.append(Line(bundle))
            continue
        try:
            lines.append(Line(bundle, worker.time(bundle.cells[0])))
        except NotTimed as error:
            lines.append(Line(bundle, reason=str(error), unsupported=error.unsupported))
    return Plan(lines, workers, worker.startup, load)


def _plain(line: Line) -> dict[str, Any]:
    timed = line.timed
    found: dict[str, Any] = {
        "cells": line.bundle.name,
        "strategy": line.bundle.cells[0].name,
        "scenario": line.bundle.cells[0].scenario.name,
        "count": len(line.bundle.cells),
        "done": line.bundle.done,
        "unsupported": line.unsupported,
        "reason": line.reason or None,
    }
    if timed is not None:
        found["of_one"] = {
            "steps": timed.total_steps,
            "evaluations": timed.evaluations,
            "judgements": timed.judgements,
            "seconds": dataclasses.asdict(timed.seconds),
            "disk_bytes": dataclasses.asdict(timed.sizes),
            "memory_bytes": timed.peak,
        }
    return found
