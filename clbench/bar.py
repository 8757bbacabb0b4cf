"""A bar for long work, whose speed and time left no jump of the clock can spoil."""

from __future__ import annotations

import sys
import time
from typing import Any

from tqdm import tqdm


class Bar(tqdm):  # type: ignore[type-arg]
    """A bar on the error stream; on a file it is written every ten seconds.

    tqdm asks the clock on the wall, which is set right, or wrong, while cells run.

    Args:
        **form: See tqdm.
    """

    # The thread behind it compares with the clock on the wall.
    monitor_interval = 0

    def __init__(self, **form: Any) -> None:
        terminal = sys.stderr.isatty()
        super().__init__(
            mininterval=0.1 if terminal else 10, dynamic_ncols=terminal, **form
        )
        if not self.disable:
            self._time = time.monotonic
            self.start_t = self.last_print_t = time.monotonic()
