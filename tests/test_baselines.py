"""Baselines that use only the contract, each against its closed form."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from clbench import registry
from clbench.check.checks import first_batch, learn
from clbench.compose import Composite, owner
from clbench.contract import Data, Experience, InputError
from clbench.problem import view
from clbench.session import Session

Clip = registry.load("scenario", "clip")


def strategy(name, **params):
    return registry.load("strategy", name)(**params)


class Gaussian(Data):
    """Points whose mean is to be learned: the log-likelihood is quadratic."""

    def __init__(self, points: torch.Tensor) -> None:
        self.points = points

    def __len__(self):
        return len(self.points)

    def __getitems__(self, indices):
        return {"x": self.points[torch.as_tensor(indices)]}

    def batches(self, seed, steps):
        every = list(range(len(self.points)))
        yield from (every for _ in range(steps))


class Mean(nn.Module):
    """One parameter: what the points are expected to be."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(width))

    def forward(self, batch):
        return self.mean.expand_as(batch["x"])


PROBLEM = SimpleNamespace(
    seed=0,
    loss=lambda output, batch: 0.5 * (output - batch["x"]).square().sum(-1).mean(),
    merit=lambda output, batch: -0.5 * (output - batch["x"]).square().sum(-1),
)


def gaussian(points: torch.Tensor) -> tuple[Mean, SimpleNamespace, Experience]:
    data = Gaussian(points)
    part = Experience(index=0, name="one", tasks=("one",), train=data, steps=1)
    model = Mean(points.shape[1])
    run = SimpleNamespace(
        model=model,
        problem=PROBLEM,
        experience=part,
        device=torch.device("cpu"),
        rng=torch.Generator().manual_seed(0),
        step=1,
        steps=1,
    )
    return model, run, part


# --- ewc ---


def test_ewc_is_a_quadratic_with_the_squared_gradients_as_its_curvature():
    """The gradient of the log-likelihood of point x is x - mean: F is its square."""
    points = torch.randn(16, 3, generator=torch.Generator().manual_seed(0))
    model, run, part = gaussian(points)
    ewc = strategy("ewc", strength=2.0, examples=16)
    assert ewc.penalty(run, None, {}) is None
    with torch.no_grad():
        model.mean.fill_(0.5)
    ewc.after_experience(run, part)
    fisher = (points - 0.5).square().mean(0)
    assert_close(ewc.state()["fisher"]["mean"], fisher)
    move = torch.tensor([0.1, -0.2, 0.3])
    with torch.no_grad():
        model.mean.add_(move)
    penalty = ewc.penalty(run, None, {})
    assert_close(penalty, (fisher * move.square()).sum())
    penalty.backward()
    assert_close(model.mean.grad, 2 * fisher * move)


def test_ewc_adds_the_information_of_experiences_up():
    points = torch.randn(8, 2, generator=torch.Generator().manual_seed(1))
    for decay in (1.0, 0.5):
        model, run, part = gaussian(points)
        ewc = strategy("ewc", decay=decay, examples=8)
        ewc.after_experience(run, part)
        first = ewc.state()["fisher"]["mean"].clone()
        with torch.no_grad():
            model.mean.fill_(1.0)
        ewc.after_experience(run, part)
        second = (points - 1).square().mean(0)
        assert_close(ewc.state()["fisher"]["mean"], decay * first + second)
        assert_close(ewc.state()["anchor"]["mean"], torch.ones(2))


# --- agem ---


@pytest.mark.parametrize("seed", range(5))
def test_agem_s_gradient_never_points_against_the_memory_s(seed):
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(32, 4, generator=generator)
    model, run, part = gaussian(points)
    agem = strategy("agem", memory=32, batch=32)
    agem.after_experience(run, part)
    with torch.no_grad():
        model.mean.copy_(torch.randn(4, generator=generator))
    model.mean.grad = torch.randn(4, generator=generator)
    before = model.mean.grad.clone()
    reference = (model.mean - points.mean(0)).detach()
    agem.before_step(run)
    after = model.mean.grad
    assert float(after @ reference) >= -1e-5
    if float(before @ reference) >= 0:
        assert_close(after, before)
    else:
        factor = (before @ reference) / (reference @ reference)
        assert_close(after, before - factor * reference)


def test_agem_without_a_memory_leaves_gradients_alone():
    model, run, _ = gaussian(torch.randn(4, 2))
    model.mean.grad = torch.tensor([1.0, -1.0])
    strategy("agem").before_step(run)
    assert_close(model.mean.grad, torch.tensor([1.0, -1.0]))


# --- replay ---


def test_replay_s_penalty_is_the_loss_of_the_memory():
    points = torch.randn(10, 3, generator=torch.Generator().manual_seed(0))
    model, run, part = gaussian(points)
    replay = strategy("replay", memory=10, batch=10, weight=3.0)
    assert replay.penalty(run, None, {}) is None
    replay.after_experience(run, part)
    expected = 3 * PROBLEM.loss(model({"x": points}), {"x": points})
    assert_close(replay.penalty(run, None, {}), expected)


# --- distillation ---


