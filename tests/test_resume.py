"""Cells that stop anywhere go on exactly there: files, states, and real kills."""

from __future__ import annotations

import copy
import errno
import importlib
import itertools
import json
import math
import os
import random
import signal
import subprocess
import sys
import time
from collections import OrderedDict
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from clbench import atomic, check, compose, places, record, registry
from clbench.check.checks import learn
from clbench.checkpoint import pace
from clbench.checkpoint.codec import pack, unpack
from clbench.checkpoint.file import Damaged, decode, encode, facts_of, read
from clbench.checkpoint.names import names_of, refer
from clbench.checkpoint.names import resolve as resolve_names
from clbench.checkpoint.pace import Interrupt, Pace
from clbench.checkpoint.store import Identity, Store
from clbench.cli import running
from clbench.config import resolve
from clbench.contract import Group, InputError, Recipe, Schedule, Strategy
from clbench.optim import Groups, Unnamed
from clbench.problem import view

ROOT = Path(__file__).resolve().parents[1]
PLUGINS = ROOT / "benchmarks" / "plugins"
CPU = torch.device("cpu")


# --- the codec ---

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.just("!"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=3) | st.just("!"), inner, max_size=3)
        | st.dictionaries(
            st.integers() | st.booleans() | st.none() | st.text(max_size=2),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)


def same(one, two) -> bool:
    """Equal to the bit, types and the order of keys included."""
    if type(one) is not type(two):
        return False
    if isinstance(one, float):
        return one == two or (math.isnan(one) and math.isnan(two))
    if isinstance(one, list | tuple):
        return len(one) == len(two) and all(map(same, one, two))
    if isinstance(one, dict):
        return same(list(one), list(two)) and all(same(one[k], two[k]) for k in one)
    if isinstance(one, torch.Tensor):
        return (
            one.dtype == two.dtype
            and one.shape == two.shape
            and one.stride() == two.stride()
            and bytes_of(one) == bytes_of(two)
        )
    if isinstance(one, np.ndarray):
        return one.dtype == two.dtype and one.tobytes() == two.tobytes()
    return bool(one == two)


def bytes_of(value: torch.Tensor) -> bytes:
    return value.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def through(value):
    """`value` after a way through a file."""
    return decode(b"".join(encode({"a": 1}, value))).state(CPU)


@given(plain)
@settings(max_examples=150, deadline=None)
def test_plain_values_come_back_as_they_were(value):
    tree, tensors = pack(value)
    assert same(unpack(json.loads(json.dumps(tree)), tensors, CPU), value)


KINDS = (
    *(torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.complex64),
    *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool),
    *(torch.complex128, torch.uint16, torch.float8_e4m3fn),
)


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3), (2, 0, 4), (2, 3, 4)])
def test_tensors_of_every_type_come_back_to_the_bit(kind, shape):
    size = math.prod(shape) * torch.empty((), dtype=kind).element_size()
    raw = torch.randint(2, (size,), dtype=torch.uint8)
    value = raw.view(kind).reshape(shape)
    assert same(through({"x": value})["x"], value)


def test_what_lies_in_memory_otherwise_stays_so():
    whole = torch.arange(24.0).reshape(2, 3, 4)
    state = {
        "turned": whole.transpose(0, 2),
        "part": whole[:, :2],
        "other part": whole[:, 1:],
        "last": whole.to(memory_format=torch.contiguous_format)[..., 0],
        "wide": torch.ones(1, 3, 2, 2).to(memory_format=torch.channels_last),
        "nan": torch.tensor([float("nan"), -0.0, float("-inf")]),
        "array": np.array([[1, 2], [3, 4]], dtype=np.uint16),
        "scalar": np.float32(0.5),
    }
    back = through(state)
    for name in ("turned", "wide", "nan", "array"):
        assert same(back[name], state[name]), name
    for name in ("part", "other part", "last"):
        assert torch.equal(back[name], state[name]), name
    assert back["scalar"] == 0.5


