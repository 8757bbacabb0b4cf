"""Strategies that learn together: order, sums, owners and nested states."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from clbench import compose, places
from clbench.compose import Composite, owner
from clbench.config import resolve
from clbench.contract import HOOKS, Group, InputError, Recipe, Strategy

PLUGINS = Path(__file__).parent / "plugins"


class Scribe(Strategy):
    """Writes down which hook was called, and on whom."""

    def __init__(self, name: str, calls: list[str], term: float | None = None) -> None:
        self._name, self._calls, self._term = name, calls, term
        self._state: dict[str, object] = {"name": name}

    def before_experience(self, run, experience):
        self._calls.append(f"{self._name}.before_experience")

    def penalty(self, run, output, batch):
        self._calls.append(f"{self._name}.penalty")
        return None if self._term is None else torch.tensor(self._term)

    def before_step(self, run):
        self._calls.append(f"{self._name}.before_step")

    def after_step(self, run):
        self._calls.append(f"{self._name}.after_step")

    def after_experience(self, run, experience):
        self._calls.append(f"{self._name}.after_experience")

    def unsupported(self, problem):
        return None if self._term is None else f"{self._term} is too much"

    def state(self):
        return self._state

    def load_state(self, state):
        self._state = dict(state)


class Preparer(Strategy):
    """Prepares the model."""

    def prepare(self, model, problem):
        model.append(f"prepared for {problem}")


class Grouper(Strategy):
    """Chooses what is trained."""

    def groups(self, model, recipe):
        return [Group(params=[], lr=7.0)]


def pair(first: float | None = None, second: float | None = None):
    calls: list[str] = []
    one, two = Scribe("one", calls, first), Scribe("two", calls, second)
    return Composite({"one": one, "two": two}), calls


@pytest.mark.parametrize(
    ("hook", "arguments"),
    [
        ("before_experience", (None, None)),
        ("penalty", (None, None, None)),
        ("before_step", (None,)),
        ("after_step", (None,)),
        ("after_experience", (None, None)),
    ],
)
def test_members_are_called_in_the_order_given(hook, arguments):
    both, calls = pair()
    getattr(both, hook)(*arguments)
    assert calls == [f"one.{hook}", f"two.{hook}"]


def test_every_hook_of_the_contract_is_passed_on():
    assert set(HOOKS) <= set(vars(Composite))


@pytest.mark.parametrize(
    ("terms", "total"),
    [((None, None), None), ((2.0, None), 2.0), ((None, 3.0), 3.0), ((2.0, 3.0), 5.0)],
)
def test_penalties_add_up(terms, total):
    both, _ = pair(*terms)
    assert both.penalty(None, None, None) == total


def test_reasons_are_joined_with_their_members():
    assert pair()[0].unsupported(None) is None
    assert pair(None, 3.0)[0].unsupported(None) == "two: 3.0 is too much"
    joined = pair(2.0, 3.0)[0].unsupported(None)
    assert joined == "one: 2.0 is too much; two: 3.0 is too much"


def test_states_are_nested_by_name():
    both, _ = pair()
    saved = both.state()
    assert saved == {"one": {"name": "one"}, "two": {"name": "two"}}
    other, _ = pair()
    other.load_state({"one": {"name": "new"}, "two": {"name": "two"}})
    assert other.state()["one"] == {"name": "new"}
    with pytest.raises(ValueError, match=r"'one'.*'three'"):
        other.load_state({"one": {}, "three": {}})


def test_one_member_prepares_and_one_chooses():
    calls: list[str] = []
    members = {"a": Scribe("a", calls), "b": Preparer(), "c": Grouper()}
    both = Composite(members)
    model: list[str] = []
    both.prepare(model, "this")
    assert model == ["prepared for this"]
    (group,) = both.groups(None, Recipe())
    assert group.lr == 7.0


def test_where_nobody_chooses_everything_is_trained():
    both, _ = pair()
    both.prepare(torch.nn.Linear(2, 2), None)
    model = torch.nn.Linear(2, 2)
    (group,) = both.groups(model, Recipe(lr=0.5))
    assert (len(group.params), group.lr) == (2, 0.5)


@pytest.mark.parametrize(
    ("hook", "member", "what"),
    [
        ("prepare", Preparer, "prepare the model"),
        ("groups", Grouper, "choose what is trained"),
    ],
)
def test_two_owners_are_refused_by_name(hook, member, what):
    assert owner(hook, {"a": member, "b": Strategy}) == "a"
    assert owner(hook, {"b": Strategy}) is None
    with pytest.raises(InputError, match=f"a\\+b: both 'a' and 'b' {what}"):
        owner(hook, {"a": member, "b": member})
    with pytest.raises(InputError):
        Composite({"a": member(), "b": member()})


def test_cells_build_their_strategies(monkeypatch):
    monkeypatch.setenv(places.VARIABLE, str(PLUGINS))
    words = ["scenario=fake_points", "scenario.target=east", "tuned=false"]
    (cell,), _ = resolve(["strategy=fake_wide", "strategy.rank=9", *words])
    strategy = compose.build(cell)
    assert (type(strategy).__name__, strategy.rank) == ("Wide", 9)
    assert strategy.roles == ("q", "v")
    (cell,), _ = resolve(["strategy=fake_wide+fake_head", *words])
    assert isinstance(compose.build(cell), Composite)
