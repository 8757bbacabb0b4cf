"""Points of the plane in two classes: one domain is left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

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
)

if TYPE_CHECKING:
    from clbench.matrix import Matrix

DOMAINS = ("east", "north", "west")


class Points(Scenario):
    """Which side of a line a point lies on; each domain turns the line.

    Args:
        target: The domain that is left out; `all` is one cell for each.
        dataset: How much there is to learn.
        steps: Optimizer steps.
        poison: Step at which the loss becomes NaN; null never.
        cache: Whether points are kept.
    """

    main = Metric(
        name="target", title="Target accuracy", definition="On the domain left out."
    )
    metrics = (
        main,
        Metric(name="source", title="Source accuracy", definition="Mean of the rest."),
    )
    folds = "target"
    per_example = True

    def __init__(
        self,
        *,
        target: str = "all",
        dataset: Literal["small", "large"] = "small",
        steps: Count = 5,
        poison: Count | None = None,
        cache: bool = True,
        seed: int = 0,
    ) -> None:
        if target not in DOMAINS:
            raise InputError(f"scenario.target={target} is no domain: {DOMAINS}")
        self.target, self.seed, self.poison, self.cache = target, seed, poison, cache
        self.examples = {"small": 64, "large": 256}[dataset]
        self.budget = Budget(steps=steps, batch_size=8)
        self.recipe = Recipe(lr=0.1)
        self._asked = 0

    @classmethod
    def fold_values(cls, params: Mapping[str, Any]) -> Sequence[str]:
        return DOMAINS

    @property
    def tasks(self) -> tuple[str, ...]:
        return tuple(d for d in DOMAINS if d != self.target)

    def model(self) -> nn.Module:
        return Net(self.seed)

    def stream(self) -> Sequence[Experience]:
        steps = self.budget.steps
        train = Cloud(self.tasks, self.examples, self.seed)
        return [
            Experience(index=0, name="all", tasks=self.tasks, train=train, steps=steps)
        ]

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        self._asked += 1
        factor = float("nan") if self._asked == self.poison else 1.0
        return nn.functional.cross_entropy(output, batch["label"]) * factor

    def merit(self, output: Tensor, batch: Batch) -> Tensor:
        return -nn.functional.cross_entropy(output, batch["label"], reduction="none")

    def distance(self, new: Tensor, old: Tensor, batch: Batch) -> Tensor:
        return (new - old).square().mean()

    def adaptable(self, model: nn.Module) -> Iterator[Layer]:
        yield Layer(path="body", role="fc1")

    def heads(self, model: nn.Module) -> Iterator[nn.Parameter]:
        yield from model.head.parameters()

    def evaluate(self, model: nn.Module, upto: int) -> dict[str, Result]:
        row = {}
        for domain in DOMAINS:
            batch = Cloud((domain,), self.examples, self.seed + 1)[:]
            x = batch["x"].to(next(model.parameters()).device)
            prediction = model({**batch, "x": x}).argmax(-1).cpu()
            correct = (prediction == batch["label"]).float().mean()
            row[domain] = Result(metrics={"accuracy": float(correct)})
        return row

    def card(self) -> Card:
        return Card(data="points", fingerprint=f"{self.examples}", backbone="net")

    @classmethod
    def scores(cls, matrix: Matrix, params: Mapping[str, Any]) -> dict[str, float]:
        last = matrix.rows[-1].scores
        rest = [last[d]["accuracy"] for d in DOMAINS if d != params["target"]]
        target = last[params["target"]]["accuracy"]
        return {"target": target, "source": sum(rest) / len(rest)}

    @classmethod
    def toy(cls) -> Points:
        return cls(target="east", steps=2)


class Net(nn.Module):
    """A hidden layer and a head."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.body = nn.Linear(2, 8)
        self.head = nn.Linear(8, 2)
        generator = torch.Generator().manual_seed(seed)
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.5, generator=generator)

    def forward(self, batch: Batch) -> Tensor:
        return self.head(torch.tanh(self.body(batch["x"])))


class Cloud(Data):
    """Points of some domains with their labels."""

    def __init__(self, domains: Sequence[str], examples: int, seed: int) -> None:
        points, labels = [], []
        for domain in domains:
            index = DOMAINS.index(domain)
            generator = torch.Generator().manual_seed(10 * seed + index)
            x = torch.randn(examples, 2, generator=generator)
            angle = torch.tensor(0.3 * index)
            points.append(x)
            labels.append((x @ torch.stack([angle.cos(), angle.sin()]) > 0).long())
        self.x, self.label = torch.cat(points), torch.cat(labels)

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, indices: slice) -> Batch:
        return {"x": self.x[indices], "label": self.label[indices]}

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        return {"x": self.x[list(indices)], "label": self.label[list(indices)]}

    def batches(self, seed: int, steps: int) -> Iterator[Sequence[int]]:
        generator = torch.Generator().manual_seed(seed)
        for _ in range(steps):
            yield torch.randint(len(self), (8,), generator=generator).tolist()