def test_a_tensor_in_two_places_is_one_again():
    shared, other = torch.ones(3), torch.ones(3)
    state = {"a": shared, "b": [shared], "c": other, "d": torch.zeros(0)}
    _, tensors = pack(state)
    assert len(tensors) == 3
    back = through(state)
    back["a"].add_(1)
    assert back["b"][0].tolist() == [2, 2, 2]
    assert back["c"].tolist() == [1, 1, 1]


def test_mappings_of_any_kind_are_dictionaries():
    assert same(through(OrderedDict(b=1, a=2)), {"b": 1, "a": 2})


@pytest.mark.parametrize("wrong", [object(), {1, 2}, nn.Linear(1, 1), {(): {b"": 0}}])
def test_what_is_no_plain_value_is_named_with_its_place(wrong):
    with pytest.raises(TypeError, match=r"'strategy\.old"):
        pack({"strategy": {"old": wrong}})


# --- the file ---


def content() -> bytes:
    state = {"x": torch.arange(5.0), 'sha256":"': "a" * 64, "y": [1, (2.5, None)]}
    return b"".join(encode({"count": 3}, state))


def test_a_change_of_any_bit_is_seen():
    whole = content()
    assert decode(whole).facts == {"count": 3}
    for place in range(len(whole)):
        broken = bytearray(whole)
        broken[place] ^= 1 << (place % 8)
        with pytest.raises(Damaged):
            decode(bytes(broken))


