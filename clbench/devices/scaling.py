"""Loss scaling where a model computes in float16, whose smallest numbers are large."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

FIRST, LEAST = 2.0**16, 2.0**-6
"""Factor to begin with, and the one below which overflow is no matter of scale."""

PATIENCE = 2000
"""Backward passes without overflow after which the factor doubles."""

Gradients = Sequence[Tensor | None]


class Scaling:
    """Scales what enters the backward pass of a model, and gradients back.

    What lies outside of the model never sees a scaled number. Where a gradient
    overflows, the factor is halved and the backward pass is done again: no step is
    left out.
    """

    def __init__(self) -> None:
        self.factor, self._good = FIRST, 0

    def descend(self, backward: Callable[[float], Gradients]) -> Gradients:
        """The gradients that `backward` gives, unscaled.

        Args:
            backward: Factor of what enters -> gradients of parameters.
        """
        while True:
            found = backward(self.factor)
            known = [gradient for gradient in found if gradient is not None]
            if self.factor <= LEAST or _finite(known):
                break
            self.factor, self._good = self.factor / 2, 0
        back = 1 / self.factor
        self._good += 1
        if self._good == PATIENCE:
            self.factor, self._good = self.factor * 2, 0
        return [None if gradient is None else gradient * back for gradient in found]

    def state(self) -> dict[str, Any]:
        """All that `load_state` needs."""
        return {"factor": self.factor, "good": self._good}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.factor, self._good = state["factor"], state["good"]


def _finite(gradients: Sequence[Tensor]) -> bool:
    if not gradients:
        return True
    # An infinity stays one in the norms, and one number is asked of the device.
    norms = torch._foreach_norm(list(gradients), float("inf"))
    return bool(torch.isfinite(torch.stack(norms)).all())
