"""What is learned and how it is judged: here tasks of points, one after another."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from clbench.contract import (
    Batch,
    Budget,
    Card,
    Count,
    Experience,
    Layer,
    Metric,
    Recipe,
    Result,
    Scenario,
    Tuning,
)
from clbench.matrix import Matrix
from clbench.metrics.continual import forgetting_chaudhry
from clbench.metrics.stream import tuning
from clbench.models.roles import layers

from .data import Clouds
from .model import Net

MAIN = Metric(
    name="average",
    title="Average accuracy",
    definition="Mean over all tasks of the accuracy after the last.",
)


class Newcomer(Scenario):
    """Points of four numbers in three classes, told apart task after task.

    Args:
        count: Number of tasks.
        arrival: One after another, or all at once (the upper bound).
        steps_per_task: Optimizer steps on each task.
        judged_on: `validation` judges on points held out of those to learn from.
        seed: The cell's seed.
    """

    # Raise it whenever a number could change: boards compare equal versions only.
    version = 1
    # The number that ranks, and all numbers that boards show.
    main: ClassVar[Metric] = MAIN
    metrics: ClassVar[tuple[Metric, ...]] = (
        MAIN,
        Metric(
            name="forgetting",
            title="Forgetting",
            definition="Chaudhry et al. 2018: best accuracy before, less the last.",
            higher_is_better=False,
        ),
    )
    # Values that make a record a bound, shown on the board without a rank.
    variants: ClassVar[Mapping[str, tuple[Any, ...]]] = {"arrival": ("joint",)}
    # How settings are chosen, on data held out of training: `clbench tune` asks for it,
    # and refuses where there is none.
    tuning: ClassVar[Tuning | None] = tuning("accuracy", "points", within=())

    # Keywords with defaults and annotations are the command line. `seed` is reserved.
    def __init__(
        self,
        *,
        count: Count = 3,
        arrival: Literal["sequential", "joint"] = "sequential",
        steps_per_task: Count = 40,
        judged_on: Literal["test", "validation"] = "test",
        seed: int = 0,
    ) -> None:
        self.count, self.arrival = count, arrival
        self.steps_per_task, self.seed = steps_per_task, seed
        self.judged_on = judged_on
        # The same for every strategy on a board.
        self.budget = Budget(steps=count * steps_per_task, batch_size=16)
        self.recipe = Recipe(optimizer="adam", lr=1e-3)

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks, in the order of the stream."""
        return tuple(f"task{number}" for number in range(self.count))

    # --- what is learned ---

    def model(self) -> nn.Module:
        """Fresh on every call, and always the same."""
        return Net(classes=3, seed=self.seed)

    def stream(self) -> Sequence[Experience]:
        """The parts, in the order in which they arrive."""
        everything = range(self.count)
        parts = [[n] for n in everything]
        if self.arrival == "joint":
            parts = [list(everything)]
        return [
            Experience(
                index=index,
                name="+".join(self.tasks[number] for number in numbers),
                tasks=tuple(self.tasks[number] for number in numbers),
                train=self._train(numbers),
                steps=self.budget.steps // len(parts),
            )
            for index, numbers in enumerate(parts)
        ]

    def _train(self, numbers: Sequence[int]) -> Clouds:
        first, *others = (self._points(number, self.seed + 1) for number in numbers)
        for other in others:
            first.point = torch.cat([first.point, other.point])
            first.label = torch.cat([first.label, other.label])
        return first

    def _points(self, task: int, seed: int) -> Clouds:
        return Clouds(task, 200, 3, self.budget.batch_size, seed)

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        """Scalar to minimise."""
        return F.cross_entropy(output, batch["label"])

    def merit(self, output: Tensor, batch: Batch) -> Tensor:
        """(B,) how well each example is solved; larger is better."""
        return -F.cross_entropy(output, batch["label"], reduction="none")

    def distance(self, new: Tensor, old: Tensor, batch: Batch) -> Tensor:
        """How far two outputs are: 0 for equal ones. Distillation rests on it."""
        return F.kl_div(
            new.log_softmax(-1),
            old.log_softmax(-1),
            reduction="batchmean",
            log_target=True,
        )

    def adaptable(self, model: nn.Module) -> Iterator[Layer]:
        """The linear maps that an adapter may wrap, each with its role."""
        yield from layers(model)

    def heads(self, model: nn.Module) -> Iterator[nn.Parameter]:
        """Parameters that are trained whatever the strategy."""
        assert isinstance(model, Net)
        yield from model.head.parameters()

    # --- how it is judged; strategies cannot reach this ---

    def evaluate(self, model: nn.Module, upto: int) -> dict[str, Result]:
        """One row of the matrix: every task, seen and unseen."""
        row = {}
        for number, name in enumerate(self.tasks):
            # Seeds of their own: no point that judges was ever trained on, and those
            # that choose settings are not those of the test.
            other = 500 if self.judged_on == "test" else 1000
            test = self._points(number, self.seed + other)
            device = next(model.parameters()).device
            prediction = model({"point": test.point.to(device)}).argmax(-1).cpu()
            correct = prediction == test.label
            row[name] = Result(
                metrics={"accuracy": float(correct.float().mean())},
                # Beside the record, for paired tests and metrics to come.
                outcomes={
                    "prediction": prediction.numpy(),
                    "label": test.label.numpy(),
                    "correct": correct.numpy(),
                },
            )
        return row

    def card(self) -> Card:
        """What is learned from; equal data, equal fingerprint."""
        points = [self._points(n, self.seed + 1).point for n in range(self.count)]
        content = torch.cat(points).numpy().tobytes()
        return Card(
            data="drawn points",
            fingerprint=hashlib.sha256(content).hexdigest(),
            backbone="two blocks",
        )

    @classmethod
    def scores(cls, matrix: Matrix, params: Mapping[str, Any]) -> dict[str, float]:
        """The numbers of `metrics`, from a record's matrix alone."""
        accuracy = matrix.array("accuracy")
        learned = [matrix.learned[task] for task in matrix.tasks]
        return {
            "average": float(accuracy[-1].mean()),
            "forgetting": forgetting_chaudhry(accuracy[1:], learned),
        }

    @classmethod
    def toy(cls) -> Newcomer:
        """The same class, tiny: `clbench check` runs every strategy on it."""
        return cls(count=2, steps_per_task=4)