def test_what_is_cut_off_is_seen():
    whole = content()
    for length in (0, 3, 8, 20, len(whole) // 2, len(whole) - 1):
        with pytest.raises(Damaged):
            decode(whole[:length])
    with pytest.raises(Damaged):
        decode(whole + b"\0")


def test_it_is_a_safetensors_file(tmp_path):
    from safetensors import safe_open

    (tmp_path / "it").write_bytes(content())
    with safe_open(tmp_path / "it", framework="pt") as file:
        assert torch.equal(file.get_tensor("x"), torch.arange(5.0))
        assert json.loads(file.metadata()["state"])["y"][0] == 1
    assert facts_of(tmp_path / "it") == {"count": 3}


# --- two generations ---


@pytest.fixture
def store(tmp_path):
    """Makes a store in one folder, and keeps what it says."""

    def make(parts=None):
        lines: list[str] = []
        identity = Identity(parts or {"source of strategy it": "1"})
        made = Store(tmp_path / "it--0.json", identity, lines.append)
        made.lines = lines
        return made

    return make


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.checkpoint-*.safetensors"))


def newest_of(folder: Path) -> Path:
    return max(files(folder), key=lambda path: facts_of(path)["count"])


def test_the_two_newest_are_kept(store, tmp_path):
    one = store()
    for number in range(5):
        one.write({}, {"number": number})
    assert len(files(tmp_path)) == 2
    again = store()
    assert again.newest().state(CPU) == {"number": 4}
    again.write({}, {"number": 5})
    held = {read(path).state(CPU)["number"] for path in files(tmp_path)}
    assert held == {4, 5}
    again.remove()
    assert not files(tmp_path)
    assert again.newest() is None
    assert not again.lines


def test_the_newest_is_told_by_its_number_and_not_by_a_clock(store, tmp_path):
    one = store()
    one.write({}, {"number": 0})
    one.write({}, {"number": 1})
    os.utime(newest_of(tmp_path), (0, 0))
    assert store().newest().state(CPU) == {"number": 1}


def flip(path: Path) -> None:
    broken = bytearray(path.read_bytes())
    broken[len(broken) // 2] ^= 4
    path.write_bytes(bytes(broken))


def test_a_damaged_newest_falls_back_to_the_one_before(store, tmp_path):
    one = store()
    for number in range(3):
        one.write({}, {"number": number, "x": torch.ones(100)})
    damaged = newest_of(tmp_path)
    flip(damaged)
    again = store()
    assert again.newest().state(CPU)["number"] == 1
    (line,) = again.lines
    assert f"{damaged.name} is damaged" in line
    assert "the other one is used" in line
    # What is written next takes the damaged one's place.
    again.write({}, {"number": 7})
    assert store().newest().state(CPU) == {"number": 7}


def test_where_both_are_damaged_the_cell_starts_over(store, tmp_path):
    one = store()
    one.write({}, {"number": 0})
    one.write({}, {"number": 1})
    for path in files(tmp_path):
        path.write_bytes(path.read_bytes()[:50])
    again = store()
    assert again.newest() is None
    assert len(again.lines) == 2
    assert all("the cell starts over" in line for line in again.lines)


def test_one_of_other_code_is_refused(store):
    store().write({}, {"number": 0})
    other = store({"source of strategy it": "2"})
    assert other.newest() is None
    (line,) = other.lines
    assert "of another source of strategy it: the cell starts over" in line


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_write_that_fails_leaves_what_there_was(store, tmp_path, monkeypatch, call):
    one = store()
    one.write({}, {"number": 0})
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}

    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(
        *((os, "fsync") if call == "fsync" else (Path, "replace")), full
    )
    with pytest.raises(OSError, match="No space"):
        one.write({}, {"number": 1})
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_what_a_killed_write_left_goes_with_the_rest(store, tmp_path):
    one = store()
    one.write({}, {"number": 0})
    (tmp_path / f".{files(tmp_path)[0].name}.abc").write_bytes(b"half")
    one.remove()
    assert not list(tmp_path.iterdir())


# --- when ---


def test_the_pace(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(pace.time, "monotonic", lambda: now[0])
    usual, ends, none = Pace(10), Pace(0), Pace(None)
    assert not usual.due(boundary=True)
    assert ends.due(boundary=True)
    now[0] = 11
    assert usual.due(boundary=True)
    assert not usual.due(boundary=False)
    usual.wrote(1.0)
    now[0] = 11 + 49
    assert not usual.due(boundary=True)  # a second of each fifty at the most
    now[0] = 11 + 601
    assert usual.due(boundary=False)
    assert not ends.due(boundary=False)
    assert not none.due(boundary=True)
    usual.boundaries_only()
    assert not usual.due(boundary=False)


def test_the_first_ctrl_c_asks_and_the_second_stops():
    with Interrupt(armed=True, line="") as asked:
        signal.raise_signal(signal.SIGINT)
        assert asked.asked
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with Interrupt(armed=False, line=""), pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


# --- what a cell is ---


def test_an_optimizer_with_late_groups_is_the_same_again():
    def made():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))

    def step(net, groups, number):
        groups.optimizer.zero_grad()
        net(torch.ones(2, 3)).square().sum().backward()
        groups.before_step(number)
        groups.optimizer.step()

    first, late = made(), Schedule(shape="cosine", steps=6, warmup=2, first=1.0)
    recipe = Recipe(optimizer="adamw", schedule="linear", warmup=1, clip=0.5)
    groups = Groups(
        [Group(params=list(first[0].parameters()), lr=0.1, clip=0.5)], recipe, 8
    )
    step(first, groups, 0)
    groups.add(
        Group(params=list(first[1].parameters()), lr=0.2, schedule=late, name="b"), 1
    )
    groups.named("b").lr = 0.3
    for number in (1, 2):
        step(first, groups, number)
    names = {id(p): n for n, p in first.named_parameters()}
    state = through({"groups": groups.state(names), "net": dict(first.state_dict())})
    second = made()
    second.load_state_dict(state["net"])
    again = Groups.restored(state["groups"], dict(second.named_parameters()), recipe, 8)
    for number in (3, 4, 5):
        step(first, groups, number)
        step(second, again, number)
        for one, two in zip(first.parameters(), second.parameters(), strict=True):
            assert torch.equal(one, two)
    with pytest.raises(ValueError, match="no group is called 'c'; there are '', 'b'"):
        again.named("c")


