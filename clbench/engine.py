"""One cell, on Avalanche's training loop: the only module that imports avalanche.

Avalanche drives experiences, minibatches and its plugins' moments. What it assumes of
`(x, y, t)` batches is overridden: batches stay mappings, the scenario owns the loss,
the strategy owns the optimizer's groups and their schedules.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torch.utils.flop_counter import FlopCounterMode

from clbench.checkpoint.state import Resumed
from clbench.contract import Batch, Data, Experience, Group, Problem, Run, Strategy
from clbench.optim import Groups
from clbench.seeding import derive

with warnings.catch_warnings():
    # One of Avalanche's own strategies wants a solver that nothing here uses.
    warnings.filterwarnings("ignore", message="no QP solver")
    from avalanche.benchmarks.scenarios import CLExperience, EagerCLStream
    from avalanche.core import SupervisedPlugin
    from avalanche.training.plugins import EvaluationPlugin
    from avalanche.training.templates import SupervisedTemplate


class NotFinite(ArithmeticError):
    """The loss became NaN or infinite.

    Attributes:
        step: Optimizer steps of the cell that were done before.
    """

    def __init__(self, step: int, loss: float) -> None:
        super().__init__(f"the loss became {loss} at step {step}")
        self.step = step


class Part(CLExperience):  # type: ignore[misc]
    """An experience as Avalanche's streams carry it."""

    def __init__(self, experience: Experience) -> None:
        super().__init__(experience.index, None)
        self.content = experience


class Session(Run):
    """The cell that is running, as its strategy sees it.

    Args:
        model: Prepared, on its device.
        problem: The scenario without its judge.
        device: Where tensors live.
        log: Takes a named number of the current step.

    Attributes:
        groups: The optimizer and its schedules; None where nothing is trained.
        step_flops: Floating-point operations of one step, forward and backward, in
            matrix products, convolutions and attention; 0 until one was done.
        held_out: Examples of this experience that its steps leave out.
    """

    def __init__(
        self,
        model: nn.Module,
        problem: Problem,
        device: torch.device,
        log: Callable[[str, int, float], None],
    ) -> None:
        self.model = model
        self.problem = problem
        self.device = device
        self.rng = torch.Generator().manual_seed(derive(problem.seed, "strategy"))
        self.total_step = 0
        self.step_flops = 0
        self.groups: Groups | None = None
        self.held_out: set[int] = set()
        self._log = log

    def begin(self, experience: Experience) -> None:
        """Turn to `experience`; its optimizer is made later."""
        self.experience = experience
        self.step = 0
        self.steps = experience.steps
        self.groups = None
        self.held_out.clear()

    def optimize(self, groups: Sequence[Group]) -> None:
        """Make the optimizer of this experience; none where nothing is trained."""
        if any(group.params for group in groups):
            self.go_on(Groups(groups, self.problem.recipe, self.steps))

    def go_on(self, groups: Groups) -> None:
        """Take an optimizer that there is already."""
        self.groups = groups
        self.optimizer = groups.optimizer

    def advance(self) -> None:
        """One more step is done."""
        self.step += 1
        self.total_step += 1

    def add_group(self, group: Group) -> None:
        if self.groups is None:
            raise ValueError("there is no optimizer yet: give the group in `groups`")
        self.groups.add(group, self.step)

    def group(self, name: str) -> Group:
        if self.groups is None:
            raise ValueError("there is no optimizer, and so no group")
        return self.groups.named(name)

    def hold_out(self, rows: Collection[int]) -> None:
        self.held_out.update(rows)
        if len(self.held_out) >= len(self.experience.train):
            raise ValueError(
                f"all {len(self.experience.train)} examples of experience "
                f"'{self.experience.name}' would be held out"
            )

    def log(self, name: str, value: float) -> None:
        self._log(name, self.total_step, value)


class Watch:
    """What the loop tells whoever runs it; every method may be overridden."""

    def begun(self, run: Session) -> None:
        """The optimizer of an experience has been made."""

    def stepped(self, run: Session, losses: Sequence[float], examples: int) -> None:
        """Steps were done: their losses, oldest first, and their examples."""

    def evaluate(self, run: Session, boundary: bool) -> None:
        """It is time for a row of the matrix."""

    def safe(self, run: Session, boundary: bool) -> bool:
        """Whether to be told of this moment, at which the cell could be stopped.

        Args:
            run: Between two steps.
            boundary: Whether its experience is learned and judged.
        """
        return False

    def stopped(self, run: Session, boundary: bool) -> None:
        """The cell stands still, its losses told: what `safe` asked for."""


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


class Hooks(SupervisedPlugin):  # type: ignore[misc]
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


def loader(
    experience: Experience,
    seed: int,
    held_out: Collection[int] = (),
    *,
    resumed: Resumed | None = None,
) -> DataLoader[Any]:
    """Minibatches of `experience`, each a mapping of tensors on the CPU.

    Args:
        experience: Whose data; it chooses the indices of its `steps` batches.
        seed: The cell's seed.
        held_out: Examples that the next one takes the place of; read when the first
            minibatch is asked for.
        resumed: Where to go on within it: minibatches of steps that were done are left
            out, and not fetched.
    """
    order = derive(seed, "batches", experience.index)
    batches = _Batches(
        experience.train,
        order,
        experience.steps,
        held_out,
        resumed if resumed is not None and resumed.within else None,
    )
    return DataLoader(
        experience.train,  # type: ignore[arg-type]
        batch_sampler=batches,  # type: ignore[arg-type]
        collate_fn=_as_is,
    )


class _Batches:
    """The indices of each minibatch; a function of the seed and what is held out."""

    def __init__(
        self,
        data: Data,
        seed: int,
        steps: int,
        held_out: Collection[int],
        resumed: Resumed | None,
    ) -> None:
        self._data, self._seed, self._steps = data, seed, steps
        self._held_out, self._resumed = held_out, resumed

    def __iter__(self) -> Iterator[Sequence[int]]:
        batches = iter(self._data.batches(self._seed, self._steps))
        if self._resumed is not None:
            batches = islice(batches, self._resumed.position.step, None)
            # Here, as the loader draws from torch's generator when it begins.
            self._resumed.draw()
        for batch in batches:
            held = self._held_out
            yield [self._instead(row) for row in batch] if held else batch

    def _instead(self, row: int) -> int:
        while row in self._held_out:
            row = (row + 1) % len(self._data)
        return row

    def __len__(self) -> int:
        done = 0 if self._resumed is None else self._resumed.position.step or 0
        return self._steps - done


def batch_size(batch: Any) -> int:
    """Number of examples in `batch`: the length of its first tensor."""
    for value in batch.values():
        if isinstance(value, Tensor):
            return len(value)
    return 0


def _to(value: Any, device: torch.device) -> Any:
    if isinstance(value, Tensor):
        return value.to(device, non_blocking=True)
    return value


def _as_is(batch: Any) -> Any:
    return batch


def _idle() -> torch.optim.Optimizer:
    """A stand-in until the first experience: Avalanche wants one when it is made."""
    return torch.optim.SGD([nn.Parameter(torch.zeros(1), requires_grad=False)], lr=0.0)
