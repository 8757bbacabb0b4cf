"""The loop calls every hook at its moment and trains as a bare loop does."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import nn

from clbench.contract import Experience, Group, Recipe, Run, Strategy
from clbench.engine import Loop
from clbench.minibatches import loader
from clbench.optim import Groups, schedule_of
from clbench.problem import view
from clbench.seeding import derive
from clbench.session import NotFinite, Session, Watch


class Rows(Watch):
    """Notes when it is told to evaluate."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, int, bool]] = []
        self.losses: list[float] = []

    def stepped(self, run: Session, losses: Sequence[float], examples: int) -> None:
        self.losses += losses

    def evaluate(self, run: Session, boundary: bool) -> None:
        self.rows.append((run.experience.index, run.total_step, boundary))


def learn(scenario, strategy, watch=None):
    model = scenario.model()
    strategy.prepare(model, view(scenario))
    run = Session(model, view(scenario), torch.device("cpu"), lambda *_: None)
    Loop(run=run, strategy=strategy, watch=watch or Watch()).learn(scenario.stream())
    return model, run


def test_training_equals_a_bare_loop(blobs):
    scenario = blobs(experiences=1, steps=20)
    trained, _ = learn(scenario, Strategy())

    model = scenario.model()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2, fused=True)
    for batch in loader(scenario.stream()[0], seed=0):
        loss = scenario.loss(model(batch), batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    for ours, theirs in zip(trained.parameters(), model.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_hooks_come_in_the_order_of_the_contract(blobs):
    calls = []

    class Scribe(Strategy):
        def prepare(self, model, problem):
            calls.append("prepare")

        def before_experience(self, run, experience):
            calls.append(f"before_experience {experience.index}")
            assert not hasattr(run, "optimizer") or experience.index > 0

        def groups(self, model, recipe):
            calls.append("groups")
            return super().groups(model, recipe)

        def penalty(self, run, output, batch):
            calls.append("penalty")
            assert output.shape == (16, 3)
            return

        def before_step(self, run):
            calls.append("before_step")
            assert all(p.grad is not None for p in run.model.parameters())

        def after_step(self, run):
            calls.append("after_step")

        def after_experience(self, run, experience):
            calls.append(f"after_experience {experience.index}")
            assert run.step == run.steps == 2

    learn(blobs(steps=2), Scribe())
    step = ["penalty", "before_step", "after_step"]
    assert calls == [
        "prepare",
        *("before_experience 0", "groups", *step, *step, "after_experience 0"),
        *("before_experience 1", "groups", *step, *step, "after_experience 1"),
    ]


def test_rows_within_and_at_the_ends_of_experiences(blobs):
    watch = Rows()
    learn(blobs(steps=6, every=3), Strategy(), watch)
    expected = [(0, 3, False), (0, 6, True), (1, 9, False), (1, 12, True)]
    assert watch.rows == expected
    assert len(watch.losses) == 12


def test_a_loss_that_is_not_finite_stops_before_it_spoils_the_weights(blobs):
    scenario = blobs(experiences=1, steps=10, poison=4)
    weights = []

    class Keep(Strategy):
        def after_step(self, run):
            weights.append([p.detach().clone() for p in run.model.parameters()])

    with pytest.raises(NotFinite) as caught:
        learn(scenario, Keep())
    assert caught.value.step == 4
    assert len(weights) == 4
    assert all(bool(p.isfinite().all()) for p in weights[-1])


def test_a_penalty_is_added_to_the_loss(blobs):
    class Shrink(Strategy):
        def penalty(self, run, output, batch):
            return 10.0 * sum(p.square().sum() for p in run.model.parameters())

    def size(model):
        return sum(float(p.detach().square().sum()) for p in model.parameters())

    plain, _ = learn(blobs(steps=20), Strategy())
    shrunk, _ = learn(blobs(steps=20), Shrink())
    assert size(shrunk) < 0.7 * size(plain)


def test_gradients_may_be_edited_and_clipped(blobs):
    class Still(Strategy):
        def before_step(self, run):
            for parameter in run.model.parameters():
                parameter.grad.zero_()

    scenario = blobs(steps=3)
    model, _ = learn(scenario, Still())
    for ours, start in zip(
        model.parameters(), scenario.model().parameters(), strict=True
    ):
        assert torch.equal(ours, start)


def test_clipping_acts_on_each_group_by_itself():
    a, b = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(2))
    recipe = Recipe(optimizer="sgd", lr=1.0, momentum=0.0)
    groups = Groups(
        [Group(params=[a], lr=1.0, clip=1.0), Group(params=[b], lr=0.5)], recipe, 10
    )
    a.grad, b.grad = torch.tensor([3.0, 4.0]), torch.tensor([3.0, 4.0])
    groups.before_step(0)
    groups.optimizer.step()
    assert torch.allclose(a.detach(), torch.tensor([-0.6, -0.8]))
    assert torch.allclose(b.detach(), torch.tensor([-1.5, -2.0]))


def test_parameters_that_enter_late_follow_a_schedule_of_their_own(blobs):
    rates = []

    class Grow(Strategy):
        def after_step(self, run):
            if run.step == 2 and run.experience.index == 0:
                new = nn.Parameter(torch.zeros(3))
                run.model.register_parameter("late", new)
                schedule = {0: 0.25, 1: 0.5}.get
                run.add_group(
                    Group(params=[new], lr=1.0, schedule=lambda s: schedule(s, 1.0))
                )
            if len(run.optimizer.param_groups) > 1:
                rates.append(run.optimizer.param_groups[-1]["lr"])

    learn(blobs(experiences=1, steps=8), Grow())
    # The first entry is read when the group has just been added.
    assert rates == [1.0, 0.25, 0.5, 1.0, 1.0, 1.0, 1.0]


def test_a_parameter_cannot_enter_twice(blobs):
    class Twice(Strategy):
        def after_step(self, run):
            run.add_group(Group(params=[next(run.model.parameters())], lr=1.0))

    with pytest.raises(ValueError, match="more than one parameter group"):
        learn(blobs(steps=2), Twice())


def test_where_nothing_is_trained_no_step_is_taken(blobs):
    class Nothing(Strategy):
        def groups(self, model, recipe):
            return []

    watch = Rows()
    scenario = blobs(steps=5)
    _, run = learn(scenario, Nothing(), watch)
    assert run.total_step == 0
    assert [boundary for *_, boundary in watch.rows] == [True, True]


@pytest.mark.parametrize(
    ("recipe", "expected"),
    [
        (Recipe(), [1.0, 1.0, 1.0, 1.0]),
        (Recipe(schedule="linear"), [1.0, 0.75, 0.5, 0.25]),
        (Recipe(schedule="cosine"), [1.0, 0.853553, 0.5, 0.146447]),
        (Recipe(schedule="linear", warmup=2), [0.5, 1.0, 1.0, 0.5]),
    ],
)
def test_schedules(recipe, expected):
    factor = schedule_of(recipe, 4)
    assert [factor(s) for s in range(4)] == pytest.approx(expected, abs=1e-6)


def test_a_strategy_cannot_reach_the_judge_by_accident(blobs):
    problem = view(blobs())
    assert problem.tasks == ("task0", "task1")
    assert problem.seed == 0
    for name in ("evaluate", "stream", "card", "model", "scores"):
        with pytest.raises(AttributeError, match=f"no '{name}'"):
            getattr(problem, name)
    with pytest.raises(AttributeError, match="may not set"):
        problem.seed = 1


def test_seeds_differ_by_purpose_and_not_by_process():
    seeds = {derive(0, "a"), derive(0, "b"), derive(1, "a"), derive(0, "a", 1)}
    assert len(seeds) == 4
    assert derive(0, "augment", 0, 17) == 4377251581587918122


def test_a_misspelt_hook_is_an_error_when_the_class_is_made():
    with pytest.raises(TypeError, match="did you mean 'after_step'"):
        type("Wrong", (Strategy,), {"after_steps": lambda self, run: None})
    with pytest.raises(TypeError, match=r"must take \(self, run\)"):
        type("Wrong", (Strategy,), {"after_step": lambda self, r: None})


def test_an_experience_is_immutable(blobs):
    experience: Experience = blobs().stream()[0]
    with pytest.raises(AttributeError):
        experience.steps = 3  # type: ignore[misc]


def test_a_run_is_the_contract_s():
    assert issubclass(Session, Run)