def test_a_schedule_that_is_a_function_cannot_be_written():
    net = nn.Linear(2, 2)
    group = Group(params=list(net.parameters()), lr=1, schedule=lambda s: 1.0, name="g")
    names = {id(p): n for n, p in net.named_parameters()}
    with pytest.raises(Unnamed, match="schedule of group 'g' is a function"):
        Groups([group], Recipe(), 1).state(names)
    group.schedule = None
    with pytest.raises(Unnamed, match="neither the model nor an attribute"):
        Groups([group], Recipe(), 1).state({})


def test_a_strategys_plain_attributes_are_its_state():
    class Mine(Strategy):
        def __init__(self, *, rank: int = 3):
            self.rank = rank
            self._old = {"a": torch.ones(2), 1: [None, (True, 0.5)]}
            self._generator = torch.Generator().manual_seed(7)
            self._net = nn.Linear(1, 1)
            self._own = [nn.Parameter(torch.zeros(1))]
            self._anchors = {}

    net, one, two = nn.Linear(1, 1), Mine(), Mine()
    one._anchors[net.weight] = torch.tensor([2.0])
    torch.rand(5, generator=one._generator)
    one._old["a"] = torch.zeros(3)
    state = one.state()
    assert set(state) == {"_old", "_generator", "_own", "_anchors"}
    other = copy.deepcopy(net)
    two.load_state(resolve_names(through(refer(state, net)), other))
    assert same(two._old, one._old)
    # The model's own parameters stand for themselves, others are made anew.
    (key,), (parameter,) = two._anchors, two._own
    assert key is other.weight
    assert two._anchors[key].tolist() == [2.0]
    assert isinstance(parameter, nn.Parameter)
    assert torch.equal(
        torch.rand(3, generator=one._generator), torch.rand(3, generator=two._generator)
    )
    assert set(names_of(net, one)) == {
        *("weight", "bias", "strategy._net.weight", "strategy._net.bias"),
        "strategy._own.0",
    }


def composed(**members):
    return compose.Composite(
        {n: registry.load("strategy", n)(**given) for n, given in members.items()}
    )


PAIRS = [
    # A teacher that is smaller than the model has become.
    ("clip", {"increlora": {"until": 0.9}, "lwf": {}}),
    (
        "nlu",
        {"increlora": {"until": 0.9, "dropout": 0.3}, "zscl": {"average_every": 1}},
    ),
    # A teacher that computes with a sum of modules, in a model that does not.
    ("dpo", {"lwf": {}, "cofs_dpo": {"weights": "chosen", "interval": 2}}),
    ("dpo", {"ofs_dpo": {"interval": 1, "lr_follows": "role"}, "ewc": {}}),
    ("clip", {"olora": {}, "replay": {"memory": 5, "batch": 2}, "wiseft": {}}),
    ("mtl", {"mtlora": {"dropout": 0.2, "learn_scale": True}, "uncertainty": {}}),
    ("mtl", {"peft": {"type": "adalora"}, "pcgrad": {}}),
]


@pytest.mark.parametrize(("scenario", "members"), PAIRS)
def test_compositions_and_their_settings_go_on(scenario, members):
    (own,) = [c for c in check.PAIR_CHECKS if c.__name__ == "resumes_where_it_stopped"]
    kind = registry.load("scenario", scenario)
    finding = check.run(own, "it", lambda: composed(**members), kind)
    assert finding.status == "holds", finding.reason


def test_every_adapter_of_peft_goes_on_or_says_why_not(blobs):
    (own,) = [c for c in check.PAIR_CHECKS if c.__name__ == "resumes_where_it_stopped"]
    kind = registry.load("strategy", "peft")
    refused = set()
    for name in kind.variants():
        made = kind(type=name)
        if made.unsupported(view(blobs())) is not None:
            continue
        finding = check.run(own, name, partial(kind, type=name), blobs)
        # Some cannot be put into so small a model.
        begins = not finding.reason.startswith("InputError")
        assert finding.status == "holds" or not begins, (name, finding.reason)
        try:
            made.state()
        except NotImplementedError:
            refused.add(name)
    assert refused <= {"monteclora"}


