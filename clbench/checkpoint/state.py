"""Everything a running cell is, between two steps, as tensors and plain values."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from clbench.checkpoint.names import names_of, refer, resolve
from clbench.optim import Groups
from clbench.past.whole import give_back, weights_of

if TYPE_CHECKING:
    from clbench.contract import Experience, Scenario, Strategy
    from clbench.session import Session


class NotResumable(ValueError):
    """A state cannot be given back; the message says what stands in the way."""


@dataclass(frozen=True, kw_only=True)
class Position:
    """Where a stream stands.

    Attributes:
        experience: Position in the stream of the part that is to be learned.
        step: Steps done in it; None where it has not begun.
    """

    experience: int
    step: int | None


def gather(
    run: Session, strategy: Strategy, scenario: Scenario, position: Position
) -> dict[str, Any]:
    """The state of a cell between two steps, or between two experiences.

    Raises:
        Unnamed: What is trained cannot be written down.
    """
    return {
        "position": {"experience": position.experience, "step": position.step},
        "total_step": run.total_step,
        "step_flops": run.step_flops,
        "rng": run.rng.get_state(),
        "random": randomness(),
        "scenario": scenario.state(),
        "strategy": refer(strategy.state(), run.model),
        "model": weights_of(run.model),
        "within": None if position.step is None else _within(run, strategy),
    }


def _within(run: Session, strategy: Strategy) -> dict[str, Any]:
    """What lasts for one experience only."""
    named = names_of(run.model, strategy)
    names = {id(parameter): name for name, parameter in named.items()}
    groups = None if run.groups is None else run.groups.state(names)
    moved = set() if run.groups is None else set(map(id, run.groups.parameters))
    return {
        "held_out": sorted(run.held_out),
        "groups": groups,
        # The optimizer lets go of those of its own before the next step.
        "gradients": {
            name: parameter.grad
            for name, parameter in named.items()
            if parameter.grad is not None and id(parameter) not in moved
        },
    }


class Resumed:
    """A cell that goes on: gives a loop what was gathered, at the right moments.

    Args:
        state: What `gather` gave.
        strategy: Has prepared the model.
        scenario: Has made the model.
    """

    def __init__(
        self, state: Mapping[str, Any], strategy: Strategy, scenario: Scenario
    ) -> None:
        self._state, self._strategy, self._scenario = state, strategy, scenario
        self.position = Position(**state["position"])

    @property
    def within(self) -> bool:
        """Whether it goes on in the middle of an experience."""
        return self.position.step is not None

    def enter(self, run: Session, experience: Experience) -> None:
        """Let scenario, strategy, model, run and optimizer be what they were.

        Called when `run` has turned to the experience that is to be learned.

        Raises:
            NotResumable: They do not, such as a strategy whose `load_state` does not
                make again what has grown.
        """
        try:
            self._enter(run, experience)
        except Exception as error:
            lines = str(error).splitlines() or [type(error).__name__]
            raise NotResumable(lines[0]) from error
        # Large, and needed no longer.
        self._state = {"random": self._state["random"]}

    def _enter(self, run: Session, experience: Experience) -> None:
        state = self._state
        self._strategy.load_state(resolve(state["strategy"], run.model))
        if self.within:
            run.problem.begin(run.model, experience)
        self._scenario.load_state(state["scenario"])
        give_back(run.model, state["model"])
        run.total_step, run.step_flops = state["total_step"], state["step_flops"]
        run.rng.set_state(state["rng"])
        if self.within:
            run.step = self.position.step or 0
            self._enter_within(run, state["within"])

    def draw(self) -> None:
        """Give the global generators back what they were."""
        give_back_randomness(self._state["random"])

    def _enter_within(self, run: Session, within: Mapping[str, Any]) -> None:
        run.held_out.update(within["held_out"])
        parameters = names_of(run.model, self._strategy)
        if within["groups"] is not None:
            run.go_on(
                Groups.restored(
                    within["groups"], parameters, run.problem.recipe, run.steps
                )
            )
        for name, gradient in within["gradients"].items():
            parameters[name].grad = gradient


def randomness() -> dict[str, Any]:
    """The states of all global generators: Python's, numpy's, torch's."""
    return {
        "python": random.getstate(),
        "numpy": np.random.get_state(),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "mps": torch.mps.get_rng_state() if torch.backends.mps.is_available() else None,
    }


def give_back_randomness(states: Mapping[str, Any]) -> None:
    """Set all global generators to what `randomness` gave."""
    random.setstate(states["python"])
    np.random.set_state(states["numpy"])
    torch.set_rng_state(states["torch"])
    for number, state in enumerate(states["cuda"][: torch.cuda.device_count()]):
        torch.cuda.set_rng_state(state, number)
    if states["mps"] is not None and torch.backends.mps.is_available():
        torch.mps.set_rng_state(states["mps"])
