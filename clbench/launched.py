"""Whether this process is one of several that a launcher started, to run a cell."""

from __future__ import annotations

import os

NAMES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
"""What `accelerate launch` and `torchrun` put into the environment."""


class Lost(RuntimeError):
    """Another process of a cell has ended, and this one cannot go on without it."""


def several() -> bool:
    """Whether there are several, of which this is one."""
    known = all(name in os.environ for name in NAMES)
    return known and int(os.environ["WORLD_SIZE"]) > 1


def follows() -> bool:
    """Whether another one of them leads: writes, shows, and says what is run."""
    return several() and os.environ["RANK"] != "0"