def test_a_scenario_with_a_moving_reference_goes_on():
    kind = registry.load("scenario", "dpo")

    class Moving(kind):
        @classmethod
        def toy(cls):
            toy = super().toy()
            toy._reference = "previous"
            return toy

    (own,) = [c for c in check.PAIR_CHECKS if c.__name__ == "resumes_where_it_stopped"]
    assert check.run(own, "it", registry.load("strategy", "lora"), Moving).status == (
        "holds"
    )
    Moving.state = lambda self: {"previous": {}}
    found = check.run(own, "it", registry.load("strategy", "lora"), Moving)
    assert found.status == "broken"


def test_what_is_not_in_the_optimizer_keeps_its_gradient(blobs):
    """A parameter that no group has adds up gradients; a strategy may look at them."""

    class Looks(Strategy):
        def groups(self, model, recipe):
            return [Group(params=list(model.head.parameters()), lr=0.1)]

        def after_step(self, run):
            with torch.no_grad():
                run.model.head.bias.add_(run.model.stem.bias.grad[:3], alpha=0.01)

    (own,) = [c for c in check.PAIR_CHECKS if c.__name__ == "resumes_where_it_stopped"]
    assert check.run(own, "it", Looks, blobs).status == "holds"


def test_standing_still_changes_nothing(blobs):
    """A run that keeps checkpoints is the run that does not."""
    from clbench.check.resume import Stops

    strategy = registry.load("strategy", "increlora")
    one, two, toy = strategy(), strategy(), blobs(steps=20)
    stops = Stops(one, toy)
    model, _, _ = learn(one, toy, trace=stops)
    other, _, trace = learn(two, blobs(steps=20))
    assert len(stops.kept) == 3
    assert stops.losses == trace.losses
    assert same(dict(model.state_dict()), dict(other.state_dict()))


# --- cells ---


@pytest.fixture(scope="module")
def toys():
    """`scenario=toy` in this process and in those that it starts."""
    before = os.environ.get(places.VARIABLE)
    places.use(PLUGINS)
    yield
    if before is None:
        del os.environ[places.VARIABLE]
    else:
        os.environ[places.VARIABLE] = before


def cell(folder: Path, *words: str) -> tuple[Path, list[str]]:
    """Run a cell here; its record's path and the lines that it says."""
    from clbench.cell import run_cell
    from clbench.report import QuietReporter

    lines: list[str] = []

    class Notes(QuietReporter):
        def note(self, text):
            lines.append(text)

    ((one,), options) = resolve([*words, f"out={folder}"])
    run_cell(one, options, Notes())
    return record.path_of(folder, one), lines


def assert_equal(one: Path, two: Path) -> None:
    first, second = record.read(one), record.read(two)
    assert record.comparable(first) == record.comparable(second)
    outcomes = [record.outcomes_path(path).read_bytes() for path in (one, two)]
    assert outcomes[0] == outcomes[1]


WORDS = ("strategy=lora", "scenario=toy", "scenario.of=clip", "checkpoint.every=1e-9")


def stop_after(monkeypatch, steps: int, error: type[BaseException]) -> None:
    """Let the cell end with `error` in its loss after so many steps."""
    toy = registry.load("scenario", "toy")
    calls, loss = itertools.count(), toy.loss

    def stops(self, output, batch):
        if next(calls) == steps:
            raise error
        return loss(self, output, batch)

    monkeypatch.setattr(toy, "loss", stops)


