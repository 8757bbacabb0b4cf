"""A hill whose top is known: what a strategy sets is all that is judged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from clbench.contract import (
    Batch,
    Budget,
    Card,
    Count,
    Data,
    Experience,
    InputError,
    Layer,
    Metric,
    Recipe,
    Result,
    Scenario,
    Tuning,
)

if TYPE_CHECKING:
    from clbench.matrix import Matrix

TOPS = {"left": 0.2, "right": 0.4}
"""Where each fold is highest; their mean is highest at 0.3."""


def height(matrix: Matrix, first: Matrix, params: Mapping[str, Any]) -> float:
    """What a search compares; says which columns it was handed."""
    (row,) = matrix.rows[-1:]
    assert row.scores == {"hill": {"holdout": row.scores["hill"]["holdout"]}}
    assert set(first.rows[0].scores["hill"]) == {"holdout"}
    return row.scores["hill"]["holdout"]


class Hill(Scenario):
    """How near a strategy's place is to the top, which test data would never say.

    Args:
        side: Which hill; `all` is one cell for each.
        size: Of the data, which says nothing.
        steps: Optimizer steps.
        judged_on: What judges.
        usual: A parameter that searches lay over.
    """

    main = Metric(name="test", title="Test", definition="Largest far from the top.")
    metrics = (main,)
    folds = "side"
    tuning = Tuning(
        metric=Metric(name="height", title="Height", definition="mean height"),
        value=height,
        fixed={"judged_on": "validation"},
        usual={"usual": 2},
        within=("size",),
        columns=lambda task, params: ("holdout",) if task == "hill" else (),
    )

    def __init__(
        self,
        *,
        side: str = "all",
        size: str = "small",
        steps: Count = 2,
        judged_on: str = "test",
        usual: int = 1,
        seed: int = 0,
    ) -> None:
        if side not in TOPS:
            raise InputError(f"scenario.side={side} is no side: {[*TOPS]}")
        self.side, self.seed, self.judged_on = side, seed, judged_on
        self.budget = Budget(steps=steps, batch_size=4)
        self.recipe = Recipe(lr=0.1)

    @classmethod
    def fold_values(cls, params: Mapping[str, Any]) -> Sequence[str]:
        return list(TOPS)

    @property
    def tasks(self) -> tuple[str, ...]:
        return ("hill",)

    def model(self) -> nn.Module:
        return Place()

    def stream(self) -> Sequence[Experience]:
        return [
            Experience(
                index=0,
                name="hill",
                tasks=("hill",),
                train=Zeros(),
                steps=self.budget.steps,
            )
        ]

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        return (output - batch["x"]).square().mean()

    def merit(self, output: Tensor, batch: Batch) -> Tensor:
        return -(output - batch["x"]).square().squeeze(-1)

    def distance(self, new: Tensor, old: Tensor, batch: Batch) -> Tensor:
        return (new - old).square().mean()

    def adaptable(self, model: nn.Module) -> Iterator[Layer]:
        yield Layer(path="head", role="out")

    def heads(self, model: nn.Module) -> Iterator[nn.Parameter]:
        yield from model.head.parameters()

    def evaluate(self, model: nn.Module, upto: int) -> dict[str, Result]:
        place = float(model.place)
        found = 1 - (place - TOPS[self.side]) ** 2
        return {
            "hill": Result(metrics={"accuracy": place, "holdout": found}),
            "unseen": Result(metrics={"accuracy": place}),
        }

    def card(self) -> Card:
        return Card(data="hill", fingerprint="0" * 12, backbone="place")

    @classmethod
    def scores(cls, matrix: Matrix, params: Mapping[str, Any]) -> dict[str, float]:
        return {"test": matrix.rows[-1].scores["unseen"]["accuracy"]}

    @classmethod
    def toy(cls) -> Hill:
        return cls(side="left")


class Place(nn.Module):
    """A place that is no parameter, and a head that is."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("place", torch.zeros(()))
        self.head = nn.Linear(1, 1)
        nn.init.constant_(self.head.weight, 0.5)
        nn.init.zeros_(self.head.bias)

    def forward(self, batch: Batch) -> Tensor:
        return self.head(batch["x"])


class Zeros(Data):
    """Eight numbers."""

    def __len__(self) -> int:
        return 8

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        return {"x": torch.tensor([[float(index)] for index in indices])}

    def batches(self, seed: int, steps: int) -> Iterator[Sequence[int]]:
        generator = torch.Generator().manual_seed(seed)
        for _ in range(steps):
            yield torch.randint(8, (4,), generator=generator).tolist()
