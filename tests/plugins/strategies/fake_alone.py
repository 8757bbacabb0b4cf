"""A strategy that fails in one process, and nowhere else."""

from __future__ import annotations

import os

from clbench.contract import Run, Strategy


class Alone(Strategy):
    """Fails in one of several processes.

    Args:
        rank: Number of that process, as its launcher gives it.
    """

    def __init__(self, *, rank: int = 1) -> None:
        self.rank = rank

    def after_step(self, run: Run) -> None:
        if os.environ.get("RANK") == str(self.rank) and run.step == 3:
            raise RuntimeError("only here")