@pytest.mark.parametrize("steps", [1, 4, 7])
def test_a_cell_that_failed_goes_on_and_its_record_is_the_whole_one(
    toys, tmp_path, monkeypatch, steps
):
    whole, lines = cell(tmp_path / "whole", *WORDS)
    assert lines == []
    with monkeypatch.context() as patch:
        stop_after(patch, steps, OSError)
        failed, _ = cell(tmp_path / "parts", *WORDS)
    assert record.read(failed).status == "failed"
    assert len(files(failed.parent)) == 2
    path, lines = cell(tmp_path / "parts", *WORDS)
    (line,) = lines
    assert line.startswith(f"goes on at step {steps} of 12 (checkpoint of ")
    assert_equal(whole, path)
    assert not files(path.parent)
    cost = record.read(path).cost
    assert cost.seconds["checkpoint"] > 0
    assert cost.seconds["total"] >= cost.seconds["train"] + cost.seconds["evaluate"]


def test_force_starts_over(toys, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        stop_after(patch, 3, OSError)
        path, _ = cell(tmp_path, *WORDS)
    assert files(path.parent)
    words = [*WORDS, f"out={tmp_path}"]
    assert running.run(words, force=True, quiet=True, json=False) == 0
    assert not files(path.parent)


def test_a_full_disk_stops_no_cell(toys, tmp_path, monkeypatch):
    write = atomic.write

    def full(path, *content):
        if ".checkpoint-" in path.name:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(path, *content)

    monkeypatch.setattr(atomic, "write", full)
    path, lines = cell(tmp_path, *WORDS)
    assert lines == ["a checkpoint could not be written: No space left on device"]
    assert record.read(path).status == "ok"


def test_a_loss_that_is_not_finite_leaves_nothing_to_go_on_from(toys, tmp_path):
    path, _ = cell(tmp_path, *WORDS, "recipe.lr=1e30", "recipe.optimizer=sgd")
    assert record.read(path).status == "failed"
    assert not files(path.parent)


def test_what_cannot_be_kept_within_an_experience_is_kept_at_its_end(
    toys, tmp_path, monkeypatch
):
    lora = registry.load("strategy", "lora")

    def groups(self, model, recipe):
        params = [p for p in model.parameters() if p.requires_grad]
        return [Group(params=params, lr=1e-3, schedule=lambda step: 1.0)]

    monkeypatch.setattr(lora, "groups", groups)
    whole, _ = cell(tmp_path / "whole", *WORDS)
    with monkeypatch.context() as patch:
        stop_after(patch, 6, OSError)
        _, lines = cell(tmp_path / "parts", *WORDS)
    assert "at the ends of experiences only: the schedule of group" in lines[0]
    path, lines = cell(tmp_path / "parts", *WORDS)
    assert lines[0].startswith("goes on at step 4 of 12")
    assert_equal(whole, path)


def test_a_strategy_may_refuse(toys, tmp_path, monkeypatch):
    def state(self):
        raise NotImplementedError("it keeps what nobody can write")

    monkeypatch.setattr(registry.load("strategy", "lora"), "state", state)
    path, lines = cell(tmp_path, *WORDS)
    line = "no checkpoints, this cell cannot go on if it stops: it keeps what nobody"
    assert [text.startswith(line) for text in lines] == [True]
    assert record.read(path).status == "ok"


def test_where_a_state_cannot_be_given_back_the_cell_starts_over(
    toys, tmp_path, monkeypatch
):
    whole, _ = cell(tmp_path / "whole", *WORDS)
    with monkeypatch.context() as patch:
        stop_after(patch, 6, OSError)
        cell(tmp_path / "parts", *WORDS)

    def load_state(self, state):
        raise ValueError("it has grown")

    monkeypatch.setattr(registry.load("strategy", "lora"), "load_state", load_state)
    path, lines = cell(tmp_path / "parts", *WORDS)
    assert "cannot be gone on from: it has grown" in lines[1]
    assert lines[2] == "the cell starts over"
    assert_equal(whole, path)


def test_resume_knows_the_cell_from_its_checkpoint(toys, tmp_path, monkeypatch, capsys):
    words = [*WORDS, "seed=2", "strategy.rank=2"]
    whole, _ = cell(tmp_path / "whole", *words)
    with monkeypatch.context() as patch:
        stop_after(patch, 6, OSError)
        path, _ = cell(tmp_path / "parts", *words)
    moved = tmp_path / "moved"
    (tmp_path / "parts").rename(moved)
    assert running.resume(moved, quiet=False, json=False) == 0
    assert "goes on at step 6 of 12" in capsys.readouterr().out
    assert_equal(whole, moved / "toy" / path.name)
    for place in (moved, moved / "toy" / path.name, tmp_path / "none"):
        with pytest.raises(InputError, match=r"no cell was stopped there|no such file"):
            running.resume(place, quiet=True, json=False)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("checkpoint.every=-1", "greater than or equal to 0"),
        ("checkpoint.evry=1", "the nearest is 'checkpoint.every'"),
        ("checkpoint_every=1", "the nearest is 'checkpoint.every'"),
    ],
)
def test_the_option_is_checked(words, line):
    with pytest.raises(InputError, match=line):
        resolve(["strategy=lora", "scenario=dg", words])
    (_, options) = resolve(["strategy=lora", "scenario=dg", "checkpoint.every=null"])
    assert options.checkpoint_every is None


