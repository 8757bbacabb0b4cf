"""One cell, on Avalanche's training loop: the only module that imports avalanche.

Avalanche drives experiences, minibatches and its plugins' moments. What it assumes of
`(x, y, t)` batches is overridden: batches stay mappings, the scenario owns the loss,
the strategy owns the optimizer's groups and their schedules.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from clbench.checkpoint.state import Resumed
from clbench.contract import Batch, Experience, Strategy
from clbench.minibatches import batch_size, loader
from clbench.seeding import derive
from clbench.session import NotFinite, Session, Watch

with warnings.catch_warnings():
    # One of Avalanche's own strategies wants a solver that nothing here uses.
    warnings.filterwarnings("ignore", message="no QP solver")
    from avalanche.benchmarks.scenarios import CLExperience, EagerCLStream
    from avalanche.core import SupervisedPlugin
    from avalanche.training.plugins import EvaluationPlugin
    from avalanche.training.templates import SupervisedTemplate


class Part(CLExperience):  # type: ignore[misc]
    """An experience as Avalanche's streams carry it."""

    def __init__(self, experience: Experience) -> None:
        super().__init__(experience.index, None)
        self.content = experience


class Loop(SupervisedTemplate):  # type: ignore[misc]
    """Avalanche's supervised loop over mappings, for one strategy on one problem.

    Args:
        run: The cell that is running.
        strategy: Its hooks are called at Avalanche's moments.
        watch: Told of steps, and when to evaluate.
    """

    dataloader: Iterable[Batch]
    mbatch: Batch

    def __init__(self, *, run: Session, strategy: Strategy, watch: Watch) -> None:
        self.run = run
        self.strategy = strategy
        self.watch = watch
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="No loggers specified")
            super().__init__(
                model=run.model,
                optimizer=_idle(),
                criterion=run.problem.loss,
                device=run.device,
                evaluator=EvaluationPlugin(),
                plugins=[Hooks(run, strategy, watch)],
            )

    def learn(
        self, stream: Sequence[Experience], resumed: Resumed | None = None
    ) -> None:
        """Learn every experience of `stream` in its order.

        Args:
            stream: All of it.
            resumed: Where to go on; None begins at the beginning.

        Raises:
            NotFinite: The loss became NaN or infinite.
        """
        self._resumed = resumed
        first = 0 if resumed is None else resumed.position.experience
        rest = [Part(experience) for experience in stream[first:]]
        if not rest and resumed is not None:
            # Stopped after the very last experience.
            self.run.begin(stream[-1])
            resumed.enter(self.run, stream[-1])
            resumed.draw()
            return
        self.train(EagerCLStream("train", rest), eval_streams=[])

    def train_dataset_adaptation(self, **kwargs: Any) -> None:
        """The data of the experience, as the scenario made it."""
        self.run.begin(self.experience.content)
        self.adapted_dataset = self.experience.content.train

    def make_train_dataloader(self, **kwargs: Any) -> None:
        """Whole batches of the scenario's own choice of indices."""
        experience = self.experience.content
        seed = self.run.problem.seed
        self.dataloader = loader(
            experience, seed, self.run.held_out, resumed=self._resumed
        )

    def check_model_and_optimizer(self, **kwargs: Any) -> None:
        """Scenario and strategy prepare themselves; then it is said what is trained."""
        run, experience = self.run, self.experience.content
        resumed, self._resumed = self._resumed, None
        if resumed is not None:
            resumed.enter(run, experience)
        if resumed is None or not resumed.within:
            if resumed is not None:
                resumed.draw()
            run.problem.begin(run.model, experience)
            self.strategy.before_experience(run, experience)
            run.optimize(self.strategy.groups(run.model, run.problem.recipe))
        if run.groups is None:
            # Nothing is trained: an epoch without a batch.
            self.dataloader = []
        else:
            self.optimizer = run.optimizer
        self.watch.begun(run)

    def _unpack_minibatch(self) -> None:
        run = self.run
        batch = {k: _to(v, run.device) for k, v in self.mbatch.items()}
        seed = derive(run.problem.seed, "augment", run.experience.index, run.step)
        generator = torch.Generator().manual_seed(seed)
        self.mbatch = self.adapted_dataset.augment(batch, generator)

    def forward(self) -> Any:
        """The model's output, of any structure."""
        return self.model(self.mbatch)

    def criterion(self) -> Tensor:
        """The scenario's loss and the strategy's penalty."""
        loss = self.run.problem.loss(self.mb_output, self.mbatch)
        penalty = self.strategy.penalty(self.run, self.mb_output, self.mbatch)
        return loss if penalty is None else loss + penalty


