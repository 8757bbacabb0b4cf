"""Shrink: every weight is trained, and drawn back after each experience."""

from __future__ import annotations

from torch import nn

from clbench.contract import Experience, Fraction, Problem, Run, Strategy
from clbench.past import Anchor


class Shrink(Strategy):
    """Fine-tuning, then a step back to the pre-trained weights.

    Args:
        keep: Part of the way that is kept; 1 is plain fine-tuning.
    """

    def __init__(self, *, keep: Fraction = 0.5) -> None:
        self.keep = keep

    def prepare(self, model: nn.Module, problem: Problem) -> None:
        """Remember where the weights began."""
        self._start = Anchor.of(model)

    def after_experience(self, run: Run, experience: Experience) -> None:
        """Go back."""
        self._start.interpolate(run.model, self.keep)

    def state(self):
        """The start: a cell that goes on elsewhere needs it."""
        return {"start": self._start.values}

    def load_state(self, state):
        """Take it back."""
        self._start = Anchor(state["start"])
