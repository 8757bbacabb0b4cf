"""One bar for all the cells of a search, with the time that is left."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.console import Console

from clbench.bar import Bar
from clbench.report import Reporter

if TYPE_CHECKING:
    from clbench.record import Record

FORM = (
    "{desc}: {percentage:3.0f}% |{bar}| {n:.1f}/{total} cells "
    "[{elapsed}<{remaining}{postfix}]"
)


class Progress(Reporter):
    """Shows a search as one bar; steps of a cell are parts of it.

    Args:
        console: Where lines go; the bar goes to the error stream.
        label: Of the bar.
        cells: Of the whole search.
        shown: Whether anything is.
    """

    def __init__(self, console: Console, label: str, cells: int, shown: bool) -> None:
        super().__init__(console, label)
        self._done = 0
        self._part = 0.0
        self._whole = Bar(total=cells, desc=label, bar_format=FORM, disable=not shown)

    def start(self, facts: Mapping[str, str]) -> None:
        """Nothing: there are many cells."""

    def total(self, steps: int, done: int = 0) -> None:
        """A cell is about to take so many steps."""
        self._part = 1 / max(1, steps)
        self._whole.update(done * self._part)

    def advance(self, loss: float, examples: int) -> None:
        """One of them was taken."""
        # A cell is whole when its record is.
        if self._whole.n + self._part < self._done + 1:
            self._whole.update(self._part)

    def note(self, text: str) -> None:
        """A line above the bar."""
        self._whole.write(text, file=self._console.file)

    def finish(self, record: Record) -> None:
        """Nothing: trials are told, not cells."""

    def cell_done(self, ran: bool) -> None:
        """A cell has a record; one that had it before says nothing of the time left."""
        self._done += 1
        if not ran and not self._whole.disable:
            self._whole.initial += 1
        self._whole.update(self._done - self._whole.n)

    def best(self, text: str) -> None:
        """What is best so far."""
        self._whole.set_postfix_str(f"best {text}", refresh=False)

    def _close(self) -> None:
        self._whole.close()
