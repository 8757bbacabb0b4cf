"""Avalanche both ways: a strategy as a plugin of its own, a benchmark as a scenario.

Beside the engine the only module that imports avalanche; nothing here imports it.
"""

from __future__ import annotations

import hashlib
import math
import warnings
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

import torch
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
    Problem,
    Recipe,
    Result,
    Scenario,
    Strategy,
)
from clbench.engine import Session
from clbench.matrix import Matrix
from clbench.metrics.continual import forgetting_chaudhry
from clbench.models.roles import layers

with warnings.catch_warnings():
    # One of Avalanche's own strategies wants a solver that nothing here uses.
    warnings.filterwarnings("ignore", message="no QP solver")
    from avalanche.core import SupervisedPlugin

INNER = "network"
"""Where a network that takes tensors lies within the model that takes batches."""


class OverBatches(nn.Module):
    """A network over tensors, as a model over batches.

    Args:
        network: `network(x) -> logits`.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, batch: Batch) -> Tensor:
        """(B, classes) logits of `batch["x"]`."""
        logits: Tensor = self.network(batch["x"])
        return logits


class Examples(Data):
    """A dataset of Avalanche's: examples are `(x, y, ...)`.

    Args:
        dataset: Indexed one example at a time.
        batch: Examples in a minibatch.
    """

    def __init__(self, dataset: Any, batch: int) -> None:
        self.dataset, self.batch = dataset, batch

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        """`x` (B, ...) and `label` (B,)."""
        examples = [self.dataset[int(index)] for index in indices]
        return {
            "x": torch.stack([torch.as_tensor(example[0]) for example in examples]),
            "label": torch.tensor([int(example[1]) for example in examples]),
        }

    def batches(self, seed: int, steps: int) -> Iterator[Sequence[int]]:
        """Every example once, in a new order each time round; batches are full."""
        generator = torch.Generator().manual_seed(seed)
        left: list[int] = []
        for _ in range(steps):
            while len(left) < self.batch:
                left += torch.randperm(len(self), generator=generator).tolist()
            yield left[: self.batch]
            left = left[self.batch :]


class _Classification(Problem):
    """Classification by logits: what a script and a benchmark have in common."""

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        """Cross-entropy."""
        return F.cross_entropy(output, batch["label"])

    def merit(self, output: Tensor, batch: Batch) -> Tensor:
        """(B,) log-probability of the label."""
        return -F.cross_entropy(output, batch["label"], reduction="none")

    def distance(self, new: Tensor, old: Tensor, batch: Batch) -> Tensor:
        """Kullback-Leibler divergence of the new prediction from the old, mean."""
        return F.kl_div(
            new.log_softmax(-1),
            old.log_softmax(-1),
            reduction="batchmean",
            log_target=True,
        )

    def adaptable(self, model: nn.Module) -> Iterator[Layer]:
        """Linear maps whose roles are found by structure."""
        yield from layers(model)


class ScriptProblem(_Classification):
    """What a strategy may know of an Avalanche script.

    Args:
        criterion: The script's loss of logits and labels.
        heads: Paths of the network's modules that are trained whatever the strategy.
        adapt: The linear maps that an adapter may wrap, in the network's own paths;
            None finds those whose roles its structure shows.
        recipe: Optimizer settings, for strategies that ask.
        seed: Of what strategies draw.
    """

    def __init__(
        self,
        *,
        criterion: Callable[[Tensor, Tensor], Tensor] = F.cross_entropy,
        heads: Sequence[str] = (),
        adapt: Sequence[Layer] | None = None,
        recipe: Recipe | None = None,
        seed: int = 0,
    ) -> None:
        self._criterion, self._heads, self._adapt = criterion, tuple(heads), adapt
        self.recipe = recipe or Recipe()
        self.budget = Budget(steps=1, batch_size=1)
        self.seed = seed
        self._tasks: list[str] = []

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the experiences seen so far."""
        return tuple(self._tasks)

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        """The script's criterion."""
        return self._criterion(output, batch["label"])

    def adaptable(self, model: nn.Module) -> Iterator[Layer]:
        """Those that the script names, or those that the structure shows."""
        if self._adapt is None:
            yield from super().adaptable(model)
            return
        for layer in self._adapt:
            path = f"{INNER}.{layer.path}"
            yield Layer(path=path, role=layer.role, rows=layer.rows)

    def heads(self, model: nn.Module) -> Iterator[nn.Parameter]:
        """Those that the script names."""
        for path in self._heads:
            yield from model.get_submodule(f"{INNER}.{path}").parameters()

    def plan(self, name: str, steps: int, batch: int) -> None:
        """An experience has come; Avalanche tells of no stream ahead of it."""
        if name not in self._tasks:
            self._tasks.append(name)
        self.budget = Budget(steps=steps, batch_size=batch)


