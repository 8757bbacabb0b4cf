"""ZSCL-style: distilled from the initial model, weights held close and averaged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from torch import Tensor

from clbench.contract import (
    Batch,
    Between,
    Count,
    Experience,
    NonNegative,
    Reference,
    Run,
    Strategy,
)
from clbench.past import Anchor, Teacher


class Zscl(Strategy):
    """Distillation from the initial model, with weight consolidation and averaging.

    Args:
        weight: Weight of the distance to what the initial model answers.
        pull: Weight of the squared distance to the weights before the experience.
        average_every: Steps between two weights that enter the average, which the model
            takes at the end of an experience.
    """

    reference = Reference(
        paper=(
            "Zheng et al.: Preventing Zero-Shot Transfer Degradation in Continual "
            "Learning of Vision-Language Models. ICCV 2023"
        ),
        url="https://arxiv.org/abs/2303.06628",
        differs=(
            "Distils on the examples in training by the scenario's own distance; the "
            "paper distils on ImageNet's images and Conceptual Captions' texts at "
            "temperature 2, which a scenario does not have."
        ),
    )

    def __init__(
        self,
        *,
        weight: Annotated[NonNegative, Between(1e-1, 1e1, log=True)] = 1.0,
        pull: Annotated[NonNegative, Between(1e-2, 1e1, log=True)] = 1.0,
        average_every: Count = 100,
    ) -> None:
        self.weight = weight
        self.pull = pull
        self.average_every = average_every
        self._teacher: Teacher | None = None
        self._previous = self._average = Anchor({})
        self._averaged = 0

    def before_experience(self, run: Run, experience: Experience) -> None:
        """Copy the initial model, once; begin a new average."""
        if self._teacher is None:
            self._teacher = Teacher.of(run.model)
        self._previous = Anchor.of(run.model)
        self._average = Anchor.of(run.model)
        self._averaged = 1

    def penalty(self, run: Run, output: Any, batch: Batch) -> Tensor | None:
        """Distance to the initial model's answers, and to the weights from before."""
        assert self._teacher is not None
        old = self._teacher.answer(run.model, batch)
        kept = run.problem.distance(output, old, batch)
        return self.weight * kept + self.pull * self._previous.distance(run.model)

    def after_step(self, run: Run) -> None:
        """Every so often, and at the end, the weights enter the average."""
        if run.step % self.average_every == 0 or run.step == run.steps:
            self._averaged += 1
            for _, parameter, mean in self._average.pairs(run.model):
                mean.lerp_(parameter.detach(), 1 / self._averaged)

    def after_experience(self, run: Run, experience: Experience) -> None:
        """The model takes the average."""
        self._average.interpolate(run.model, 0.0)

    def state(self) -> dict[str, Any]:
        """The initial model, the weights from before, and the average so far."""
        if self._teacher is None:
            return {}
        return {
            "teacher": self._teacher.state(),
            "previous": self._previous.values,
            "average": self._average.values,
            "averaged": self._averaged,
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take them back."""
        if state:
            self._teacher = Teacher(state["teacher"])
            self._previous = Anchor(state["previous"])
            self._average = Anchor(state["average"])
            self._averaged = state["averaged"]
