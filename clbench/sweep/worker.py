"""A process that runs cells for a sweep: jobs on its standard input, events on its
standard output, a line of JSON each.

It lives for many cells, so that imports are paid once. It ends when its input does; a
cell that runs then stops at its next safe moment, with a checkpoint.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
from collections.abc import Mapping
from typing import IO, Any

from clbench.sweep.job import work


def main() -> None:
    """Run what comes, until nothing comes any more."""
    # Whoever started this process may have had it ignored, as shells do for `&`.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    answers = own_output()
    jobs: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(jobs,), daemon=True).start()

    def tell(event: Mapping[str, Any]) -> None:
        answers.write(json.dumps(event) + "\n")

    try:
        while (text := jobs.get()) is not None:
            ending = work(text, tell)
            tell({"ended": ending.to_dict()})
    except (KeyboardInterrupt, BrokenPipeError):
        return


def own_output() -> IO[str]:
    """Standard output, kept from what plugins and libraries print: that goes to the
    error stream."""
    kept = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    return kept


def _read(jobs: queue.SimpleQueue[str | None]) -> None:
    for line in sys.stdin:
        jobs.put(line)
    jobs.put(None)
    # The sweep is gone, or done with this process: in a cell that means to stop.
    os.kill(os.getpid(), signal.SIGINT)


if __name__ == "__main__":
    main()
