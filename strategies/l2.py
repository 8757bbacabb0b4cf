"""L2 to the start: every weight is trained, but pulled back to the pre-trained one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from torch import Tensor

from clbench.contract import (
    Batch,
    Between,
    Experience,
    NonNegative,
    Run,
    Strategy,
)
from clbench.past import Anchor


class L2(Strategy):
    """Adds a weight times the squared distance from where training began.

    Args:
        pull: Weight of half the squared distance.
    """

    def __init__(
        self, *, pull: Annotated[NonNegative, Between(1e-3, 1e1, log=True)] = 1.0
    ) -> None:
        self.pull = pull
        self._start: Anchor | None = None

    def before_experience(self, run: Run, experience: Experience) -> None:
        """Remember the start, once."""
        if self._start is None:
            self._start = Anchor.of(run.model)

    def penalty(self, run: Run, output: Any, batch: Batch) -> Tensor | None:
        """Half the squared distance, weighted."""
        assert self._start is not None
        return 0.5 * self.pull * self._start.distance(run.model)

    def state(self) -> dict[str, Any]:
        """The start."""
        return {} if self._start is None else {"start": self._start.values}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take the start back."""
        self._start = Anchor(state["start"]) if "start" in state else None
