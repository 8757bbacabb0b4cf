"""What cells took, beside what they were estimated to take."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from clbench.estimate import kept
from clbench.estimate.bundles import key_of, name_of
from clbench.estimate.timed import Span

if TYPE_CHECKING:
    from clbench.options import Options
    from clbench.record import Record
    from clbench.resolved import Cell

Source = Literal["plan", "records", "first"]
"""Where an estimate is from: timed steps; records of other seeds and folds that were
there before; or else the first cell of its kind."""


@dataclass(frozen=True)
class Done:
    """A cell of a sweep that ended well.

    Attributes:
        cell: It.
        record: It left.
        ran: Whether the sweep ran it.
    """

    cell: Cell
    record: Record
    ran: bool


@dataclass(frozen=True)
class Comparison:
    """Estimated and true seconds of the cells of a sweep.

    Attributes:
        estimated: Of all that could be compared.
        true: Of the same cells.
        cells: How many these are.
        source: Where most of the estimates are from.
        worst: The kind of cell that was estimated worst, and how many times as long
            it took; None where there is one kind.
    """

    estimated: Span
    true: float
    cells: int
    source: Source
    worst: tuple[str, float] | None


def compare(done: Sequence[Done], options: Options) -> Comparison | None:
    """The cells that were run beside their estimates; None where none had one.

    Args:
        done: Cells that have a record which says `ok`, in the order of the sweep.
        options: How they ran.
    """
    planned = kept.recall(options)
    kinds: dict[str, list[Done]] = defaultdict(list)
    for each in done:
        kinds[key_of(each.cell)].append(each)
    total, true, ratios = Span(), 0.0, []
    counts: dict[Source, int] = defaultdict(int)
    for alike in kinds.values():
        ran = [each for each in alike if each.ran]
        span = planned.of(alike[0].cell)
        source: Source = "plan"
        if span is None:
            had = [_seconds(each) for each in alike if not each.ran]
            source = "records" if had else "first"
            if not had:
                # In the order in which they ended, as the sweep met them.
                ran.sort(key=lambda each: each.record.created)
                had, ran = [_seconds(each) for each in ran[:1]], ran[1:]
            span = Span.of(had) if had else None
        if span is None or not ran:
            continue
        took = sum(map(_seconds, ran))
        total, true = total + span * len(ran), true + took
        counts[source] += len(ran)
        expected = span.middle * len(ran)
        if took and expected:
            ratios.append((name_of([ran[0].cell]), took / expected))
    if not counts:
        return None
    worst = max(ratios, key=lambda each: max(each[1], 1 / each[1]), default=None)
    return Comparison(
        total,
        true,
        sum(counts.values()),
        max(counts, key=lambda source: counts[source]),
        worst if len(ratios) > 1 else None,
    )


def _seconds(each: Done) -> float:
    cost = each.record.cost
    return 0.0 if cost is None else cost.seconds["total"]
