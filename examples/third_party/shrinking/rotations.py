"""Rotations: one problem, turned further from task to task."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from timm.models.vision_transformer import Block
from torch import Tensor, nn
from torch.nn import functional as F

from clbench.contract import (
    Batch,
    Budget,
    Card,
    Count,
    Data,
    Experience,
    Layer,
    Metric,
    Recipe,
    Result,
    Scenario,
)
from clbench.matrix import Matrix
from clbench.models.roles import layers

MAIN = Metric(name="average", title="Average", definition="Accuracy at last, mean.")


class Turned(Data):
    """Points of the plane, labelled by the side of a line that turns with the task.

    Args:
        angle: Of the line, in radians.
        examples: Number of points.
        seed: Of the points.
    """

    def __init__(self, angle: float, examples: int, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.point = torch.randn(examples, 2, generator=generator)
        line = torch.tensor([math.cos(angle), math.sin(angle)])
        self.label = (self.point @ line > 0).long()

    def __len__(self) -> int:
        return len(self.label)

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        rows = torch.as_tensor(indices)
        return {"point": self.point[rows], "label": self.label[rows]}

    def batches(self, seed: int, steps: int) -> Iterator[Sequence[int]]:
        generator = torch.Generator().manual_seed(seed)
        for _ in range(steps):
            yield torch.randint(len(self), (16,), generator=generator).tolist()


class Net(nn.Module):
    """One block of a transformer over two tokens, and a head."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.embed, self.head = nn.Linear(1, 32), nn.Linear(32, 2)
            self.place = nn.Parameter(torch.randn(2, 32))
            self.block = Block(32, num_heads=2)

    def forward(self, batch: Batch) -> Tensor:
        tokens = self.embed(batch["point"][..., None]) + self.place
        return self.head(self.block(tokens).mean(1))


class Rotations(Scenario):
    """Which side of a line a point lies on; the line turns from task to task.

    Args:
        turns: Number of tasks.
        steps_per_task: Optimizer steps on each.
        seed: The cell's seed.
    """

    main = MAIN
    metrics = (MAIN,)

    def __init__(
        self, *, turns: Count = 3, steps_per_task: Count = 30, seed: int = 0
    ) -> None:
        self.turns, self.steps_per_task, self.seed = turns, steps_per_task, seed
        self.budget = Budget(steps=turns * steps_per_task, batch_size=16)
        self.recipe = Recipe(lr=3e-3)

    @property
    def tasks(self) -> tuple[str, ...]:
        return tuple(f"turn{number}" for number in range(self.turns))

    def _points(self, number: int, seed: int) -> Turned:
        return Turned(number * math.pi / 4, 200, 1000 * seed + number)

    def model(self) -> nn.Module:
        return Net(self.seed)

    def stream(self) -> Sequence[Experience]:
        return [
            Experience(
                index=number,
                name=name,
                tasks=(name,),
                train=self._points(number, self.seed + 1),
                steps=self.steps_per_task,
            )
            for number, name in enumerate(self.tasks)
        ]

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        return F.cross_entropy(output, batch["label"])

    def merit(self, output: Tensor, batch: Batch) -> Tensor:
        return -F.cross_entropy(output, batch["label"], reduction="none")

    def distance(self, new: Tensor, old: Tensor, batch: Batch) -> Tensor:
        return (new.softmax(-1) - old.softmax(-1)).square().sum(-1).mean()

    def adaptable(self, model: nn.Module) -> Iterator[Layer]:
        yield from layers(model)

    def heads(self, model: nn.Module) -> Iterator[nn.Parameter]:
        yield from model.head.parameters()

    def evaluate(self, model: nn.Module, upto: int) -> dict[str, Result]:
        row = {}
        for number, name in enumerate(self.tasks):
            test = self._points(number, self.seed + 500)
            device = next(model.parameters()).device
            prediction = model({"point": test.point.to(device)}).argmax(-1).cpu()
            accuracy = float((prediction == test.label).float().mean())
            row[name] = Result(metrics={"accuracy": accuracy})
        return row

    def card(self) -> Card:
        return Card(
            data="turned lines", fingerprint=f"{self.seed:012d}", backbone="net"
        )

    @classmethod
    def scores(cls, matrix: Matrix, params: Mapping[str, Any]) -> dict[str, float]:
        return {"average": float(matrix.array("accuracy")[-1].mean())}

    @classmethod
    def toy(cls) -> Rotations:
        return cls(turns=2, steps_per_task=4)
