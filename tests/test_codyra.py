"""CoDyRA against golden numbers, closed forms and what its definition implies."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
import torch
from torch import nn
from torch.testing import assert_close

from clbench import registry
from clbench.check.checks import first_batch, learn
from clbench.contract import Group, InputError, Recipe
from clbench.optim import Groups

Codyra = registry.load("strategy", "codyra")
Clip = registry.load("scenario", "clip")
layer = importlib.import_module("clbench.strategies.codyra.layer")
schedule = importlib.import_module("clbench.strategies.codyra.schedule")
losses = importlib.import_module("clbench.scenarios.clip.losses")


def gated(W, b=None, *, A=None, B=None, w=None) -> layer.Gated:
    """A gated layer over the given weight, with given factors, in float64."""
    W = torch.as_tensor(W)
    base = nn.Linear(W.shape[1], W.shape[0], bias=b is not None).double()
    with torch.no_grad():
        base.weight.copy_(W)
        if b is not None:
            base.bias.copy_(torch.as_tensor(b))
    base.requires_grad_(False)
    generator = torch.Generator().manual_seed(0)
    made = layer.Gated(base, roles=["q"], rank=1, name="map", generator=generator)
    for name, value in (("A", A), ("B", B), ("w", w)):
        if value is not None:
            value = torch.as_tensor(value)
            value = value.view(1, 1, -1) if name == "w" else value[None]
            setattr(made, name, nn.Parameter(value.clone()))
    return made


def ours(steps: int, **settings):
    given = {"dense": 0.5, "levels": 50, "largest": 0.005, **settings}
    return schedule.thresholds(steps, **given)


# --- operators ---


def test_soft_threshold_is_odd_non_expansive_and_adds_up():
    x, y = torch.randn(2, 500, generator=torch.Generator().manual_seed(0)).double()
    T = layer.soft_threshold
    assert_close(T(-x, 0.3), -T(x, 0.3))
    assert bool(((T(x, 0.3) - T(y, 0.3)).abs() <= (x - y).abs() + 1e-15).all())
    assert_close(T(T(x, 0.2), 0.3), T(x, 0.5))
    R = layer.released_operator
    assert not torch.allclose(R(R(x, 0.2), 0.3), R(x, 0.5))


def test_operators_by_hand():
    x = torch.tensor([-1.0, -0.25, -0.1, 0.0, 0.25, 0.3, 0.6], dtype=torch.float64)
    soft = torch.tensor([-0.75, 0, 0, 0, 0, 0.05, 0.35], dtype=torch.float64)
    # At |x| = kappa the released operator leaves the value alone.
    hard = torch.tensor([-0.75, -0.25, 0, 0, 0.25, 0, 0.35], dtype=torch.float64)
    assert_close(layer.soft_threshold(x, 0.25), soft)
    assert_close(layer.released_operator(x, 0.25), hard)


def test_operators_are_the_golden_ones(shared):
    gold = np.load(shared / "golden/codyra/prox_operator.npz")
    x = torch.tensor(gold["x"])
    for row, kappa in enumerate(gold["kappa"]):
        soft = layer.soft_threshold(x, float(kappa)).numpy()
        assert np.array_equal(soft, gold["soft_threshold"][row])
        released = layer.released_operator(x, float(kappa)).numpy()
        assert np.array_equal(released, gold["released_code_operator"][row])
        if kappa:
            assert not np.allclose(soft, gold["plus_sign_typo_do_not_use"][row])


# --- thresholds ---


def test_thresholds_of_the_published_run():
    found = ours(500)
    assert np.flatnonzero(found.applied)[0] == 251
    assert not found.applied[:251].any()
    assert bool((np.diff(found.applied) >= 0).all())
    assert found.applied[-1] == 0.005
    assert found.cut == pytest.approx(schedule.PUBLISHED_CUT, rel=1e-12)
    assert ours(500, largest=None).applied == pytest.approx(found.applied)


@pytest.mark.parametrize("steps", [4, 7, 30, 100, 999])
def test_short_experiences_close_as_many_gates(steps):
    found = schedule.thresholds(steps, dense=0.5, levels=None, largest=None)
    assert found.cut == pytest.approx(schedule.PUBLISHED_CUT)


@pytest.mark.parametrize(
    ("steps", "settings"),
    [(60, {}), (99, {}), (2, {"levels": None}), (500, {"dense": 1.0})],
)
def test_a_schedule_that_never_prunes_is_an_error(steps, settings):
    with pytest.raises(InputError, match=f"never close a gate: {steps} steps"):
        ours(steps, **settings)


def test_thresholds_are_the_golden_ones(shared):
    gold = np.load(shared / "golden/codyra/schedules.npz")
    for name in ("runner", "argparse_default", "odd", "toy"):
        steps, dense, levels, largest, lr = gold[f"{name}_config"]
        found = ours(int(steps), dense=dense, levels=int(levels), largest=largest)
        expected = gold[f"{name}_kappa_applied"]
        np.testing.assert_allclose(found.applied, expected, rtol=1e-12, atol=1e-18)
        recipe = Recipe(optimizer="adamw", lr=lr, schedule="cosine")
        parameter = nn.Parameter(torch.zeros(1))
        groups = Groups([Group(params=[parameter], lr=lr)], recipe, int(steps))
        rates = []
        for step in range(int(steps)):
            groups.before_step(step)
            rates.append(groups.optimizer.param_groups[0]["lr"])
        np.testing.assert_allclose(rates, gold[f"{name}_lr"], rtol=1e-9)
    steps, dense, levels, largest, _ = gold["too_short_config"]
    with pytest.raises(InputError):
        ours(int(steps), dense=dense, levels=int(levels), largest=largest)


def test_gates_without_gradient_are_the_golden_ones(shared):
    gold = np.load(shared / "golden/codyra/zero_gradient_pruning.npz")
    for name, operator in (
        ("soft", layer.soft_threshold),
        ("released", layer.released_operator),
    ):
        w = torch.tensor(gold["gate_init"])
        for kappa in gold["kappa_applied"]:
            w = operator(w, float(kappa)) if kappa else w
        np.testing.assert_allclose(w.numpy(), gold[f"gate_final_{name}"], atol=1e-12)
        active = (w != 0).sum(1).numpy()
        assert np.array_equal(active, gold[f"active_rank_{name}"])


# --- the layer ---


def test_the_layer_is_the_golden_one(shared):
    gold = np.load(shared / "golden/codyra/layer_forward_merge.npz")
    made = gated(gold["W"], gold["b"], A=gold["A"], B=gold["B"], w=gold["w"])
    x = torch.tensor(gold["x"])
    assert_close(made(x), torch.tensor(gold["y"]), rtol=1e-12, atol=1e-12)
    assert_close(made.delta()[0], torch.tensor(gold["delta_W"]), rtol=1e-12, atol=1e-12)
    assert int(made.active) == gold["active"].sum()
    made.absorb(torch.Generator().manual_seed(1))
    merged = torch.tensor(gold["W_merged"])
    assert_close(made.base.weight, merged, rtol=1e-12, atol=1e-12)
    assert_close(made(x), torch.tensor(gold["y_merged"]), rtol=1e-12, atol=1e-12)
    assert int(torch.linalg.matrix_rank(merged - torch.tensor(gold["W"]))) == int(
        gold["rank_delta_W"]
    )


def test_gradients_are_the_golden_ones(shared):
    gold = np.load(shared / "golden/codyra/layer_gradients.npz")
    made = gated(gold["W"], gold["b"], A=gold["A"], B=gold["B"], w=gold["w"])
    made(torch.tensor(gold["x"])).backward(torch.tensor(gold["grad_y"]))
    for name, found in (("w", made.w), ("A", made.A), ("B", made.B)):
        expected = torch.tensor(gold[f"grad_{name}"]).view_as(found)
        assert_close(found.grad, expected, rtol=1e-12, atol=1e-12)


def test_a_closed_gate_passes_no_gradient_but_its_own():
    torch.manual_seed(0)
    W, A, B = torch.randn(3, 5), torch.randn(2, 5), torch.randn(3, 2)
    made = gated(
        W.double(), A=A.double(), B=B.double(), w=torch.tensor([0.0, 1.0]).double()
    )
    made(torch.randn(4, 5).double()).square().sum().backward()
    assert not made.A.grad[0, 0].any()
    assert not made.B.grad[0, :, 0].any()
    assert made.w.grad[0, 0, 0] != 0


def test_two_tasks_are_the_golden_trajectory(shared):
    """Layers, loss, optimizer, schedule, operator and merging, in their order."""
    gold = np.load(shared / "golden/codyra/two_task_trajectory_soft.npz")
    steps, dense, levels, largest, lr = gold["config"]
    kappas = ours(int(steps), dense=dense, levels=int(levels), largest=largest).applied
    scale = float(gold["logit_scale"])
    recipe = Recipe(
        optimizer="adamw", lr=lr, betas=tuple(gold["adamw_betas"]), schedule="cosine"
    )
    vision, text = gated(gold["Wv0"], gold["bv"]), gated(gold["Wt0"], gold["bt"])
    seen = torch.zeros(0, 4, dtype=torch.float64)
    unit = nn.functional.normalize
    for t in (0, 1):

        def given(name, t=t):
            return torch.tensor(gold[f"t{t}_{name}"])

        for made, short in ((vision, "v"), (text, "t")):
            A, w = given(f"A{short}_init"), given(f"gate_{short}_init")
            made.A, made.w = nn.Parameter(A[None]), nn.Parameter(w[None])
            made.B = nn.Parameter(A.new_zeros(1, 4, len(A)))
            start = given(f"W{short}_start")
            assert_close(made.base.weight, start, rtol=1e-9, atol=1e-9)
        trained = [p for m in (vision, text) for p in (m.A, m.B, m.w)]
        groups = Groups([Group(params=trained, lr=lr)], recipe, int(steps))
        assert_close(seen, given("text_seen_features"), rtol=1e-9, atol=1e-9)
        for step in range(int(steps)):
            rows = given("batch_index")[step]
            image = unit(vision(given("X")[rows]), dim=-1)
            prompts = unit(text(given("E")), dim=-1)
            target = given("Y")[rows]
            one = losses.image_loss(scale * image @ prompts.T, target)
            two = losses.text_loss(image, prompts, target, scale, len(seen) + 3)
            expected = given("loss_total_image_text")[step]
            found = torch.stack([one + two, one, two])
            assert_close(found, expected, rtol=1e-9, atol=1e-9)
            groups.optimizer.zero_grad()
            (one + two).backward()
            groups.before_step(step)
            groups.optimizer.step()
            with torch.no_grad():
                for made, short in ((vision, "v"), (text, "t")):
                    after = given(f"gate_{short}_after_optimizer")[step]
                    assert_close(made.w[0], after, rtol=1e-9, atol=1e-9)
                    made.w.copy_(layer.soft_threshold(made.w, float(kappas[step])))
                    after = given(f"gate_{short}_after_prox")[step + 1]
                    assert_close(made.w[0], after, rtol=1e-9, atol=1e-9)
        for made, short in ((vision, "v"), (text, "t")):
            delta = given(f"delta_W{short}")
            assert_close(made.delta()[0], delta, rtol=1e-9, atol=1e-9)
            made.absorb(torch.Generator().manual_seed(t))
        with torch.no_grad():
            seen = text(given("E"))


# --- the strategy ---


def test_gates_start_normal_and_the_update_at_nothing():
    toy = Clip.toy()
    model = toy.model()
    strategy = Codyra()
    strategy.prepare(model, toy)
    gates = torch.cat([made.w.detach().flatten() for made in strategy._layers])
    assert all(not made.B.any() for made in strategy._layers)
    assert abs(float(gates.mean())) < 0.2
    assert abs(float(gates.std()) - 1) < 0.15
    for made in strategy._layers:
        assert float(made.A.detach().abs().max()) <= made.in_features**-0.5
        assert made.w.shape == (1, 1, 16)


def test_after_a_boundary_the_model_is_as_it_was_and_plain():
    toy = Clip.toy()
    kept = {}

    class Watching(Codyra):
        """Codyra that notes what the model computes around a boundary."""

        def after_experience(self, run, experience):
            """Note outputs before and after."""
            batch = first_batch(toy)
            with torch.no_grad():
                before = run.model(batch)["logits"]
                super().after_experience(run, experience)
                kept[experience.index] = (before, run.model(batch)["logits"])

    model, _, _ = learn(Watching(), toy)
    assert len(kept) == 3
    for before, after in kept.values():
        assert_close(after, before, rtol=1e-4, atol=1e-4)
    assert all(
        not m.delta().any() for m in model.modules() if isinstance(m, layer.Gated)
    )


def test_ranks_are_logged_for_every_map():
    toy = Clip.toy()
    logged: dict[str, list[float]] = {}
    model = toy.model()
    maps = list(toy.adaptable(model))
    strategy = Codyra()
    strategy.prepare(model, toy)

    class Run:
        """Just enough of a run."""

        def log(self, name, value):
            """Keep it."""
            logged.setdefault(name, []).append(value)

    strategy.after_experience(Run(), toy.stream()[0])
    assert len(logged) == len(maps)
    assert set(map(tuple, logged.values())) == {(16,)}
    assert "rank/vision_model.encoder.layers.0.self_attn.q_proj.q" in logged


def test_weights_move_by_the_sum_of_the_updates_only():
    """W_T - W_0 is the sum of all merged updates; everything else stays bit for bit."""
    toy = Clip.toy()
    before = {k: v.clone() for k, v in toy.model().state_dict().items()}
    model, _, _ = learn(Codyra(), toy)
    wrapped = {m.name for m in model.modules() if isinstance(m, layer.Gated)}
    for name, value in model.state_dict().items():
        place = name.replace(".base.", ".")
        if place not in before or place.rpartition(".")[0] in wrapped:
            continue
        assert torch.equal(value, before[place]), name
    moved = [
        not torch.equal(m.base.weight, before[f"{m.name}.weight"])
        for m in model.modules()
        if isinstance(m, layer.Gated)
    ]
    assert all(moved)
