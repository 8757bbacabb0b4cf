"""Every plugin keeps the contract; and every check can tell when one does not."""

from __future__ import annotations

import copy
import random
import textwrap

import pytest
import torch

from clbench import check, registry
from clbench.assets.need import Local
from clbench.contract import Count, Group, Strategy, trainable


def built_in(kind: str) -> list[str]:
    """Names of the plugins that clbench brings."""
    return [n for n, p in registry.find(kind).items() if p.origin.kind == "built in"]


STRATEGIES, SCENARIOS = built_in("strategy"), built_in("scenario")


def named(check_):
    return check_.__name__


def hold(finding: check.Finding) -> None:
    assert finding.status == "holds", f"{finding.subject}: {finding.reason}"


@pytest.mark.parametrize("check_", check.STRATEGY_CHECKS, ids=named)
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_strategy(strategy, check_):
    hold(check.run(check_, strategy, registry.load("strategy", strategy)))


@pytest.mark.parametrize("check_", check.SCENARIO_CHECKS, ids=named)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scenario(scenario, check_):
    hold(check.run(check_, scenario, registry.load("scenario", scenario)))


@pytest.mark.parametrize("check_", check.PAIR_CHECKS, ids=named)
@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_pair(strategy, scenario, check_):
    classes = registry.load("strategy", strategy), registry.load("scenario", scenario)
    finding = check.run(check_, f"{strategy} on {scenario}", *classes)
    if finding.status == "unsupported":
        assert len(finding.reason) > 10
        pytest.skip(finding.reason)
    hold(finding)


def test_most_cells_have_a_meaning():
    """`unsupported` may not become a way out of the checks."""
    from clbench.problem import view

    reasons = {
        (a, b): registry.load("strategy", a)().unsupported(
            view(registry.load("scenario", b).toy())
        )
        for a in STRATEGIES
        for b in SCENARIOS
    }
    refused = {pair for pair, reason in reasons.items() if reason is not None}
    # Heads that do not exist cannot be trained; balance needs tasks that share steps.
    meant = {"zeroshot", "linear", "pcgrad", "uncertainty"}
    assert {strategy for strategy, _ in refused} <= meant


# --- strategies that break it, each in one way ---


class Positional(Strategy):
    """Takes a positional argument."""

    def __init__(self, rank: Count = 4) -> None:
        self.rank = rank


class Forgets(Strategy):
    """Stores something else than it was given, and does not describe it."""

    def __init__(self, *, rank: Count = 4) -> None:
        self.rank = 2 * rank


class Moves(Strategy):
    """Changes the model's function when it prepares it."""

    def prepare(self, model, problem):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(1.5)


class DrawsGlobally(Strategy):
    """Draws from torch's global generator."""

    def prepare(self, model, problem):
        model.extra = torch.nn.Parameter(torch.randn(3))


class LeavesHeads(Strategy):
    """Trains the backbone, but not the heads."""

    def prepare(self, model, problem):
        for parameter in problem.heads(model):
            parameter.requires_grad_(False)


class Stands(Strategy):
    """Says that it trains, but at a rate of zero."""

    def groups(self, model, recipe):
        return [Group(params=trainable(model.parameters()), lr=0.0)]


class Gambles(Strategy):
    """Draws from Python's generator while it trains."""

    def after_step(self, run):
        with torch.no_grad():
            for parameter in trainable(run.model.parameters()):
                parameter.add_(0.01 * random.random())


class Explodes(Strategy):
    """Leaves weights that are not finite at the end of the stream."""

    def after_experience(self, run, experience):
        if experience.index == 0:
            return
        with torch.no_grad():
            for parameter in run.model.parameters():
                parameter.fill_(float("nan"))


class Pickles(Strategy):
    """Keeps an object in its state."""

    def state(self):
        return {"model": object()}


class Loses(Strategy):
    """Does not take its state back."""

    def __init__(self):
        self._steps = 0

    def after_step(self, run):
        self._steps += 1

    def state(self):
        return {"steps": self._steps}


class Remembers(Strategy):
    """Draws weights to those of a copy that no state has."""

    def before_experience(self, run, experience):
        self._copy = copy.deepcopy(run.model)

    def penalty(self, run, output, batch):
        pairs = zip(run.model.parameters(), self._copy.parameters(), strict=True)
        return sum((p - q.detach()).square().sum() for p, q in pairs)


class Stumbles(Strategy):
    """Raises an exception of its own."""

    def prepare(self, model, problem):
        raise KeyError("blocks.7")


