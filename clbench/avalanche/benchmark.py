"""A benchmark of Avalanche's as a scenario."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import nn

from clbench.avalanche.examples import INNER, Examples, Logits, OverBatches
from clbench.contract import (
    Budget,
    Card,
    Count,
    Experience,
    Metric,
    Recipe,
    Result,
    Scenario,
)
from clbench.matrix import Matrix
from clbench.metrics.continual import forgetting_chaudhry

AVERAGE = Metric(
    name="average",
    title="Average accuracy",
    definition="Mean over all experiences of the accuracy after the last.",
)


class BenchmarkScenario(Logits, Scenario):
    """A benchmark of Avalanche's as a scenario: each test experience is a task.

    A plugin names one in a subclass: `benchmark` and `network`, and `head` where the
    network has one.

    Args:
        steps_per_experience: Optimizer steps on each experience.
        batch_size: Examples in a step.
        seed: The cell's seed.
    """

    main: ClassVar[Metric] = AVERAGE
    metrics: ClassVar[tuple[Metric, ...]] = (
        AVERAGE,
        Metric(
            name="forgetting",
            title="Forgetting",
            definition="Chaudhry et al. 2018: best accuracy before, less the last.",
            higher_is_better=False,
        ),
    )
    head: ClassVar[str] = ""

    def __init__(
        self,
        *,
        steps_per_experience: Count = 100,
        batch_size: Count = 32,
        seed: int = 0,
    ) -> None:
        self.steps_per_experience, self.batch_size = steps_per_experience, batch_size
        self.seed = seed
        self.recipe = Recipe(optimizer="adam", lr=1e-3)

    @abstractmethod
    def benchmark(self) -> Any:
        """A benchmark with `train_stream` and `test_stream`, made from `self.seed`."""

    @abstractmethod
    def network(self) -> nn.Module:
        """`network(x) -> logits`, with weights that depend on `self.seed` alone."""

    @cached_property
    def _made(self) -> Any:
        return self.benchmark()

    @cached_property
    def budget(self) -> Budget:  # type: ignore[override]
        """Steps of the whole stream."""
        count = len(self._made.train_stream)
        return Budget(
            steps=count * self.steps_per_experience, batch_size=self.batch_size
        )

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the experiences."""
        return tuple(f"experience{n}" for n in range(len(self._made.train_stream)))

    def model(self) -> nn.Module:
        """The network, over batches."""
        return OverBatches(self.network())

    def stream(self) -> Sequence[Experience]:
        """The benchmark's own training experiences."""
        return [
            Experience(
                index=index,
                name=self.tasks[index],
                tasks=(self.tasks[index],),
                train=Examples(part.dataset, self.batch_size),
                steps=self.steps_per_experience,
            )
            for index, part in enumerate(self._made.train_stream)
        ]

    def heads(self, model: nn.Module) -> Iterator[nn.Parameter]:
        """Of the module that `head` names."""
        if self.head:
            yield from model.get_submodule(f"{INNER}.{self.head}").parameters()

    def evaluate(self, model: nn.Module, upto: int) -> dict[str, Result]:
        """Accuracy on every test experience."""
        device = next(model.parameters()).device
        row = {}
        for name, part in zip(self.tasks, self._made.test_stream, strict=True):
            data = Examples(part.dataset, self.batch_size)
            prediction, label = [], []
            for start in range(0, len(data), 256):
                batch = data.__getitems__(range(start, min(start + 256, len(data))))
                logits = model({"x": batch["x"].to(device)})
                prediction.append(logits.argmax(-1).cpu())
                label.append(batch["label"])
            answers, truth = torch.cat(prediction), torch.cat(label)
            correct = answers == truth
            row[name] = Result(
                metrics={"accuracy": float(correct.float().mean())},
                outcomes={
                    "prediction": answers.numpy(),
                    "label": truth.numpy(),
                    "correct": correct.numpy(),
                },
            )
        return row

    def card(self) -> Card:
        """Data and their hash; reads them."""
        digest = hashlib.sha256()
        for part in self._made.train_stream:
            data = Examples(part.dataset, self.batch_size)
            batch = data.__getitems__(range(len(data)))
            digest.update(batch["x"].numpy().tobytes())
            digest.update(batch["label"].numpy().tobytes())
        return Card(
            data=type(self).__name__,
            fingerprint=digest.hexdigest(),
            backbone=type(self.network()).__name__,
            details={"examples": [len(p.dataset) for p in self._made.train_stream]},
        )

    @classmethod
    def scores(cls, matrix: Matrix, params: Mapping[str, Any]) -> dict[str, float]:
        """Average accuracy and forgetting."""
        accuracy = matrix.array("accuracy")
        learned = [matrix.learned[task] for task in matrix.tasks]
        return {
            "average": float(accuracy[-1].mean()),
            "forgetting": forgetting_chaudhry(accuracy[1:], learned),
        }

    @classmethod
    def toy(cls) -> BenchmarkScenario:
        """The same benchmark, a few steps."""
        return cls(steps_per_experience=4, batch_size=8)
