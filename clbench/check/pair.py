"""Checks of one strategy on one scenario's toy."""

from __future__ import annotations

import json
import math
from typing import Any

import torch

from clbench.check.checks import (
    Check,
    expect,
    first_batch,
    learn,
    snapshot,
)
from clbench.check.resume import resumes_where_it_stopped
from clbench.contract import Scenario, Strategy
from clbench.devices.rows import tensors
from clbench.problem import view


def prepare_keeps_the_function(
    strategy: type[Strategy], scenario: type[Scenario]
) -> None:
    """The prepared model computes what the bare model computed, to 1e-5."""
    toy = scenario.toy()
    batch, model = first_batch(toy), toy.model().eval()
    with torch.no_grad():
        before = [t.clone() for t in tensors(model(batch))]
        strategy().prepare(model, view(toy))
        model.eval()
        after = list(tensors(model(batch)))
    expect(len(before) == len(after), "the prepared model's output has other tensors")
    for old, new in zip(before, after, strict=True):
        if old.is_floating_point() and old.numel():
            gap = float((old - new).abs().max())
            expect(gap <= 1e-5, f"`prepare` moves the output by {gap:.2e}")


def prepare_leaves_global_randomness(
    strategy: type[Strategy], scenario: type[Scenario]
) -> None:
    """`prepare` draws from generators of its own, and the same each time."""
    toy = scenario.toy()
    states = []
    models = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        model = toy.model()
        before = torch.get_rng_state()
        strategy().prepare(model, view(toy))
        states.append(torch.equal(before, torch.get_rng_state()))
        models.append(snapshot(model))
    expect(all(states), "`prepare` draws from torch's global generator")
    for name, value in models[0].items():
        expect(
            torch.equal(value, models[1][name]),
            f"'{name}' differs between two preparations with the same seed",
        )


def groups_are_trainable(strategy: type[Strategy], scenario: type[Scenario]) -> None:
    """Groups hold parameters of the model that require gradients, each once."""
    toy = scenario.toy()
    made, model = strategy(), toy.model()
    made.prepare(model, view(toy))
    params = [p for g in made.groups(model, toy.recipe) for p in g.params]
    expect(len(params) == len({id(p) for p in params}), "a parameter is in two groups")
    expect(
        all(p.requires_grad for p in params),
        "a group holds a parameter that does not require a gradient",
    )
    grouped = {id(p) for p in params}
    expect(
        not params or all(id(p) in grouped for p in toy.heads(model)),
        "the heads are not trained",
    )


def training_moves_what_is_trained(
    strategy: type[Strategy], scenario: type[Scenario]
) -> None:
    """A toy takes every step of its budget, with finite losses, and learns something.

    A strategy without groups trains nothing: its model is left as it was prepared.
    """
    toy = scenario.toy()
    before: dict[str, torch.Tensor] = {}
    model, _, trace = learn(
        strategy(), toy, prepared=lambda model: before.update(snapshot(model))
    )
    expect(
        all(math.isfinite(loss) for loss in trace.losses),
        f"losses are not finite: {trace.losses}",
    )
    steps = toy.budget.steps if trace.trained else 0
    expect(
        len(trace.losses) == steps, f"{len(trace.losses)} steps were done, not {steps}"
    )
    moved = any(
        name not in before or not torch.equal(value, before[name])
        for name, value in model.state_dict().items()
    )
    expect(
        moved == bool(trace.trained),
        "something is trained, but nothing moved"
        if trace.trained
        else "nothing is trained, but something moved",
    )


def the_same_twice(strategy: type[Strategy], scenario: type[Scenario]) -> None:
    """Two cells with the same seed end with the same weights, bit for bit."""
    one, _, first = learn(strategy(), scenario.toy())
    two, _, second = learn(strategy(), scenario.toy())
    expect(first.losses == second.losses, "the losses of two equal cells differ")
    for name, value in two.state_dict().items():
        expect(
            torch.equal(value, one.state_dict()[name]),
            f"'{name}' differs between two equal cells",
        )


def judging_survives_training(
    strategy: type[Strategy], scenario: type[Scenario]
) -> None:
    """The trained model answers with finite numbers, and can be judged."""
    toy = scenario.toy()
    model, _, _ = learn(strategy(), toy)
    with torch.no_grad():
        output = model.eval()(first_batch(toy))
        expect(
            all(bool(t.isfinite().all()) for t in tensors(output)),
            "the trained model's output is not finite",
        )
        row = toy.evaluate(model, len(toy.stream()))
    for task, result in row.items():
        for name, value in result.metrics.items():
            expect(value == value, f"{name} of '{task}' is NaN after training")


def state_is_plain(strategy: type[Strategy], scenario: type[Scenario]) -> None:
    """`state` holds tensors and plain values; another instance takes it back."""
    toy = scenario.toy()
    made = strategy()
    learn(made, toy)
    state = made.state()
    json.dumps(_without_tensors(state))
    other = strategy()
    other.prepare(toy.model(), view(toy))
    other.load_state(state)
    expect(
        _equal(other.state(), state),
        "`load_state` does not give back what `state` gave",
    )


PAIR_CHECKS: tuple[Check, ...] = (
    prepare_keeps_the_function,
    prepare_leaves_global_randomness,
    groups_are_trainable,
    training_moves_what_is_trained,
    the_same_twice,
    judging_survives_training,
    state_is_plain,
    resumes_where_it_stopped,
)


def _without_tensors(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return "tensor"
    if isinstance(value, dict):
        return {str(k): _without_tensors(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_without_tensors(v) for v in value]
    return value


def _equal(one: Any, two: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return isinstance(two, torch.Tensor) and torch.equal(one, two)
    if isinstance(one, dict):
        return one.keys() == two.keys() and all(_equal(one[k], two[k]) for k in one)
    if isinstance(one, list | tuple):
        return len(one) == len(two) and all(map(_equal, one, two))
    return bool(one == two)
