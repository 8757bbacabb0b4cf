"""When a checkpoint is written: by the clock, at boundaries, and when Ctrl-C asks."""

from __future__ import annotations

import os
import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Self

BOUNDARY = 10.0
"""Seconds since the last checkpoint before a boundary is worth one."""

SHARE = 50.0
"""A boundary is worth one if the last was written in this part of the time since."""


class Pace:
    """Says when it is time.

    Args:
        every: Minutes between checkpoints within an experience; 0 writes at boundaries
            only, and at all of them; None never.
    """

    def __init__(self, every: float | None) -> None:
        self._every = every
        self._last, self._took = time.monotonic(), 0.0
        self._within = bool(every)

    def due(self, boundary: bool) -> bool:
        """Whether a checkpoint should be written at this moment."""
        if self._every is None or not (boundary or self._within):
            return False
        wait = 60 * self._every
        if boundary:
            wait = min(wait, max(BOUNDARY, SHARE * self._took))
        return time.monotonic() - self._last >= wait

    def wrote(self, seconds: float) -> None:
        """One was written now, in so many seconds."""
        self._last, self._took = time.monotonic(), seconds

    def boundaries_only(self) -> None:
        """There can be none within an experience."""
        self._within = False

    def never(self) -> None:
        """There can be none at all."""
        self._every = None


class Interrupt:
    """Within, the first Ctrl-C asks to stop at the next safe moment.

    The second one stops at once, as without this. Does nothing where somebody else
    handles that signal, or outside of the main thread.

    Args:
        armed: Whether there is a safe moment to wait for.
        line: Shown when it is asked; empty shows nothing.
    """

    def __init__(self, *, armed: bool, line: str) -> None:
        self.asked = False
        self._armed, self._line = armed, line

    def __enter__(self) -> Self:
        here = threading.current_thread() is threading.main_thread()
        usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
        self._armed = self._armed and here and usual
        if self._armed:
            signal.signal(signal.SIGINT, self._ask)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._armed:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        # Not by print: the signal may have come in the middle of one.
        os.write(2, f"\n{self._line}\n".encode() if self._line else b"")
