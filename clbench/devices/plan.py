"""How a model computes here: precision, parts, blocks, compilation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import wraps
from typing import Any

import torch
from torch import Tensor, nn

from clbench.contract import InputError, Problem
from clbench.devices import rows
from clbench.devices.ambient import Again, Ambient, ambients, kept
from clbench.devices.blocks import blocks, compute_again
from clbench.devices.call import Call
from clbench.devices.draws import Draws, drops
from clbench.devices.norms import normalise_over_all, normalises
from clbench.devices.scaling import Gradients, Scaling
from clbench.devices.team import ALONE, Team
from clbench.execution import Execution

DTYPES = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}
"""What a model computes in; None leaves it as it is."""


class Plan:
    """How a model computes; its copies, such as teachers, compute alike.

    Args:
        settings: What was asked for.
        device: Where the model lives.
        team: The processes that compute together.

    Attributes:
        ambients: What its layers read besides their input.
        draws: Whether some layer has been seen to draw at random.
        dividing: How many rows a minibatch has and which are computed here, while they
            are and if these are not all.
    """

    def __init__(
        self, settings: Execution, device: torch.device, team: Team = ALONE
    ) -> None:
        self.settings, self.device, self.team = settings, device, team
        self.dtype = DTYPES[settings.precision]
        self.scaling = Scaling() if settings.precision == "fp16" else None
        self.ambients: Sequence[Ambient] = ()
        self.draws = False
        self.dividing: tuple[int, range] | None = None
        self._whole = False
        self._drawing: Draws | None = None

    @property
    def usual(self) -> bool:
        """Whether the model computes as it does by itself."""
        return self.settings == Execution() and self.team.size == 1

    @property
    def simple(self) -> bool:
        """Whether a call is one forward pass and nothing else."""
        return not self.divides and self.scaling is None

    @property
    def divides(self) -> bool:
        """Whether rows of a minibatch are computed apart from one another."""
        return self.settings.accumulate > 1 or self.team.size > 1

    @property
    def arithmetic(self) -> str:
        """What else numbers depend on but weights and inputs; empty if nothing."""
        names = ("precision", "compile")
        chosen = self.settings.chosen()
        found = [f"{name}={chosen[name]}" for name in names if name in chosen]
        if self.team.size > 1:
            found.append(f"processes={self.team.size}")
        return " ".join(found)

    def own(self, count: int) -> range:
        """Of so many rows those that are computed here."""
        return self.team.own(count)

    def run(self, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """What `function` gives, in float32, whatever it computes in."""
        if self.dtype is None:
            return function(*args, **kwargs)
        with torch.autocast(self.device.type, dtype=self.dtype):
            made = function(*args, **kwargs)
        return rows.change(made, _float)

    def gathered(self, made: Any, count: int) -> Any:
        """The output of all rows, of that of own ones."""
        own = len(self.own(count))

        def gather(tensor: Tensor) -> Tensor:
            rows.check(tensor, own)
            return self.team.gathered(tensor, count)

        return rows.change(made, gather)

    def summed(
        self, found: Gradients, parameters: Sequence[Tensor], divided: bool
    ) -> Gradients:
        """Gradients of all rows, of those of own ones; `divided` if these are some."""
        return self.team.summed(found, parameters) if divided else found

    @contextmanager
    def drawing(self, draws: Draws) -> Iterator[None]:
        """Within, layers draw as `draws` has it."""
        before, self._drawing = self._drawing, draws
        try:
            with draws:
                yield
        finally:
            self._drawing = before

    @contextmanager
    def whole(self) -> Iterator[None]:
        """Within, nothing is divided, here and now."""
        before, self._whole = self._whole, True
        try:
            yield
        finally:
            self._whole = before

    def now(self) -> Again:
        """What layers read besides their input, to be so again."""
        known, drawing = kept(self.ambients), self._drawing

        @contextmanager
        def again() -> Iterator[None]:
            drawn: AbstractContextManager[Any] = nullcontext()
            if drawing is not None:
                drawn = drawing
            with known(), drawn:
                yield

        return again

    def state(self) -> Mapping[str, Any]:
        """All that `load_state` needs."""
        return {} if self.scaling is None else self.scaling.state()

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave."""
        if self.scaling is not None and state:
            self.scaling.load_state(state)

    def apply(
        self, model: nn.Module, methods: Sequence[str], again: Iterable[str]
    ) -> None:
        """Let `model` compute so, from now on.

        Args:
            model: Prepared, and on its device.
            methods: Names of its methods that compute row by row; none if it has none.
            again: Paths of the blocks that compute again in the backward pass.

        Raises:
            InputError: It cannot be.
        """
        self.ambients = ambients(model)
        self._check(model, methods)
        for path in again:
            compute_again(model.get_submodule(path), self.now)
        if self.team.size > 1:
            normalise_over_all(model, self)
        # What has a dropout is not computed once to find out that it draws; neither is
        # what normalises, whose statistics would count twice.
        self.draws = drops(model) or normalises(model)
        kind = type(model)
        names: dict[str, Any] = {"__module__": kind.__module__, PLAN: self}
        for name in methods or ("forward",):
            names[name] = self._through(getattr(kind, name), bool(methods))
        model.__class__ = type(kind.__name__, (kind,), names)

    def _check(self, model: nn.Module, methods: Sequence[str]) -> None:
        if self.settings.accumulate > 1 and not methods:
            raise InputError(
                f"accumulate={self.settings.accumulate}: the model of this scenario "
                f"does not compute example by example; accumulate=1"
            )
        if self.settings.compile and self.settings.gradient_checkpointing:
            raise InputError(
                "compile=true and gradient_checkpointing=true: blocks that compute "
                "again cannot be compiled here; one of the two"
            )
        again = self.settings.accumulate > 1 or self.settings.gradient_checkpointing
        if again and normalises(model):
            what = next(k for k in self.settings.chosen() if k in AGAIN)
            raise InputError(
                f"{what}: the model normalises over its batch, whose statistics would "
                f"count twice; another backbone or decoder, or no {what}"
            )

    def _through(
        self, function: Callable[..., Any], divided: bool
    ) -> Callable[..., Any]:
        """A method of the model that computes as planned."""
        fast = torch.compile(function) if self.settings.compile else function

        @wraps(function)
        def method(model: nn.Module, *args: Any, **kwargs: Any) -> Any:
            def compute(*args: Any, **kwargs: Any) -> Any:
                # What draws for all rows is not compiled: it looks at each operation.
                chosen = fast if self._drawing is None else function
                return chosen(model, *args, **kwargs)

            if self._whole or (self.simple):
                return self.run(compute, args, kwargs)
            return Call(self, model, compute, args, kwargs, divided=divided)()

        return method


