"""How to learn: every hook of a strategy, and what it sees of the running cell."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from clbench.contract.scenario import Experience, Problem
from clbench.contract.tuning import Between, Space
from clbench.contract.values import Batch, Group, Recipe

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


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
    def group(self, name: str) -> Group:
        """The running group of that name; what it says counts from the next step on.

        Raises:
            ValueError: There is none.
        """

    @abstractmethod
    def hold_out(self, rows: Collection[int]) -> None:
        """Leave examples of this experience out of its steps.

        Called in `before_experience`, with positions in `experience.train`. Wherever
        one of them would be in a minibatch, the next example that is not held out takes
        its place, so that batches keep their size.

        Raises:
            ValueError: Nothing would be left to learn from.
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
        search: Entries of the recipe that `clbench tune` searches, and where; what it
            searches of the parameters stands in their annotations.
        summary: One line for `clbench list`; the first line of the module's docstring.
    """

    reference: ClassVar[Reference | None] = None
    search: ClassVar[Mapping[str, Space]] = MappingProxyType(
        {"lr": Between(1e-5, 1e-1, log=True)}
    )

    @classmethod
    def variants(cls) -> Mapping[str, Mapping[str, Any]]:
        """Methods that this strategy stands for: name -> the parameters that are it.

        `clbench list adapters` shows them; none unless overridden. Names that the
        module lists in `ALIASES` can be written in place of the strategy's own.
        """
        return {}

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
        """Anything beyond parameters that a resume needs; tensors and plain values.

        Asked for between two steps and at the end of an experience. Parameters and
        buffers of the model, optimizer, random generators of the run and what is held
        out are kept without it.

        The default is every attribute that is plain: tensors, numbers, texts, None,
        lists, tuples and dictionaries of these, and generators of torch. Parameters of
        the model stand for themselves, also as keys of a dictionary. Left out are
        keywords of `__init__`, and whatever holds a module or another object.

        Raises:
            NotImplementedError: There is no way; the message says why. The cell then
                has no checkpoints.
        """
        given = inspect.signature(type(self)).parameters
        return {
            name: value.get_state() if _is_generator(value) else value
            for name, value in vars(self).items()
            if name not in given and (_is_plain(value) or _is_generator(value))
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take back what `state` gave, in another process.

        Called after `prepare`, before the model's parameters are given back: whatever
        has grown since `prepare` is made again here, with any values.
        """
        for name, value in state.items():
            now: Any = getattr(self, name, None)
            if _is_generator(now):
                now.set_state(value)
            else:
                setattr(self, name, value)


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


def _is_plain(value: Any) -> bool:
    """Whether `value` is nothing but tensors, parameters and plain values."""
    from torch import Tensor  # not needed to read the contract

    if isinstance(value, Mapping):
        return all(map(_is_plain, value.keys())) and all(map(_is_plain, value.values()))
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | float | str | Tensor)


def _is_generator(value: Any) -> bool:
    from torch import Generator  # not needed to read the contract

    return isinstance(value, Generator)


def trainable(parameters: Iterable[nn.Parameter]) -> list[nn.Parameter]:
    """Those of `parameters` that require a gradient."""
    return [p for p in parameters if p.requires_grad]
