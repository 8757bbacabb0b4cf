"""The contract between scenarios, strategies and the engine.

Every hook stands here once, with its moment and its meaning. A scenario states what is
learned and judges it; a strategy says how to learn it; the engine calls both. This
module imports no torch, so that reading the contract costs nothing.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Interval

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import Tensor, nn

    from clbench.matrix import Matrix

Batch = Mapping[str, Any]
"""A minibatch: a mapping of tensors. `task` and `domain` are reserved keys."""

Count = Annotated[int, Ge(1)]
"""A whole number, at least 1."""

Positive = Annotated[float, Gt(0)]
"""A number above 0."""

NonNegative = Annotated[float, Ge(0)]
"""A number, at least 0."""

Fraction = Annotated[float, Interval(ge=0, le=1)]
"""A number from 0 to 1."""

Role = Literal["q", "k", "v", "out", "fc1", "fc2", "merge"]
"""What a linear map does in its block, whatever its architecture calls it."""


class InputError(ValueError):
    """Bad input. Its message is one clear line, ending in what would be right.

    The command line prints it and exits with code 2, without a traceback.
    """


# --- what is measured ----------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A number on a board: its name, what it means and which way is up."""

    name: str
    title: str
    definition: str
    higher_is_better: bool = True
    percent: bool = True


