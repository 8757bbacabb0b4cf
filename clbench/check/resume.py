"""Whether a strategy on a scenario goes on exactly where it stopped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import nn

from clbench.check.checks import Trace, expect, learn
from clbench.checkpoint.file import decode, encode
from clbench.checkpoint.state import NotResumable, Position, Resumed, gather
from clbench.contract import Scenario, Strategy
from clbench.session import Session


class Stops(Trace):
    """Keeps checkpoints, as the bytes of their files, while a toy learns.

    Args:
        strategy: That learns.
        scenario: The toy.
    """

    def __init__(self, strategy: Strategy, scenario: Scenario) -> None:
        super().__init__()
        self._strategy, self._scenario = strategy, scenario
        stream = scenario.stream()
        last = len(stream) - 1
        # In the middle of the first and of the last part, and between two.
        self._wanted = {(0, (stream[0].steps + 1) // 2), (last, stream[last].steps - 1)}
        self._between = last // 2
        self.kept: list[tuple[str, int, bytes]] = []

    def safe(self, run: Session, boundary: bool) -> bool:
        here = run.experience.index
        return here == self._between if boundary else (here, run.step) in self._wanted

    def stopped(self, run: Session, boundary: bool) -> None:
        here = run.experience.index
        position = Position(experience=here, step=run.step)
        name = f"step {run.step} of experience {here + 1}"
        if boundary:
            position = Position(experience=here + 1, step=None)
            name = f"the end of experience {here + 1}"
        state = gather(run, self._strategy, self._scenario, position)
        content = b"".join(encode({}, state))
        self.kept.append((name, len(self.losses), content))


def resumes_where_it_stopped(
    strategy: type[Strategy], scenario: type[Scenario]
) -> None:
    """Stopped anywhere and made again in another process, it ends the same, bit by bit.

    Toys stop in the middle of their first and last experience, and between two. What
    `state` gives goes through a file; a fresh strategy and a fresh toy take it back. A
    strategy may refuse, by a NotImplementedError that says why.
    """
    toy, made = scenario.toy(), strategy()
    stops, prepared = Stops(made, toy), dict[str, Any]()
    try:
        model, run, _ = learn(
            made, toy, trace=stops, prepared=lambda model: prepared.update(vars(made))
        )
    except NotImplementedError as error:
        expect(len(str(error)) > 10, "`state` refuses without a reason")
        return
    whole = End(stops.losses, toy, model, run)
    for name, done, content in stops.kept:
        other_toy, other = scenario.toy(), strategy()
        state = decode(content).state(torch.device("cpu"))
        resumed, trace = Resumed(state, other, other_toy), Trace()
        try:
            model, run, _ = learn(other, other_toy, trace=trace, resumed=resumed)
            end = End(stops.losses[:done] + trace.losses, other_toy, model, run)
            found = whole.differs(end)
        except NotResumable as error:
            found = f"it cannot go on: {error}"
        except Exception as error:
            found = f"it stumbles when it goes on: {type(error).__name__}: {error}"
        if found is not None:
            changed = [k for k, v in vars(made).items() if prepared.get(k, v) is not v]
            changed += [k for k in vars(made) if k not in prepared]
            expect(
                False,
                f"stopped at {name}, {found}; `state` gives "
                f"{_listed(made.state())}, and these attributes have changed since "
                f"`prepare`: {_listed(changed)}",
            )


class End:
    """How a toy ended.

    Args:
        losses: Of all steps.
        scenario: The toy.
        model: It ended with.
        run: As it ended.
    """

    def __init__(
        self,
        losses: Sequence[float],
        scenario: Scenario,
        model: nn.Module,
        run: Session,
    ) -> None:
        self._losses, self._steps = list(losses), run.total_step
        self._weights = model.state_dict()
        with torch.no_grad():
            results = scenario.evaluate(model.eval(), len(scenario.stream()))
        self._row = {task: dict(result.metrics) for task, result in results.items()}
        self._drawn = torch.get_rng_state(), run.rng.get_state()

    def differs(self, other: End) -> str | None:
        """What is not the same in `other`; None where all is."""
        if self._losses != other._losses:
            pairs = enumerate(zip(self._losses, other._losses, strict=False))
            step = next((n for n, (a, b) in pairs if a != b), len(other._losses))
            return f"it goes on otherwise: the loss of step {step} is another"
        if self._weights.keys() != other._weights.keys():
            return "it ends with other weights"
        for name, value in self._weights.items():
            if not torch.equal(value, other._weights[name]):
                return f"it ends with another '{name}'"
        if repr(self._row) != repr(other._row):
            return "it ends with other scores"
        if not all(map(torch.equal, self._drawn, other._drawn)):
            return "it has drawn other random numbers"
        return None


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names) or "nothing"
