"""A strategy that goes where it is told."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Annotated, ClassVar

import torch

from clbench.contract import (
    Among,
    Between,
    Experience,
    Fraction,
    NonNegative,
    Run,
    Space,
    Strategy,
)


class Climb(Strategy):
    """Stands at a place.

    Args:
        place: Where it stands.
        shift: Added to it.
        limit: Beyond it there is no standing.
        wait: Seconds that it takes.
    """

    search: ClassVar[Mapping[str, Space]] = {}

    def __init__(
        self,
        *,
        place: Annotated[Fraction, Between(0, 1)] = 0.9,
        shift: Annotated[float, Among(0.0, 0.05)] = 0.0,
        limit: Fraction = 1.0,
        wait: NonNegative = 0.0,
    ) -> None:
        self.place, self.shift, self.limit, self.wait = place, shift, limit, wait

    def before_experience(self, run: Run, experience: Experience) -> None:
        time.sleep(self.wait)
        if self.place > self.limit:
            raise ValueError(f"nobody stands at {self.place}")
        with torch.no_grad():
            run.model.place.fill_(self.place + self.shift)