@dataclass(frozen=True, kw_only=True)
class Result:
    """How a model does on one task: one entry of a row of the score matrix.

    Attributes:
        metrics: Named numbers; the same names for this task in every row.
        outcomes: Per-example arrays of one length, in the order of the task's
            examples, such as `prediction`, `confidence` and `correct`.
    """

    metrics: Mapping[str, float]
    outcomes: Mapping[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Card:
    """What a cell is about to learn from: shown before training, kept in the record.

    Attributes:
        data: Name of the data, such as `pocket` or `pacs`.
        fingerprint: Hash of what is really read; equal data, equal fingerprint.
        backbone: Name of the pre-trained model.
        details: Further facts, such as the number of examples per domain.
    """

    data: str
    fingerprint: str
    backbone: str
    details: Mapping[str, Any] = field(default_factory=dict)


# --- what training may cost and how it steps -----------------------------------------


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What every strategy on one board may use, alike for all.

    Attributes:
        steps: Optimizer steps of the whole stream.
        batch_size: Examples in one step.
        evaluate_every: Steps between two evaluations within an experience; None
            evaluates at the ends of experiences only.
    """

    steps: int
    batch_size: int
    evaluate_every: int | None = None


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Optimizer settings. A strategy's tuned recipe may replace a scenario's default.

    Attributes:
        optimizer: Which optimizer steps.
        lr: Learning rate.
        weight_decay: Decoupled for adamw, an L2 term for adam and sgd.
        betas: Decay rates of Adam's two moments.
        momentum: Momentum of sgd.
        schedule: Shape of the learning rate over one experience.
        warmup: Steps of linear warm-up at the start of each experience.
        clip: Largest gradient norm of a group; None leaves gradients alone.
    """

    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    lr: Positive = 1e-3
    weight_decay: NonNegative = 0.0
    betas: tuple[Fraction, Fraction] = (0.9, 0.999)
    momentum: Fraction = 0.9
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    warmup: Annotated[int, Ge(0)] = 0
    clip: Positive | None = None


@dataclass(kw_only=True)
class Group:
    """Parameters that share a learning rate, a schedule and a gradient clip.

    Attributes:
        params: Parameters; one that is already in an optimizer is refused.
        lr: Learning rate, before the schedule's factor.
        weight_decay: As in `Recipe`.
        schedule: Step since the group entered the optimizer -> factor of `lr`; None
            takes the recipe's.
        clip: Largest norm of this group's gradient; None leaves it alone.
        name: Shown in logs.
    """

    params: list[nn.Parameter]
    lr: float
    weight_decay: float = 0.0
    schedule: Callable[[int], float] | None = None
    clip: float | None = None
    name: str = ""


# --- the stream ----------------------------------------------------------------------


class Data(ABC):
    """The training data of one experience, fetched a whole batch at a time."""

    @abstractmethod
    def __len__(self) -> int:
        """Number of examples."""

    @abstractmethod
    def __getitems__(self, indices: Sequence[int]) -> Batch:
        """The examples at `indices` as one batch, on the CPU, not yet augmented."""

    @abstractmethod
    def batches(self, seed: int, steps: int) -> Iterator[Sequence[int]]:
        """Indices of `steps` minibatches; a function of `seed` alone."""

    def augment(self, batch: Batch, generator: torch.Generator) -> Batch:
        """`batch`, varied at random on its own device; unchanged unless overridden.

        `generator` is a CPU generator seeded by the cell's seed and the step, so that a
        step's variation does not depend on what was drawn before it.
        """
        return batch


@dataclass(frozen=True, kw_only=True)
class Experience:
    """One part of the stream: its training data and what may be known about it.

    Attributes:
        index: Position in the stream, from 0.
        name: Shown to the user.
        tasks: Names of the matrix columns that this part teaches.
        train: Its training data.
        steps: Optimizer steps spent on it.
    """

    index: int
    name: str
    tasks: tuple[str, ...]
    train: Data
    steps: int


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A linear map that an adapter may wrap.

    Attributes:
        path: Dotted name of the module within the model: an `nn.Linear`, or an
            `nn.MultiheadAttention` whose projection is packed.
        role: What it does in its block.
        rows: Output rows `[start, stop)` it owns where several maps share one weight,
            as q, k and v do in a fused projection; None is the whole module.
    """

    path: str
    role: Role
    rows: tuple[int, int] | None = None


# --- the scenario --------------------------------------------------------------------


class Problem(ABC):
    """What is learned, without its judge: all that a strategy is handed.

    The engine hands strategies a view that has these attributes and no others, so that
    test data cannot be reached through it by accident.

    Attributes:
        budget: What every strategy may use.
        recipe: The scenario's default optimizer settings.
        seed: The cell's seed; what a strategy draws before its run comes from it.
    """

    budget: Budget
    recipe: Recipe
    seed: int = 0

    @property
    @abstractmethod
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks that training may know of, in the order of the stream."""

    @abstractmethod
    def loss(self, output: Any, batch: Batch) -> Tensor:
        """Scalar to minimise, for the output of `model(batch)`."""

    @abstractmethod
    def merit(self, output: Any, batch: Batch) -> Tensor:
        """(B,) how well each example is solved.

        The log-probability of the label, the preference margin, or minus the dense
        loss: larger is better.
        """

    @abstractmethod
    def distance(self, new: Any, old: Any, batch: Batch) -> Tensor:
        """Scalar, how far two outputs are: 0 for equal ones, differentiable in `new`.

        Distillation on every scenario rests on it; `old` is detached by the caller.
        """

    @abstractmethod
    def adaptable(self, model: nn.Module) -> Iterator[Layer]:
        """The linear maps of `model` that an adapter may wrap, each with its role."""

    @abstractmethod
    def heads(self, model: nn.Module) -> Iterator[nn.Parameter]:
        """Parameters that are trained whatever the strategy."""

    @property
    def zero_shot(self) -> bool:
        """Whether the model answers before any training, better than by chance."""
        return False


class Scenario(Problem):
    """A learning problem that arrives in parts, and its judge.

    Explicit keywords of `__init__` with defaults and annotations are the command line:
    `scenario.arrival=sequential`. The keyword `seed` is reserved: it is the cell's.
    Nothing may be drawn from a global random state.

    Class attributes:
        version: Raised whenever a number could change.
        main: The number that ranks.
        metrics: Every number a board shows, `main` among them.
        folds: Name of a parameter whose value `all` stands for one cell for each of
            `fold_values`; boards average over it. None where a cell is complete.
        replicates: Parameters besides `seed` that repeat an experiment, such as the
            order of tasks; boards never treat them as different problems.
        incidental: Parameters that cannot change a number, such as the folder where the
            data lie; boards compare cells whatever these are.
    """

    version: ClassVar[int] = 1
    main: ClassVar[Metric]
    metrics: ClassVar[tuple[Metric, ...]]
    folds: ClassVar[str | None] = None
    replicates: ClassVar[tuple[str, ...]] = ()
    incidental: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def fold_values(cls, params: Mapping[str, Any]) -> Sequence[str]:
        """Values that `all` stands for in the parameter named by `folds`.

        Raises:
            InputError: `params` name data that cannot be read.
        """
        return ()

    @abstractmethod
    def model(self) -> nn.Module:
        """Backbone and heads, fresh on every call: `model(batch) -> output`.

        Whatever is initialised at random is drawn from the scenario's own seed.
        """

    @abstractmethod
    def stream(self) -> Sequence[Experience]:
        """The parts, in the order in which they arrive."""

    @abstractmethod
    def evaluate(self, model: nn.Module, upto: int) -> dict[str, Result]:
        """One row of the matrix: EVERY task, seen and unseen, same keys in every row.

        Args:
            model: In evaluation mode, gradients off, on its device.
            upto: Number of experiences learned so far; 0 before any training.
        """

    @abstractmethod
    def card(self) -> Card:
        """What this cell learns from. Cheap enough to print before training."""

    @classmethod
    @abstractmethod
    def scores(cls, matrix: Matrix, params: Mapping[str, Any]) -> dict[str, float]:
        """The numbers of `metrics`, computed from a record's matrix alone.

        Args:
            matrix: The full matrix of a record, intermediate rows included.
            params: The scenario's parameters in that record.
        """

    @classmethod
    @abstractmethod
    def toy(cls) -> Scenario:
        """The same class, tiny, on the CPU: a cell takes under two seconds."""


# --- the strategy --------------------------------------------------------------------


class Run(ABC):
    """What a strategy sees of the cell that is running.

    Attributes:
        model: The model in training.
        problem: The scenario without its judge.
        experience: The part being learned.
        device: Where tensors live.
        step: Optimizer steps done in this experience; `after_step` counts its own.
        steps: Optimizer steps of this experience in all.
        total_step: Optimizer steps done in the cell.
        rng: CPU generator of the strategy's own randomness.
        optimizer: The running optimizer, one of its groups for each `Group`.
    """

    model: nn.Module
    problem: Problem
    experience: Experience
    device: torch.device
    step: int
    steps: int
    total_step: int
    rng: torch.Generator
    optimizer: torch.optim.Optimizer

    @abstractmethod
    def add_group(self, group: Group) -> None:
        """Let new parameters enter the running optimizer.

        Their schedule counts from now.

        Raises:
            ValueError: A parameter is already in the optimizer.
        """

    @abstractmethod
    def log(self, name: str, value: float) -> None:
        """Keep a named number of this step; it is shown and lands in the record."""


@dataclass(frozen=True, kw_only=True)
class Reference:
    """Where a strategy comes from.

    Attributes:
        paper: Authors, title, venue and year.
        url: Where to read it.
        equations: Equation numbers (the paper's) that the code implements.
        differs: What differs from the paper or from its released code, and why.
    """

    paper: str
    url: str = ""
    equations: tuple[str, ...] = ()
    differs: str = ""


class Strategy:
    """How to learn. Every hook may be left out; what is left is plain fine-tuning.

    Explicit keywords of `__init__` with defaults and annotations are the command line:
    `strategy.rank=8`. `__init__` stores them and does nothing else. A public method
    that is not a hook is refused when the class is made, so that a misspelt hook is an
    error.

    Class attributes:
        reference: The paper behind it, if there is one.
        summary: One line for `clbench list`; the first line of the module's docstring.
    """

    reference: ClassVar[Reference | None] = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        _check_hooks(cls)

    def unsupported(self, problem: Problem) -> str | None:
        """Why this strategy has no meaning on `problem`; None where it has.

        The reason is printed in the cell and on the board.
        """
        return None

    def prepare(self, model: nn.Module, problem: Problem) -> None:
        """Once, before training: inject modules, freeze parameters.

        Must keep the model's function; `clbench check` holds it to 1e-5. Raises
        ValueError, one clear line, when a parameter does not fit the model.
        """

    def groups(self, model: nn.Module, recipe: Recipe) -> list[Group]:
        """At the start of each experience: what is trained, and how fast.

        The default is one group of every parameter that requires a gradient.
        """
        params = [p for p in model.parameters() if p.requires_grad]
        return [
            Group(
                params=params,
                lr=recipe.lr,
                weight_decay=recipe.weight_decay,
                clip=recipe.clip,
            )
        ]

    def before_experience(self, run: Run, experience: Experience) -> None:
        """Before its optimizer is made: expand, snapshot a teacher, add an expert."""

    def penalty(self, run: Run, output: Any, batch: Batch) -> Tensor | None:
        """A scalar added to the loss; None adds nothing. May call `run.model` again."""
        return None

    def before_step(self, run: Run) -> None:
        """After the backward pass, before clipping: edit gradients."""

    def after_step(self, run: Run) -> None:
        """After the optimizer: proximal steps, rank growth, averages."""

    def after_experience(self, run: Run, experience: Experience) -> None:
        """Before the evaluation: merge, consolidate, solve in closed form."""

    def state(self) -> dict[str, Any]:
        """Anything beyond parameters that a resume needs; tensors and plain values."""
        return {}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take back what `state` gave."""


HOOKS: tuple[str, ...] = tuple(
    name for name, value in vars(Strategy).items()
    if inspect.isfunction(value) and not name.startswith("_")
)  # fmt: skip
"""Names of the strategy's hooks, in the order of their moments."""


def _check_hooks(cls: type[Strategy]) -> None:
    """Refuse public methods of `cls` that are no hook, or take other arguments."""
    for name, value in vars(cls).items():
        if name.startswith("_") or not inspect.isfunction(value):
            continue
        if name not in HOOKS:
            near = get_close_matches(name, HOOKS, n=1, cutoff=0.5)
            hint = f"; did you mean '{near[0]}'?" if near else ""
            raise TypeError(
                f"{cls.__qualname__}.{name} is no hook of a strategy{hint} "
                f"(name methods of your own with a leading underscore)"
            )
        expected = list(inspect.signature(getattr(Strategy, name)).parameters)
        found = list(inspect.signature(value).parameters)
        if found != expected:
            raise TypeError(
                f"{cls.__qualname__}.{name}({', '.join(found)}) must take "
                f"({', '.join(expected)})"
            )


def trainable(parameters: Iterable[nn.Parameter]) -> list[nn.Parameter]:
    """Those of `parameters` that require a gradient."""
    return [p for p in parameters if p.requires_grad]
