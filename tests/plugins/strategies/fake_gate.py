"""Trains the head, and does to its process what a test asks for."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

from clbench.contract import Problem, Run, Strategy

if TYPE_CHECKING:
    from torch import nn


class Gate(Strategy):
    """The head alone; at its first step files in the folder FAKE_GATE say what happens.

    `begun` gets a line from each cell that comes there. A process is killed until
    `deaths` has as many letters as it shall have. While there is `shut` a cell waits.

    Args:
        deaths: How many processes are killed.
    """

    def __init__(self, *, deaths: int = 0) -> None:
        self.deaths = deaths

    def prepare(self, model: nn.Module, problem: Problem) -> None:
        model.requires_grad_(False)
        for parameter in problem.heads(model):
            parameter.requires_grad_(True)

    def after_step(self, run: Run) -> None:
        if run.step != 1 or (folder := os.environ.get("FAKE_GATE")) is None:
            return
        begun, deaths, shut = (Path(folder) / n for n in ("begun", "deaths", "shut"))
        with begun.open("a") as file:
            file.write(f"{os.getpid()}\n")
        killed = len(deaths.read_text()) if deaths.exists() else 0
        if killed < self.deaths:
            deaths.write_text("x" * (killed + 1))
            os.kill(os.getpid(), signal.SIGKILL)
        while shut.exists():
            time.sleep(0.02)
