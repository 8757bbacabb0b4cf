"""When gates shrink, and by how much: a dense phase, then rising thresholds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clbench.contract import InputError

PUBLISHED_CUT = 0.6498979591836735
"""Sum of all thresholds that the published run applies: 500 steps, 0.005 at the most.

A gate that gets no gradient survives if it starts beyond that.
"""


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of one experience.

    Attributes:
        applied: (T,) what gates shrink by after each optimizer step; 0 leaves them.
    """

    applied: NDArray[np.float64]

    @property
    def cut(self) -> float:
        """Sum of them: how far a gate without gradient moves."""
        return float(self.applied.sum())


def thresholds(
    steps: int, *, dense: float, levels: int | None, largest: float | None
) -> Thresholds:
    """The released schedule.

    Over `levels` equally spaced thresholds from 0 to `largest`, one further every
    `(steps - dense steps) // levels` steps.

    Args:
        steps: T, optimizer steps of the experience.
        dense: Part of them during which nothing shrinks.
        levels: Number of thresholds; None is 50, or fewer where there are fewer steps.
        largest: kappa_max; None scales it so that the thresholds sum up to
            `PUBLISHED_CUT`, whatever T.

    Raises:
        InputError: So few steps are left that no gate could ever shrink.
    """
    start = dense * steps
    rest = steps - start
    count = min(50, int(rest)) if levels is None else levels
    every = int(rest / count) if count else 0
    unit = np.zeros(steps)
    if every >= 1:
        table = np.linspace(0, 1, count)
        index = 0
        for step in range(steps):
            if step >= start and step % every == 0:
                index = min(index + 1, count - 1)
            if step > start:
                unit[step] = table[index]
    if not unit.any():
        raise InputError(
            f"codyra can never close a gate: {steps} steps of an experience leave "
            f"{int(rest)} after the dense phase (strategy.dense={dense:g}) for "
            f"{levels or count} thresholds (strategy.levels); take more steps, a "
            f"shorter dense phase or fewer levels"
        )
    scale = PUBLISHED_CUT / unit.sum() if largest is None else largest
    return Thresholds(scale * unit)
