"""WiSE-FT: after each experience, weights between the pre-trained and the new ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from clbench.contract import (
    Between,
    Experience,
    Fraction,
    Reference,
    Run,
    Strategy,
)
from clbench.past import Anchor


class Wiseft(Strategy):
    """Interpolates all trained weights with those from before.

    Args:
        alpha: Share of the newly trained weights; 1 is plain fine-tuning, 0 nothing.
        towards: Weights they are drawn to: those before any training, or those before
            the experience.
    """

    reference = Reference(
        paper="Wortsman et al.: Robust Fine-Tuning of Zero-Shot Models. CVPR 2022",
        url="https://arxiv.org/abs/2109.01903",
        differs="Interpolates after every experience of a stream; the paper has one.",
    )

    def __init__(
        self,
        *,
        alpha: Annotated[Fraction, Between(0.1, 1.0)] = 0.8,
        towards: Literal["initial", "previous"] = "initial",
    ) -> None:
        self.alpha = alpha
        self.towards = towards
        self._anchor: Anchor | None = None

    def before_experience(self, run: Run, experience: Experience) -> None:
        """Remember the weights from before."""
        if self._anchor is None or self.towards == "previous":
            self._anchor = Anchor.of(run.model)

    def after_experience(self, run: Run, experience: Experience) -> None:
        """Interpolate."""
        assert self._anchor is not None
        self._anchor.interpolate(run.model, self.alpha)

    def state(self) -> dict[str, Any]:
        """The weights from before."""
        return {} if self._anchor is None else {"anchor": self._anchor.values}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take them back."""
        self._anchor = Anchor(state["anchor"]) if "anchor" in state else None
