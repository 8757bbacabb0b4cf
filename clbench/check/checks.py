"""What a check is, what it finds, and what several of them need."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from clbench.checkpoint.state import Resumed
from clbench.contract import Batch, Experience, Scenario, Strategy
from clbench.engine import Loop
from clbench.minibatches import loader
from clbench.problem import view
from clbench.session import Session, Watch

Check = Callable[..., None]
"""Raises `Broken` where the contract is; takes the classes that it checks."""


class Broken(AssertionError):
    """The contract is broken. The message says what was found and what is asked."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one check found.

    Attributes:
        check: Name of the check.
        subject: Names of the plugins it looked at.
        status: `holds`, `broken`, or `unsupported` where the strategy says that it has
            no meaning there.
        reason: Why it is broken or unsupported.
    """

    check: str
    subject: str
    status: str
    reason: str = ""


def run(check: Check, subject: str, *classes: Any) -> Finding:
    """What `check` finds in `classes`; a plugin's own exception is a finding too."""
    name = check.__name__
    if len(classes) == 2:
        reason = classes[0]().unsupported(view(classes[1].toy()))
        if reason is not None:
            return Finding(
                check=name, subject=subject, status="unsupported", reason=reason
            )
    try:
        check(*classes)
    except Exception as error:
        reason = str(error)
        if not isinstance(error, Broken):
            reason = f"{type(error).__name__}: {reason}"
        return Finding(check=name, subject=subject, status="broken", reason=reason)
    return Finding(check=name, subject=subject, status="holds")


def expect(condition: bool, found: str) -> None:
    """Raise `Broken` with what was `found` unless `condition` holds."""
    if not condition:
        raise Broken(found)


def first_batch(scenario: Scenario) -> Batch:
    """A training batch of the first experience, on the CPU, not augmented."""
    return next(iter(loader(scenario.stream()[0], scenario.seed)))


def snapshot(model: nn.Module) -> dict[str, Tensor]:
    """A copy of every parameter and buffer."""
    return {k: v.detach().clone() for k, v in model.state_dict().items()}


class Trace(Watch):
    """Keeps what a run of a toy did."""

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.trained: set[int] = set()

    def begun(self, run: Session) -> None:
        if run.groups is not None:
            for entry in run.optimizer.param_groups:
                self.trained |= {id(p) for p in entry["params"]}

    def stepped(self, run: Session, losses: Sequence[float], examples: int) -> None:
        self.losses += losses


def learn(
    strategy: Strategy,
    scenario: Scenario,
    *,
    prepared: Callable[[nn.Module], None] = lambda model: None,
    stream: Sequence[Experience] | None = None,
    trace: Trace | None = None,
    resumed: Resumed | None = None,
) -> tuple[nn.Module, Session, Trace]:
    """Run a toy on the CPU: its model, its run and what was seen of it.

    Args:
        strategy: Fresh.
        scenario: A toy.
        prepared: Called with the model when the strategy has prepared it.
        stream: Another stream than the scenario's.
        trace: Sees what is done.
        resumed: Where to go on.
    """
    problem = view(scenario)
    torch.manual_seed(0)
    model = scenario.model()
    strategy.prepare(model, problem)
    prepared(model)
    session = Session(model, problem, torch.device("cpu"), lambda *_: None)
    trace = Trace() if trace is None else trace
    loop = Loop(run=session, strategy=strategy, watch=trace)
    loop.learn(scenario.stream() if stream is None else stream, resumed)
    return model, session, trace