class Hooks(SupervisedPlugin, supports_distributed=True):  # type: ignore
    """A strategy's hooks at Avalanche's moments.

    Args:
        run: The cell that is running.
        strategy: Whose hooks are called.
        watch: Told of steps, and when to evaluate.
    """

    def __init__(self, run: Session, strategy: Strategy, watch: Watch) -> None:
        super().__init__()
        self._run = run
        self._strategy = strategy
        self._watch = watch
        self._losses: list[tuple[int, Tensor]] = []
        self._examples = 0
        self._counter: FlopCounterMode | None = None
        # Reading a loss waits for the GPU, so there it is done for many at once.
        self._patience = 20 if run.device.type == "cuda" else 1

    def before_forward(self, strategy: Loop, **kwargs: Any) -> None:
        """Count the operations of the very first step."""
        if self._run.total_step == 0:
            self._counter = FlopCounterMode(display=False)
            self._counter.__enter__()

    def after_backward(self, strategy: Loop, **kwargs: Any) -> None:
        """Gradients are there."""
        if self._counter is not None:
            self._counter.__exit__(None, None, None)
            self._run.step_flops = self._counter.get_total_flops()
            self._counter = None

    def before_update(self, strategy: Loop, **kwargs: Any) -> None:
        """Look at the loss, let the strategy edit gradients, set learning rates."""
        self._losses.append((self._run.total_step, strategy.loss.detach().sum()))
        self._examples += batch_size(strategy.mbatch)
        if len(self._losses) >= self._patience:
            self._flush()
        self._strategy.before_step(self._run)
        assert self._run.groups is not None
        self._run.groups.before_step(self._run.step)

    def after_update(self, strategy: Loop, **kwargs: Any) -> None:
        """The optimizer has stepped."""
        run = self._run
        run.advance()
        self._strategy.after_step(run)
        every = run.problem.budget.evaluate_every
        if every and run.step % every == 0 and run.step < run.steps:
            self._flush()
            self._watch.evaluate(run, boundary=False)
        self._pause(boundary=False)

    def after_training_exp(self, strategy: Loop, **kwargs: Any) -> None:
        """The experience is learned."""
        self._flush()
        self._strategy.after_experience(self._run, self._run.experience)
        self._watch.evaluate(self._run, boundary=True)
        # What the next experience trains is another matter.
        self._run.model.zero_grad()
        self._pause(boundary=True)

    def _pause(self, *, boundary: bool) -> None:
        """Stand still if that is wanted."""
        if self._watch.safe(self._run, boundary):
            self._flush()
            self._watch.stopped(self._run, boundary)

    def _flush(self) -> None:
        """Look at the losses since the last time, and tell of them.

        Raises:
            NotFinite: One of them is NaN or infinite.
        """
        if not self._losses:
            return
        losses = torch.stack([loss for _, loss in self._losses]).tolist()
        for (step, _), loss in zip(self._losses, losses, strict=True):
            if not math.isfinite(loss):
                raise NotFinite(step, loss)
        self._watch.stepped(self._run, losses, self._examples)
        self._losses.clear()
        self._examples = 0


def _to(value: Any, device: torch.device) -> Any:
    if isinstance(value, Tensor):
        return value.to(device, non_blocking=True)
    return value


def _idle() -> torch.optim.Optimizer:
    """A stand-in until the first experience: Avalanche wants one when it is made."""
    return torch.optim.SGD([nn.Parameter(torch.zeros(1), requires_grad=False)], lr=0.0)