BROKEN = [
    ("keywords_have_defaults", Positional, "'rank' is not keyword-only"),
    ("constructor_only_stores", Forgets, "'rank' is stored as 8 instead of 4"),
    ("is_documented", Forgets, "'rank' is not described"),
    ("prepare_keeps_the_function", Moves, "`prepare` moves the output by"),
    ("prepare_leaves_global_randomness", DrawsGlobally, "draws from torch's global"),
    ("groups_are_trainable", LeavesHeads, "the heads are not trained"),
    ("training_moves_what_is_trained", Stands, "nothing moved"),
    ("the_same_twice", Gambles, "two equal cells"),
    ("judging_survives_training", Explodes, "output is not finite"),
    ("state_is_plain", Pickles, "not JSON serializable"),
    ("state_is_plain", Loses, "`load_state` does not give back"),
    ("resumes_where_it_stopped", Remembers, "changed since `prepare`: '_copy'"),
    ("prepare_keeps_the_function", Stumbles, "KeyError: 'blocks.7'"),
]


@pytest.mark.parametrize(("name", "strategy", "reason"), BROKEN)
def test_a_check_finds_what_it_is_for(blobs, name, strategy, reason):
    (own,) = [c for c in check.STRATEGY_CHECKS + check.PAIR_CHECKS if named(c) == name]
    classes = [strategy] if own in check.STRATEGY_CHECKS else [strategy, blobs]
    finding = check.run(own, "it", *classes)
    assert finding.status == "broken"
    assert reason in finding.reason


def test_every_check_of_a_strategy_is_shown_to_fail():
    shown = {name for name, _, _ in BROKEN}
    assert shown == {named(c) for c in check.STRATEGY_CHECKS + check.PAIR_CHECKS}


def changed(kind: type, **methods) -> type:
    return type(f"Changed{kind.__name__}", (kind,), methods)


def test_checks_of_a_scenario_find_what_they_are_for(blobs):
    calls = iter(range(1000))

    def other_model(self):
        model = blobs.model(self)
        torch.nn.init.constant_(model.head.bias, next(calls))
        return model

    def wrong_heads(self, model):
        yield torch.nn.Parameter(torch.zeros(2))

    def noisy(self, model, upto):
        row = blobs.evaluate(self, model, upto)
        for result in row.values():
            result.metrics["accuracy"] += 1e-3 * next(calls)
        return row

    def more_scores(cls, matrix, params):
        return {**blobs.scores(matrix, params), "surprise": 0.0}

    def no_distance(self, new, old, batch):
        return torch.zeros(())

    def wrong_merit(self, output, batch):
        return torch.zeros(3)

    def constant(self, output, batch):
        return torch.zeros((), requires_grad=True)

    def coupled(self):
        model = blobs.model(self)
        model.stem.register_forward_hook(lambda module, given, out: out - out.mean(0))
        return model

    def frozen_output(self):
        return blobs.model(self).requires_grad_(False)

    twice = [Local(kind="data", name="pictures", place=None)] * 2

    broken = {
        "needs_are_named_and_looked_for": {
            "needs": classmethod(lambda cls, params: twice)
        },
        "model_is_fresh_and_the_same": {"model": other_model},
        "heads_belong_to_the_model": {"heads": wrong_heads},
        "every_row_judges_every_task": {"evaluate": noisy},
        "scores_are_the_metrics": {"scores": classmethod(more_scores)},
        "distance_is_a_distance": {"distance": no_distance},
        "loss_merit_and_distance_have_their_shapes": {"merit": wrong_merit},
        "layers_exist": {"adaptable": lambda self, model: iter(())},
        "outputs_hold_tensors": {"model": frozen_output},
        "examples_stand_alone": {"model": coupled},
        "losses_add_up": {"losses": lambda self, *given: {"a": 2 * self.loss(*given)}},
    }
    for name, methods in broken.items():
        (own,) = [c for c in check.SCENARIO_CHECKS if named(c) == name]
        hold(check.run(own, "blobs", blobs))
        assert check.run(own, "it", changed(blobs, **methods)).status == "broken", name
    shapes = next(c for c in check.SCENARIO_CHECKS if "shapes" in named(c))
    assert check.run(shapes, "it", changed(blobs, loss=constant)).status == "broken"


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("def prepair(self, model, problem): ...", "did you mean 'prepare'"),
        ("def penalty(self, output, batch): ...", "must take"),
        ("def helper(self): ...", "leading underscore"),
    ],
)
def test_a_misspelt_hook_is_an_error_when_the_class_is_made(body, line):
    code = f'class Mine(Strategy):\n    """It."""\n{textwrap.indent(body, "    ")}\n'
    with pytest.raises(TypeError, match=line):
        exec(code, {"Strategy": Strategy})