PLAN = "_computed_by"
"""Attribute of a model that computes as planned."""

AGAIN = ("accumulate", "gradient_checkpointing")
"""What makes modules compute twice."""


def plan_of(model: nn.Module) -> Plan | None:
    """How `model` computes; None where it does so by itself."""
    found: Plan | None = getattr(model, PLAN, None)
    return found


@contextmanager
def whole(model: nn.Module) -> Iterator[None]:
    """Within, `model` computes whole batches at once, whatever was asked for.

    For what looks at the inputs of its layers.
    """
    plan = plan_of(model)
    with nullcontext() if plan is None else plan.whole():
        yield


def divides(model: nn.Module) -> bool:
    """Whether `model` computes some rows of a batch apart from the others."""
    plan = plan_of(model)
    return plan is not None and plan.divides


def summed(model: nn.Module, tensors: Sequence[Tensor]) -> Sequence[Tensor]:
    """What layers of `model` saw in a backward pass, as if all rows were here.

    A gradient by something inside of the model is of those rows that this process
    computes; those of parameters are of all rows already.

    Args:
        model: The model in training.
        tensors: Of own rows; as many and of the same shapes in every process.
    """
    plan = plan_of(model)
    if plan is None:
        return tensors
    found = plan.team.summed(tensors, tensors)
    return [tensor for tensor in found if tensor is not None]


def arithmetic(model: nn.Module) -> str:
    """What its numbers depend on besides weights and inputs; empty if on nothing."""
    plan = plan_of(model)
    return "" if plan is None else plan.arithmetic


def repeated(model: nn.Module, problem: Problem, settings: Execution) -> list[str]:
    """Paths of the blocks of a bare `model` that shall compute again.

    Raises:
        InputError: They were asked for, and there are none.
    """
    if not settings.gradient_checkpointing:
        return []
    found = blocks(problem.adaptable(model))
    if not found:
        raise InputError(
            "gradient_checkpointing=true: the model has no blocks that repeat"
        )
    return found


def methods_of(model: nn.Module, problem: Problem) -> tuple[str, ...]:
    """Methods of `model` that compute row by row; see `contract.model`."""
    named: tuple[str, ...] | None = getattr(model, "rowwise", None)
    if named is not None:
        return tuple(named)
    return ("forward",) if problem.per_example else ()


def _float(tensor: Tensor) -> Tensor:
    half = tensor.dtype in (torch.bfloat16, torch.float16)
    return tensor.float() if half else tensor