def session(toy, model):
    return Session(model, view(toy), torch.device("cpu"), lambda *_: None)


@pytest.mark.parametrize("name", ["lwf", "zscl"])
def test_distillation_costs_nothing_at_equality(name):
    toy = Clip.toy()
    model = toy.model()
    run, batch = session(toy, model), first_batch(toy)
    made = strategy(name)
    part = toy.stream()[0]
    toy.begin(model, part)
    made.before_experience(run, part)
    output = model(batch)
    assert made.penalty(run, output, batch).item() == pytest.approx(0, abs=1e-6)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    apart = made.penalty(run, model(batch), batch)
    assert float(apart.detach()) > 1e-3
    apart.backward()
    assert any(p.grad is not None and p.grad.any() for p in model.parameters())


def test_lwf_s_teacher_is_the_model_before_the_experience():
    toy = Clip.toy()
    model = toy.model()
    run, batch, part = session(toy, model), first_batch(toy), toy.stream()[0]
    lwf = strategy("lwf", weight=2.0)
    lwf.before_experience(run, part)
    old = model(batch)
    old = {name: value.detach() for name, value in old.items()}
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.1)
    new = model(batch)
    expected = 2 * toy.distance(new, old, batch)
    assert_close(lwf.penalty(run, new, batch), expected)


def test_zscl_takes_the_average_of_the_weights_on_its_way():
    model, run, part = gaussian(torch.randn(4, 2))
    run.steps = 5
    zscl = strategy("zscl", average_every=2)
    zscl.before_experience(run, part)
    for step in range(1, 6):
        run.step = step
        with torch.no_grad():
            model.mean.fill_(float(step))
        zscl.after_step(run)
    zscl.after_experience(run, part)
    # The start, steps 2 and 4, and the last.
    assert_close(model.mean.detach(), torch.full((2,), (0 + 2 + 4 + 5) / 4))


# --- weights ---


@pytest.mark.parametrize(("towards", "expected"), [("initial", 2.4), ("previous", 2.8)])
def test_wiseft_interpolates(towards, expected):
    model, run, part = gaussian(torch.randn(4, 2))
    wiseft = strategy("wiseft", alpha=0.8, towards=towards)
    for goal in (2.5, 3.0):
        wiseft.before_experience(run, part)
        with torch.no_grad():
            model.mean.fill_(goal)
        wiseft.after_experience(run, part)
    assert_close(model.mean.detach(), torch.full((2,), expected))


def test_l2_pulls_to_where_training_began():
    model, run, part = gaussian(torch.randn(4, 2))
    l2 = strategy("l2", pull=3.0)
    l2.before_experience(run, part)
    with torch.no_grad():
        model.mean.copy_(torch.tensor([1.0, 2.0]))
    l2.before_experience(run, part)
    assert_close(l2.penalty(run, None, {}), torch.tensor(1.5 * 5))


# --- olora ---


def test_olora_s_subspaces_become_orthogonal():
    toy = Clip.toy()
    model = toy.model()
    run = session(toy, model)
    olora = strategy("olora", rank=2, orthogonal=1.0)
    olora.prepare(model, view(toy))
    assert olora.penalty(run, None, {}) is None
    olora.after_experience(run, toy.stream()[0])
    first = {
        layer.name: olora.state()["_earlier"][layer.name] for layer in olora._layers
    }
    start = float(olora.penalty(run, None, {}).detach())
    optimizer = torch.optim.SGD([layer.A for layer in olora._layers], lr=0.2)
    for _ in range(600):
        optimizer.zero_grad()
        olora.penalty(run, None, {}).backward()
        optimizer.step()
    assert float(olora.penalty(run, None, {}).detach()) < 1e-6 * start
    for layer in olora._layers:
        product = first[layer.name] @ layer.A.transpose(1, 2)
        assert float(product.detach().abs().max()) < 1e-3
        assert float(layer.A.detach().norm()) > 0.1


def test_olora_keeps_every_subspace_and_the_function():
    toy = Clip.toy()
    learn(olora := strategy("olora", rank=2), toy)
    kept = olora.state()["_earlier"]
    assert {value.shape[1] for value in kept.values()} == {2 * len(toy.stream())}
    assert all(not layer.B.any() for layer in olora._layers)


# --- together ---


@pytest.mark.parametrize(
    "names", [("lora", "lwf"), ("pego", "replay"), ("codyra", "ewc"), ("olora", "agem")]
)
def test_compositions_learn(names):
    toy = Clip.toy()
    members = {name: strategy(name) for name in names}
    before = {k: v.clone() for k, v in toy.model().state_dict().items()}
    model, _, trace = learn(Composite(members), toy)
    assert len(trace.losses) == toy.budget.steps
    after = model.state_dict()
    assert any(
        k not in before or not torch.equal(v, before[k]) for k, v in after.items()
    )


def test_two_owners_of_prepare_are_refused_by_name():
    members = {n: registry.load("strategy", n) for n in ("codyra", "olora")}
    with pytest.raises(InputError, match="both 'codyra' and 'olora' prepare the model"):
        owner("prepare", members)
