"""A strategy of clbench as a plugin of Avalanche's, in an ordinary script."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from clbench.avalanche.examples import INNER, Examples, Logits, OverBatches
from clbench.contract import Batch, Budget, Experience, Layer, Recipe, Strategy
from clbench.session import Session

with warnings.catch_warnings():
    # One of Avalanche's own strategies wants a solver that nothing here uses.
    warnings.filterwarnings("ignore", message="no QP solver")
    from avalanche.core import SupervisedPlugin


class ScriptProblem(Logits):
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
