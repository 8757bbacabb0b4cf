"""`strategy=a+b`: strategies that learn together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from clbench.contract import Experience, Group, InputError, Problem, Recipe, Strategy
from clbench.masking import expanded
from clbench.registry import load

if TYPE_CHECKING:
    from torch import Tensor, nn

    from clbench.contract import Batch, Run
    from clbench.resolved import Cell


def build(cell: Cell) -> Strategy:
    """The strategy of `cell`: one plugin's, or several as one.

    Raises:
        InputError: A plugin is unknown, refuses its parameters, or two of them want
            what has one owner.
    """
    members = {
        m.name: load("strategy", m.name)(**expanded(m.params)) for m in cell.strategy
    }
    if len(members) == 1:
        return next(iter(members.values()))
    return Composite(members)


def owner(hook: str, members: Mapping[str, type[Strategy]]) -> str | None:
    """Name of the one member that overrides `hook`; None where nobody does.

    Raises:
        InputError: Two members do.
    """
    names = [n for n, c in members.items() if getattr(c, hook) is not _default(hook)]
    if len(names) > 1:
        what = {"prepare": "prepare the model", "groups": "choose what is trained"}
        raise InputError(
            f"strategy={'+'.join(members)}: both '{names[0]}' and '{names[1]}' "
            f"{what.get(hook, hook)} ({hook}), which one member may do: leave out one "
            f"of them (clbench list strategies)"
        )
    return names[0] if names else None


class Composite(Strategy):
    """Several strategies as one; their hooks are called in the order given.

    Penalties add up. The model is prepared, and what is trained is chosen, by the one
    member that does so.

    Args:
        members: Strategies by their names.
    """

    def __init__(self, members: Mapping[str, Strategy]) -> None:
        classes = {name: type(member) for name, member in members.items()}
        self._members = dict(members)
        self._prepares = owner("prepare", classes)
        self._groups = owner("groups", classes)

    def unsupported(self, problem: Problem) -> str | None:
        reasons = {n: m.unsupported(problem) for n, m in self._members.items()}
        given = [f"{name}: {reason}" for name, reason in reasons.items() if reason]
        return "; ".join(given) or None

    def prepare(self, model: nn.Module, problem: Problem) -> None:
        if self._prepares is not None:
            self._members[self._prepares].prepare(model, problem)

    def groups(self, model: nn.Module, recipe: Recipe) -> list[Group]:
        if self._groups is None:
            return super().groups(model, recipe)
        return self._members[self._groups].groups(model, recipe)

    def before_experience(self, run: Run, experience: Experience) -> None:
        for member in self._members.values():
            member.before_experience(run, experience)

    def penalty(self, run: Run, output: Any, batch: Batch) -> Tensor | None:
        total: Tensor | None = None
        for member in self._members.values():
            term = member.penalty(run, output, batch)
            if term is not None:
                total = term if total is None else total + term
        return total

    def before_step(self, run: Run) -> None:
        for member in self._members.values():
            member.before_step(run)

    def after_step(self, run: Run) -> None:
        for member in self._members.values():
            member.after_step(run)

    def after_experience(self, run: Run, experience: Experience) -> None:
        for member in self._members.values():
            member.after_experience(run, experience)

    def state(self) -> dict[str, Any]:
        return {name: member.state() for name, member in self._members.items()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take back what `state` gave.

        Raises:
            ValueError: It is of another composition.
        """
        if list(state) != list(self._members):
            raise ValueError(
                f"the state is of {list(state)}, not of {list(self._members)}"
            )
        for name, member in self._members.items():
            member.load_state(state[name])


def _default(hook: str) -> Any:
    return getattr(Strategy, hook)