class StrategyPlugin(SupervisedPlugin):  # type: ignore[misc]
    """A strategy of clbench inside an Avalanche strategy, such as `Naive`.

    The script keeps its loop, its loss and its optimizer; parameters that the strategy
    injects enter that optimizer, and frozen ones get no gradient. Learning rates of a
    strategy's own groups are therefore not applied.

    Args:
        strategy: Such as `registry.load("strategy", "ewc")(strength=100)`.
        problem: What it may know; also holds what is drawn from.
    """

    def __init__(
        self, strategy: Strategy, problem: ScriptProblem | None = None
    ) -> None:
        super().__init__()
        self.strategy = strategy
        self.problem = problem or ScriptProblem()
        self.numbers: dict[str, list[tuple[int, float]]] = {}
        self._run: Session | None = None
        self._count = 0

    def before_train_dataset_adaptation(self, strategy: Any, **kwargs: Any) -> None:
        """Prepare the model once; an experience begins, ahead of its optimizer."""
        dataset = strategy.experience.dataset
        batch = strategy.train_mb_size
        steps = math.ceil(len(dataset) / batch) * strategy.train_epochs
        name = f"experience{self._count}"
        experience = Experience(
            index=self._count,
            name=name,
            tasks=(name,),
            train=Examples(dataset, batch),
            steps=steps,
        )
        self.problem.plan(name, steps, batch)
        if self._run is None:
            model = OverBatches(strategy.model)
            self.strategy.prepare(model, self.problem)
            strategy.model = model.network.to(strategy.device)
            self._run = Session(model, self.problem, strategy.device, self._note)
        self._run.begin(experience)
        self.problem.begin(self._run.model, experience)
        self.strategy.before_experience(self._run, experience)
        self._count += 1

    def before_training_exp(self, strategy: Any, **kwargs: Any) -> None:
        """The optimizer is there."""
        self._session.optimizer = strategy.optimizer

    def before_backward(self, strategy: Any, **kwargs: Any) -> None:
        """Add the penalty."""
        batch = {"x": strategy.mb_x, "label": strategy.mb_y}
        penalty = self.strategy.penalty(self._session, strategy.mb_output, batch)
        if penalty is not None:
            strategy.loss = strategy.loss + penalty

    def before_update(self, strategy: Any, **kwargs: Any) -> None:
        """Gradients are there."""
        self.strategy.before_step(self._session)

    def after_update(self, strategy: Any, **kwargs: Any) -> None:
        """The optimizer has stepped."""
        self._session.advance()
        self.strategy.after_step(self._session)

    def after_training_exp(self, strategy: Any, **kwargs: Any) -> None:
        """The experience is learned."""
        self.strategy.after_experience(self._session, self._session.experience)

    @property
    def _session(self) -> Session:
        assert self._run is not None, "Avalanche begins with the dataset's adaptation"
        return self._run

    def _note(self, name: str, step: int, value: float) -> None:
        self.numbers.setdefault(name, []).append((step, value))


AVERAGE = Metric(
    name="average",
    title="Average accuracy",
    definition="Mean over all experiences of the accuracy after the last.",
)


class BenchmarkScenario(_Classification, Scenario):
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
