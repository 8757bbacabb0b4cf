"""EWC: weights that mattered for earlier experiences are held where they were."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import torch
from torch import Tensor

from clbench.contract import (
    Batch,
    Between,
    Count,
    Experience,
    Fraction,
    NonNegative,
    Reference,
    Run,
    Strategy,
)
from clbench.past import Anchor, shown
from clbench.seeding import derive


class Ewc(Strategy):
    """Elastic weight consolidation, online: one quadratic for all that was learned.

    Args:
        strength: Weight lambda of the penalty lambda / 2 sum F (theta - theta*)^2.
        decay: What the Fisher information of earlier experiences is multiplied by when
            a new one is added; 1 sums them up.
        examples: Examples of an experience whose gradients are squared, at the most
            as many as it has.
    """

    reference = Reference(
        paper=(
            "Kirkpatrick et al.: Overcoming Catastrophic Forgetting in Neural "
            "Networks. PNAS 2017"
        ),
        url="https://arxiv.org/abs/1612.00796",
        equations=("3",),
        differs=(
            "The empirical Fisher information, of the given labels; one anchor at the "
            "latest weights, as online EWC has it (Schwarz et al., ICML 2018)."
        ),
    )

    def __init__(
        self,
        *,
        strength: Annotated[NonNegative, Between(1e1, 1e6, log=True)] = 1000.0,
        decay: Fraction = 1.0,
        examples: Count = 128,
    ) -> None:
        self.strength = strength
        self.decay = decay
        self.examples = examples
        self._anchor = Anchor({})
        self._fisher: dict[str, Tensor] = {}

    def penalty(self, run: Run, output: Any, batch: Batch) -> Tensor | None:
        """The quadratic around the weights that the last experience ended with."""
        terms = [
            (self._fisher[name] * (parameter - value).square()).sum()
            for name, parameter, value in self._anchor.pairs(run.model)
        ]
        return 0.5 * self.strength * torch.stack(terms).sum() if terms else None

    def after_experience(self, run: Run, experience: Experience) -> None:
        """Add this experience's Fisher information and move the anchor."""
        self._anchor = Anchor.of(run.model)
        new = self._information(run, experience)
        for name, value in new.items():
            old = self._fisher.get(name)
            if old is not None and old.shape == value.shape:
                value = self.decay * old + value
            self._fisher[name] = value

    def _information(self, run: Run, experience: Experience) -> dict[str, Tensor]:
        """Mean square of the gradients of the log-likelihood, example by example."""
        known = {n: p for n, p in run.model.named_parameters() if p.requires_grad}
        squares = {name: torch.zeros_like(p) for name, p in known.items()}
        seed = derive(run.problem.seed, "fisher", experience.index)
        wanted = min(self.examples, len(experience.train))
        count = 0
        for batch in shown(experience, seed, wanted, run.device):
            merit = run.problem.merit(run.model(batch), batch)
            for one in merit[: wanted - count]:
                gradients = torch.autograd.grad(
                    one, list(known.values()), retain_graph=True, allow_unused=True
                )
                for name, gradient in zip(known, gradients, strict=True):
                    if gradient is not None:
                        squares[name] += gradient.square()
                count += 1
            if count == wanted:
                break
        return {name: value / count for name, value in squares.items()}

    def state(self) -> dict[str, Any]:
        """Anchor and Fisher information."""
        return {"anchor": self._anchor.values, "fisher": self._fisher}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take them back."""
        self._anchor, self._fisher = Anchor(state["anchor"]), dict(state["fisher"])
