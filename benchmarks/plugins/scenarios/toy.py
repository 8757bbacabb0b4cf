"""The toy of another scenario as a scenario of its own: cells that take a second."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from clbench import registry
from clbench.contract import (
    Batch,
    Card,
    Count,
    Experience,
    Layer,
    Metric,
    NonNegative,
    Result,
    Scenario,
)
from clbench.matrix import Matrix

MAIN = Metric(name="mean", title="Mean", definition="Of all metrics of a task.")


class Toy(Scenario):
    """What a scenario's `toy` is, with more steps if wanted.

    Args:
        of: Name of the scenario.
        stretch: Steps of each experience, of what the toy takes.
        pause: Seconds slept in every loss, so that there is time to stop it.
        settings: Attributes of the toy that are set to another value.
        seed: The cell's seed.
    """

    main = MAIN
    metrics = (MAIN,)

    def __init__(
        self,
        *,
        of: str = "dg",
        stretch: Count = 1,
        pause: NonNegative = 0.0,
        settings: dict[str, Any] | None = None,
        seed: int = 0,
    ) -> None:
        self.of, self.stretch, self.pause, self.seed = of, stretch, pause, seed
        self.settings = settings
        toy: Any = registry.load("scenario", of).toy()
        for name, value in (settings or {}).items():
            setattr(toy, name, value)
        self._toy: Scenario = toy
        self.recipe = toy.recipe
        self.per_example = toy.per_example
        self.budget = dataclasses.replace(
            toy.budget, steps=stretch * toy.budget.steps, evaluate_every=2
        )

    @property
    def tasks(self) -> tuple[str, ...]:
        return self._toy.tasks

    @property
    def shares_steps(self) -> bool:
        return self._toy.shares_steps

    @property
    def zero_shot(self) -> bool:
        return self._toy.zero_shot

    def model(self) -> nn.Module:
        return self._toy.model()

    def stream(self) -> Sequence[Experience]:
        return [
            dataclasses.replace(part, steps=self.stretch * part.steps)
            for part in self._toy.stream()
        ]

    def begin(self, model: nn.Module, experience: Experience) -> None:
        self._toy.begin(model, experience)

    def state(self) -> dict[str, Any]:
        return self._toy.state()

    def load_state(self, state: Mapping[str, Any]) -> None:
        self._toy.load_state(state)

    def loss(self, output: Any, batch: Batch) -> Tensor:
        time.sleep(self.pause)
        return self._toy.loss(output, batch)

    def losses(self, output: Any, batch: Batch) -> Mapping[str, Tensor]:
        return self._toy.losses(output, batch)

    def merit(self, output: Any, batch: Batch) -> Tensor:
        return self._toy.merit(output, batch)

    def distance(self, new: Any, old: Any, batch: Batch) -> Tensor:
        return self._toy.distance(new, old, batch)

    def adaptable(self, model: nn.Module) -> Iterator[Layer]:
        return self._toy.adaptable(model)

    def heads(self, model: nn.Module) -> Iterator[nn.Parameter]:
        return self._toy.heads(model)

    def evaluate(self, model: nn.Module, upto: int) -> dict[str, Result]:
        row = self._toy.evaluate(model, upto)
        return {task: _with_mean(result) for task, result in row.items()}

    def card(self) -> Card:
        return self._toy.card()

    @classmethod
    def headline(cls, task: str) -> Metric:
        return MAIN

    @classmethod
    def scores(cls, matrix: Matrix, params: Mapping[str, Any]) -> dict[str, float]:
        last = [row["mean"] for row in matrix.rows[-1].scores.values()]
        return {"mean": sum(last) / len(last)}

    @classmethod
    def toy(cls) -> Toy:
        return cls()


def _with_mean(result: Result) -> Result:
    mean = sum(result.metrics.values()) / len(result.metrics)
    return dataclasses.replace(result, metrics={**result.metrics, "mean": mean})
