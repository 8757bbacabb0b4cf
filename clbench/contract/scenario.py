"""What is learned and how it is judged: data, problem, scenario."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from clbench.contract.tuning import Tuning
from clbench.contract.values import Batch, Budget, Card, Metric, Recipe, Result, Role

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from clbench.assets.need import Need
    from clbench.matrix import Matrix


ACCURACY = Metric(
    name="accuracy", title="Accuracy", definition="Part of the answers that are right."
)


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


class Problem(ABC):
    """What is learned, without its judge: all that a strategy is handed.

    The engine hands strategies a view that has these attributes and no others, so that
    test data cannot be reached through it by accident.

    Attributes:
        budget: What every strategy may use.
        recipe: The scenario's default optimizer settings.
        seed: The cell's seed; what a strategy draws before its run comes from it.
        per_example: Whether every tensor of a batch and of the model's output has an
            entry for each example along its first axis, and an example's entries depend
            on no other: a batch may be joined to itself, and the output parted again.
            Normalisation over the batch is left aside; the model's modules show it.
    """

    budget: Budget
    recipe: Recipe
    seed: int = 0
    per_example: bool = False

    @property
    @abstractmethod
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks that training may know of, in the order of the stream."""

    @abstractmethod
    def loss(self, output: Any, batch: Batch) -> Tensor:
        """Scalar to minimise, for the output of `model(batch)`."""

    def losses(self, output: Any, batch: Batch) -> Mapping[str, Tensor]:
        """The loss of every task of this batch, weights included; the sum is `loss`.

        One entry unless overridden; see `shares_steps`.
        """
        return {"loss": self.loss(output, batch)}

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

    def begin(  # noqa: B027, may be left out
        self, model: nn.Module, experience: Experience
    ) -> None:
        """Before each experience, ahead of the strategy's own hook.

        For what a model keeps of the past, such as the texts of earlier classes; it
        draws nothing and trains nothing. Does nothing unless overridden.
        """

    @property
    def shares_steps(self) -> bool:
        """Whether a step learns several tasks, whose losses `losses` gives apart."""
        return False

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
        main: The number that ranks: one of `metrics` or of `compared`.
        metrics: Every number that a board shows of a record by itself.
        compared: Numbers that compare a record with one that learned a variant, such as
            all tasks at once; see `against`.
        folds: Name of a parameter whose value `all` stands for one cell for each of
            `fold_values`; boards average over it. None where a cell is complete.
        replicates: Parameters besides `seed` that repeat an experiment, such as the
            order of tasks; boards never treat them as different problems.
        variants: Parameter -> those of its values that make a record a bound: a line
            without a rank on every board of otherwise equal settings, to compare with.
            Such as how tasks arrive: all at once is the upper bound of one after
            another.
        reference: Which bound `compared` is about: `own`, that of the same strategy
            where there is one, else the best; or for `all` lines one, that which trains
            the most parameters.
        incidental: Parameters that cannot change a number, such as the folder where the
            data lie; boards compare cells whatever these are.
        tuning: How settings of strategies are chosen on it, on held-out training data;
            None where there is no way, and `clbench tune` says so.
    """

    version: ClassVar[int] = 1
    main: ClassVar[Metric]
    metrics: ClassVar[tuple[Metric, ...]]
    compared: ClassVar[tuple[Metric, ...]] = ()
    folds: ClassVar[str | None] = None
    replicates: ClassVar[tuple[str, ...]] = ()
    variants: ClassVar[Mapping[str, tuple[Any, ...]]] = MappingProxyType({})
    reference: ClassVar[Literal["own", "all"]] = "own"
    incidental: ClassVar[tuple[str, ...]] = ()
    tuning: ClassVar[Tuning | None] = None

    @classmethod
    def sources(cls) -> Sequence[Need]:
        """Data sets that it knows how to read, for `clbench data list`."""
        return ()

    @classmethod
    def needs(cls, params: Mapping[str, Any]) -> Sequence[Need]:
        """Data sets and weights that a cell reads, so that they can be looked after.

        What is named here is written into records and lock files with its hash, and
        `offline=true` asks for it before anything runs. Nothing is read or fetched.

        Args:
            params: All parameters of the scenario, paths written out.

        Raises:
            InputError: A parameter names what cannot be read by any means.
        """
        return ()

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

    def state(self) -> dict[str, Any]:
        """What `begin` has kept and a resume could not compute again from the data.

        Tensors and plain values, such as what the model answered when an experience
        began. Nothing unless overridden.
        """
        return {}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take back what `state` gave; `begin` has been called with a fresh model."""

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
    def headline(cls, task: str) -> Metric:
        """The number that stands for how good a model is at `task`, of its rows."""
        return ACCURACY

    @classmethod
    def against(cls, matrix: Matrix, bound: Matrix) -> dict[str, float]:
        """The numbers of `compared`, of a record beside one of a variant.

        Args:
            matrix: Of the record.
            bound: Of the variant, learned with the same seed.
        """
        return {}

    @classmethod
    @abstractmethod
    def toy(cls) -> Scenario:
        """The same class, tiny, on the CPU: a cell takes under two seconds."""
