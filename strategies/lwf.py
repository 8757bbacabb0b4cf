"""LwF: what the model answered before an experience is distilled while it learns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from torch import Tensor

from clbench.contract import (
    Batch,
    Between,
    Experience,
    NonNegative,
    Reference,
    Run,
    Strategy,
)
from clbench.past import Teacher


class Lwf(Strategy):
    """Learning without forgetting: the model before each experience is its teacher.

    Args:
        weight: Weight of the distance between the outputs of model and teacher.
        first: Whether the pre-trained model teaches in the first experience too.
    """

    reference = Reference(
        paper="Li and Hoiem: Learning without Forgetting. ECCV 2016",
        url="https://arxiv.org/abs/1606.09282",
        differs=(
            "The scenario's own distance takes the place of the distillation of logits "
            "at temperature 2, so that it has a meaning on every scenario."
        ),
    )

    def __init__(
        self,
        *,
        weight: Annotated[NonNegative, Between(1e-1, 1e1, log=True)] = 1.0,
        first: bool = True,
    ) -> None:
        self.weight = weight
        self.first = first
        self._teacher: Teacher | None = None

    def before_experience(self, run: Run, experience: Experience) -> None:
        """The model as it is now becomes the teacher."""
        taught = self.first or experience.index > 0
        self._teacher = Teacher.of(run.model) if taught else None

    def penalty(self, run: Run, output: Any, batch: Batch) -> Tensor | None:
        """Distance from what the teacher answers to the same batch."""
        if self._teacher is None:
            return None
        old = self._teacher.answer(run.model, batch)
        return self.weight * run.problem.distance(output, old, batch)

    def after_experience(self, run: Run, experience: Experience) -> None:
        """Let the teacher go."""
        self._teacher = None

    def state(self) -> dict[str, Any]:
        """The teacher."""
        return {} if self._teacher is None else {"teacher": self._teacher.state()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take it back."""
        self._teacher = Teacher(state["teacher"]) if "teacher" in state else None