# --- kills ---


@pytest.fixture
def killed(monkeypatch):
    """The module of `benchmarks/kill.py` that starts cells and kills them."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    module = importlib.import_module("killed")
    module.SERVER.set_forkserver_preload(["clbench.cell", "clbench.cli.running"])
    return module


KILLED = [
    "strategy=pego scenario.of=dg scenario.stretch=6",
    "strategy=codyra scenario.of=clip scenario.stretch=3",
    "strategy=mtlora scenario.of=mtl scenario.stretch=6",
    "strategy=ofs_dpo strategy.interval=3 scenario.of=dpo scenario.stretch=3",
    "strategy=increlora strategy.until=0.9 scenario.of=nlu scenario.stretch=3",
    "strategy=replay scenario.of=clip scenario.stretch=3",
]


@pytest.mark.parametrize("number", range(len(KILLED)))
def test_a_cell_that_is_killed_ends_as_if_it_had_not_been(
    killed, toys, tmp_path, number
):
    words = [*KILLED[number].split(), "scenario=toy", "checkpoint.every=1e-9"]
    whole, _ = cell(tmp_path / "whole", *words)
    parts = killed.Forked([*words, "scenario.pause=0"], tmp_path)
    learns = record.read(whole).cost.seconds
    learns = learns["total"] - learns["prepare"]
    chance = random.Random(number)
    while not parts.kill(chance.uniform(0, 0.7 * learns)):
        (tmp_path / "runs" / "toy").rename(tmp_path / f"late-{time.monotonic_ns()}")
    assert files(tmp_path / "runs" / "toy")
    assert running.resume(tmp_path / "runs", quiet=True, json=False) == 0
    assert_equal(whole, parts.record)
    assert not files(tmp_path / "runs" / "toy")


def test_ctrl_c_writes_a_checkpoint_and_the_same_command_goes_on(toys, tmp_path):
    words = ["strategy=lora", "scenario=toy", "scenario.stretch=5", "--quiet"]
    command = [sys.executable, "-P", "-m", "clbench", "run", *words]
    process = subprocess.Popen(
        [*command, "checkpoint.every=1e-9", "scenario.pause=0.05"],
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )
    while not files(tmp_path / "runs" / "toy") and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in errors
    (path,) = (tmp_path / "runs" / "toy").glob("*.json")
    stopped = record.read(path)
    assert stopped.status == "interrupted"
    newest = newest_of(path.parent)
    assert facts_of(newest)["step"] == stopped.cost.steps
    assert facts_of(newest)["options"]["checkpoint_every"] == 1e-9
