"""What a few timed steps of a cell say about all of it."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True)
class Span:
    """Seconds: what is expected, and the range that the spread of timings gives.

    Attributes:
        low, middle, high: Ascending.
    """

    low: float = 0.0
    middle: float = 0.0
    high: float = 0.0

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Self:
        """Of one timing after another: quartiles around the mean.

        Raises:
            StatisticsError: There is none.
        """
        mean = statistics.fmean(seconds)
        if len(seconds) < 2:
            return cls(mean, mean, mean)
        first, _, third = statistics.quantiles(seconds, method="inclusive")
        return cls(min(first, mean), mean, max(third, mean))

    @classmethod
    def exactly(cls, seconds: float) -> Self:
        """Without a range."""
        return cls(seconds, seconds, seconds)

    def __add__(self, other: Span) -> Span:
        return Span(
            self.low + other.low, self.middle + other.middle, self.high + other.high
        )

    def __mul__(self, factor: float) -> Span:
        return Span(self.low * factor, self.middle * factor, self.high * factor)

    def map(self, change: Callable[[float], float]) -> Span:
        """Each of the three, changed."""
        return Span(change(self.low), change(self.middle), change(self.high))


@dataclass(frozen=True)
class Part:
    """One experience, learned for a few steps.

    Attributes:
        trained: Whether anything is.
        before: Seconds ahead of its first step, the strategy's hook included.
        steps: Seconds of each step.
        after: Seconds of the strategy's hook at its end.
    """

    trained: bool
    before: float
    steps: Sequence[float]
    after: float

    def learning(self, steps: int) -> Span:
        """Seconds of so many steps and what surrounds them."""
        around = Span.exactly(self.before + self.after)
        if not (self.trained and steps and self.steps):
            return around
        # The first warms up; of a cell it is the first as well.
        first, *rest = self.steps
        return around + Span.exactly(first) + Span.of(rest or [first]) * (steps - 1)


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Bytes on the disk, at the most as far as a few steps can tell.

    Attributes:
        record: Of a cell's record and what lies beside it.
        checkpoint: Of one checkpoint; 0 where there is none.
        model: Of the trained model, where it is kept.
    """

    record: int = 0
    checkpoint: int = 0
    model: int = 0


@dataclass(frozen=True, kw_only=True)
class Timed:
    """What was found of one cell without running it.

    Attributes:
        steps: Optimizer steps of every experience.
        every: Steps between evaluations within an experience; None is none.
        tasks: Columns of the matrix, each judged in every row.
        caches: Seconds to read the data first; later cells find them in the cache.
        prepare: Seconds to build the model and prepare it.
        first: Seconds of the evaluation before training.
        rows: Seconds of evaluations after some training.
        parts: The first experiences; those after them are taken to be like the last.
        sizes: On the disk.
        peak: Bytes of memory.
    """

    steps: Sequence[int]
    every: int | None
    tasks: int
    caches: float
    prepare: float
    first: float
    rows: Sequence[float]
    parts: Sequence[Part]
    sizes: Sizes
    peak: int

    @property
    def total_steps(self) -> int:
        """Optimizer steps of the cell."""
        return sum(n for i, n in enumerate(self.steps) if self._part(i).trained)

    @property
    def evaluations(self) -> int:
        """Rows of the matrix: before training, within experiences, at their ends."""
        return 1 + sum(self._rows(i) for i in range(len(self.steps)))

    @property
    def judgements(self) -> int:
        """Entries of the matrix: a task is judged once in each row."""
        return self.evaluations * self.tasks

    @property
    def seconds(self) -> Span:
        """Of the whole cell, as its record will count them."""
        found = Span.exactly(self.prepare + self.first)
        for number, steps in enumerate(self.steps):
            found += self._part(number).learning(steps)
        return found + self._row * (self.evaluations - 1)

    @property
    def _row(self) -> Span:
        rows = self.rows or [self.first]
        return Span(min(rows), statistics.fmean(rows), max(rows))

    def _part(self, number: int) -> Part:
        return self.parts[min(number, len(self.parts) - 1)]

    def _rows(self, number: int) -> int:
        within = 0
        if self.every and self._part(number).trained:
            within = max(self.steps[number] - 1, 0) // self.every
        return within + 1

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as JSON holds them."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Timed:
        """What gave `plain` in `to_dict`."""
        values = dict(plain)
        values["parts"] = [Part(**part) for part in values["parts"]]
        values["sizes"] = Sizes(**values["sizes"])
        return cls(**values)
