"""IncreLoRA against golden numbers, closed forms and what its definition implies."""

from __future__ import annotations

import importlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.testing import assert_close

from clbench import registry
from clbench.check.checks import first_batch, learn
from clbench.contract import Group, InputError, Recipe
from clbench.lowrank import Components, GrowingAttention, GrowingLinear, disabled
from clbench.optim import Groups

Increlora = registry.load("strategy", "increlora")
allocation = importlib.import_module("clbench.strategies.increlora.allocation")
schedule = importlib.import_module("clbench.strategies.increlora.schedule")
penalty = importlib.import_module("clbench.strategies.increlora.penalty")

STAGES = (
    "a_rank2_noreserve",
    "b_rank2_reserve2_advance",
    "c_rank4_reserve2_advance",
    "d_final_reserve_zeroed",
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def growing(W, b=None, *, rank: int = 1, alpha: float = 8.0) -> GrowingLinear:
    """A growing layer over the given weight, in float64."""
    W = torch.as_tensor(W)
    base = nn.Linear(W.shape[1], W.shape[0], bias=b is not None).double()
    with torch.no_grad():
        base.weight.copy_(W)
        if b is not None:
            base.bias.copy_(torch.as_tensor(b))
    base.requires_grad_(False)
    return GrowingLinear(
        base, roles=["q"], rank=rank, alpha=alpha, name="map", generator=generator()
    )


def only(layer: GrowingLinear) -> Components:
    (update,) = layer.components.values()
    return update


@torch.no_grad()
def put(update: Components, j: int, **values) -> None:
    for name, value in values.items():
        getattr(update, name)[j].copy_(torch.as_tensor(value))


def components(n: int, d: int = 4) -> dict[str, Components]:
    like = torch.zeros(1, dtype=torch.float64)
    draw = generator()
    return {
        f"map{i}": Components(d, d, rank=1, alpha=8.0, like=like, generator=draw)
        for i in range(n)
    }


# --- the layer ---


def staged(gold, stage: str) -> GrowingLinear:
    """The golden layer, grown to a stage."""
    layer = growing(gold["W0"], gold["b"], rank=2, alpha=float(gold["alpha"]))
    update = only(layer)
    place = STAGES.index(stage)
    if place >= 1:
        update.reserve(2, generator(), advance=True)
    if place >= 2:
        update.promote(2)
        update.reserve(2, generator(), advance=True)
    if place == 3:
        update.arm(0.0)
    for j in range(update.entries):
        put(update, j, A=gold[f"{stage}__A{j}"], B=gold[f"{stage}__B{j}"])
    put(update, 0, E=gold["E0"])
    return layer


@pytest.mark.parametrize("stage", STAGES)
def test_the_layer_is_the_golden_one(shared, stage):
    gold = np.load(shared / "golden/increlora/layer_score_orth.npz")
    layer = staged(gold, stage)
    update = only(layer)
    x = torch.tensor(gold["x"])
    update.watched = True
    y = layer(x)
    (y * torch.tensor(gold["cot"])).sum().backward()
    np.testing.assert_allclose(y.detach(), gold[f"{stage}__y"], atol=1e-12)
    assert update.rank == int(gold[f"{stage}__ranknum"][0])
    delta = gold[f"{stage}__deltaW"]
    np.testing.assert_allclose(update.delta().detach(), delta, atol=1e-13)
    np.testing.assert_allclose(update.gradient, gold["G_dL_ddeltaW"], atol=1e-12)
    np.testing.assert_allclose(update.score(), gold[f"{stage}__score"], rtol=1e-12)
    for j in range(update.entries):
        for name in "AEB":
            value = getattr(update, name)[j]
            np.testing.assert_allclose(value.detach(), gold[f"{stage}__{name}{j}"])
            assert value.requires_grad == gold[f"{stage}__requires_grad_{name}{j}"]
            if value.requires_grad:
                wanted = gold[f"{stage}__grad_{name}{j}"]
                np.testing.assert_allclose(value.grad, wanted, atol=1e-12)
    # Without watching, the factored form computes and learns the same.
    slim = staged(gold, stage)
    again = slim(x)
    (again * torch.tensor(gold["cot"])).sum().backward()
    assert_close(again, y, rtol=0, atol=1e-12)
    for one, other in zip(slim.parameters(), layer.parameters(), strict=True):
        if one.requires_grad:
            assert_close(one.grad, other.grad, rtol=0, atol=1e-12)
    assert only(slim).gradient is None


def test_orthogonality_is_the_golden_one(shared):
    gold = np.load(shared / "golden/increlora/layer_score_orth.npz")
    for stage in STAGES[2:]:
        update = only(staged(gold, stage))
        found = float(penalty.orthogonality([update]).detach())
        assert found == pytest.approx(float(gold["orth_trainer_coef1"]), rel=1e-12)
        assert found != pytest.approx(float(gold["orth_lib_coef0.1"]) / 0.1, rel=0.1)


def test_orthogonality_by_hand():
    one, other = components(2, d=2).values()
    put(one, 0, A=[[1.0, 0.0]], B=[[0.0], [1.0]])
    put(other, 0, A=[[3.0, 0.0]], B=[[0.0], [2.0]])

    def found():
        return penalty.orthogonality([one, other]).item()

    # |9 - 1| + |4 - 1| over 2 M = 4 matrices.
    assert found() == pytest.approx(11 / 4)
    other.reserve(1, generator(), advance=True)
    put(other, 1, A=[[0.0, 1.0]], B=[[1.0], [0.0]])
    assert found() == pytest.approx(11 / 4)
    put(other, 1, A=[[1.0, 0.0]])
    # A A^T - I = [[8, 3], [3, 0]].
    wanted = (np.sqrt(64 + 18) + 3) / 4
    assert found() == pytest.approx(wanted)


def test_orthogonality_of_a_fresh_map_is_nearly_that_of_its_size():
    like = torch.zeros(1)
    update = Components(768, 768, rank=4, alpha=1, like=like, generator=generator())
    found = float(penalty.orthogonality([update]).detach())
    assert found == pytest.approx(abs(0.0004 * 768 - 1) * 2, rel=0.05)


def test_a_layer_starts_as_the_map_it_wraps_and_reserves_are_tiny():
    W = torch.randn(5, 6, generator=generator(), dtype=torch.float64)
    layer, x = growing(W), torch.randn(7, 6, generator=generator()).double()
    update = only(layer)
    assert torch.equal(layer(x), x @ W.T)
    update.reserve(3, generator(1), advance=True)
    gap = (layer(x) - x @ W.T).abs().max().item()
    assert 0 < gap < 1e-5
    update.arm(0.0)
    assert_close(layer(x), x @ W.T)


def test_growth_shrinks_what_is_there_by_the_ranks():
    update = next(iter(components(1).values()))
    put(update, 0, E=[[0.7]])
    before = update.delta().detach()
    update.reserve(2, generator(1), advance=False)
    update.promote(2)
    assert update.rank == 3
    assert_close(update.delta().detach(), before * (1 + 1e-5) / (3 + 1e-5))


def test_merging_is_exact_at_every_stage():
    layer = growing(torch.randn(5, 6, generator=generator()).double())
    update, x = only(layer), torch.randn(7, 6, generator=generator(2)).double()
    for _ in range(3):
        for j in range(update.entries):
            put(update, j, E=torch.full_like(update.E[j], 0.3 + j))
        with torch.no_grad():
            free = layer(x)
            layer.merge()
            assert_close(layer(x), free, rtol=0, atol=1e-12)
            with disabled(layer):
                bare = layer(x)
            layer.unmerge()
            with disabled(layer):
                assert torch.equal(layer(x), bare)
            assert_close(layer(x), free, rtol=0, atol=1e-12)
        update.reserve(1, generator(3), advance=True)
        update.promote(1)
    before = layer(x).detach()
    layer.absorb(generator(4))
    assert_close(layer(x).detach(), before, rtol=0, atol=1e-12)
    assert not update.delta().any()


def test_slices_of_a_fused_map_grow_apart():
    base = nn.Linear(4, 12).double().requires_grad_(False)
    layer = GrowingLinear(
        base,
        roles=["q", "v"],
        rows=[(0, 4), (8, 12)],
        rank=1,
        alpha=2.0,
        name="qkv",
        generator=generator(),
    )
    q, v = layer.components.values()
    assert list(layer.components) == ["qkv.q", "qkv.v"]
    v.reserve(2, generator(1), advance=True)
    v.promote(2)
    for update in (q, v):
        for j in range(update.entries):
            put(update, j, E=[[0.5]])
    x = torch.randn(3, 4, generator=generator(2)).double()
    W = base.weight.clone()
    W[0:4] += q.delta()
    W[8:12] += v.delta()
    assert_close(layer(x), x @ W.T + base.bias)
    q.watched = True
    assert_close(layer(x), x @ W.T + base.bias)


def test_packed_attention_grows_too():
    base = nn.MultiheadAttention(8, 2, batch_first=True).double().requires_grad_(False)
    layer = GrowingAttention(
        base,
        roles=["q", "k", "v"],
        rows=[(0, 8), (8, 16), (16, 24)],
        rank=1,
        alpha=2.0,
        name="attn",
        generator=generator(),
    )
    x = torch.randn(2, 5, 8, generator=generator(1)).double()
    assert_close(layer(x, x, x)[0], base(x, x, x)[0])
    for update in layer.components.values():
        update.watched = True
        put(update, 0, E=[[1.0]])
    layer(x, x, x)[0].square().sum().backward()
    assert all(float(u.score()) > 0 for u in layer.components.values())


def test_dropout_falls_on_the_update_alone():
    layer = growing(torch.eye(4, dtype=torch.float64))
    layer.dropout = 0.5
    put(only(layer), 0, E=[[1.0]], A=torch.ones(1, 4), B=torch.ones(4, 1))
    x = torch.ones(64, 4, dtype=torch.float64)
    torch.manual_seed(0)
    update = layer(x) - x
    kept = (update[:, 0] / (2 * 8 / (1 + 1e-5))).round()
    assert set(kept.tolist()) == {0, 1, 2, 3, 4}
    assert torch.equal(layer.eval()(x), layer(x))


# --- scores ---


def test_a_score_does_not_depend_on_how_a_batch_is_parted():
    W = torch.randn(5, 6, generator=generator()).double()
    x = torch.randn(8, 6, generator=generator(1)).double()
    scores = {}
    for parts, summed in ((1, True), (4, True), (4, False)):
        layer = growing(W)
        update = only(layer)
        update.watched, update.summed = True, summed
        put(update, 0, E=[[0.5]])
        for part in x.chunk(parts):
            (layer(part).square().sum() / len(x)).backward()
        scores[parts, summed] = float(update.score())
        update.forget()
        assert float(update.score()) == 0
    assert scores[4, True] == pytest.approx(scores[1, True], rel=1e-12)
    assert scores[4, False] != pytest.approx(scores[1, True], rel=1e-2)


def test_a_map_that_is_used_twice_is_scored_by_both():
    W, x = torch.eye(3, dtype=torch.float64), torch.ones(1, 3, dtype=torch.float64)
    layer = growing(W)
    update = only(layer)
    update.watched = True
    put(update, 0, E=[[1.0]])
    (layer(x).sum() + layer(x).sum()).backward()
    assert_close(update.gradient, torch.full((3, 3), 2.0, dtype=torch.float64))
    wanted = update.delta().detach().abs().sum() * 2 / 3
    assert_close(update.score(), wanted)


def test_importance_by_hand():
    found = allocation.Importance(0.5, 0.75)
    found.update(torch.tensor([1.0, 0.0]))
    assert found.I.tolist() == [0.5, 0.0]
    assert found.U.tolist() == [0.125, 0.0]
    found.update(torch.tensor([0.0, 2.0]))
    assert found.I.tolist() == [0.25, 1.0]
    # |0 - .25| and |2 - 1|, with the new I.
    assert found.U.tolist() == [0.09375 + 0.0625, 0.25]
    assert found.combined == [0.25 * 0.15625, 0.25]


# --- who grows ---


def test_a_round_by_hand():
    names = ["a", "b", "c", "d"]
    scores = [1.0, 3.0, 2.0, 3.0]

    def ours(**given):
        return allocation.gains(scores, names, **given)

    assert ours(missing=9, top=2, add=1) == [0, 1, 0, 1]
    assert ours(missing=9, top=3, add=2) == [0, 2, 2, 2]
    # What is left goes to the highest; equal scores in the order of names.
    assert ours(missing=3, top=3, add=2) == [0, 2, 0, 1]
    assert ours(missing=1, top=3, add=4) == [0, 1, 0, 0]
    assert ours(missing=3, top=3, add=2, released=True) == [0, 2, 2, 2]
    assert ours(missing=9, top=1, add=1, released=True) == [0, 1, 0, 1]
    backwards = allocation.gains([1.0, 1.0], ["z", "a"], missing=1, top=1, add=1)
    assert backwards == [0, 1]


def driven(gold, *, released: bool):
    """The allocator, driven by golden scores."""
    n, target, warmup, interval, top, T, add, advance = gold["cfg"].tolist()
    maps = components(n)
    growth = schedule.Plan(
        target=n * target,
        top=top,
        add=schedule.ADDED[target] if add < 0 else add,
        interval=interval,
        warmup=warmup,
        steps=T,
    )
    importance = allocation.Importance(float(gold["beta1"]), float(gold["beta2"]))
    made = allocation.Allocator(
        maps,
        growth,
        importance,
        generator(),
        advance=bool(advance),
        released=released,
    )
    seen = {key: [] for key in ("I", "U", "rank", "total", "entries", "groups", "E")}
    groups = 1
    for t, scores in enumerate(gold["scores"]):
        groups += bool(made.step(t, torch.tensor(scores)))
        seen["I"].append(importance.I)
        seen["U"].append(importance.U)
        seen["rank"].append([u.rank for u in maps.values()])
        seen["total"].append(made.total)
        seen["entries"].append([u.entries for u in maps.values()])
        seen["groups"].append(groups)
        seen["E"].append([float(u.E[-1].detach()[-1]) for u in maps.values()])
    return {key: np.array(values) for key, values in seen.items()}, made


ALLOCATIONS = {
    # name -> whether growing exactly to the target is what the released code does.
    "exact_addr1": True,
    "no_advance": True,
    "target8_addr4_overshoot": False,
    "ties": False,
}


def allocation_golden(shared, name):
    with np.load(shared / f"golden/increlora/alloc_{name}.npz") as gold:
        return dict(gold)


@pytest.mark.parametrize(
    ("name", "released"),
    [(name, True) for name in ALLOCATIONS]
    + [(name, False) for name, exact in ALLOCATIONS.items() if exact],
)
def test_allocation_is_the_golden_one(shared, name, released):
    gold = allocation_golden(shared, name)
    found, made = driven(gold, released=released)
    assert np.array_equal(found["rank"], gold["rank"])
    assert np.array_equal(found["total"], gold["total_rank"])
    np.testing.assert_allclose(found["I"], gold["ema_importance"], rtol=1e-12)
    np.testing.assert_allclose(found["U"], gold["ema_uncertainty"], rtol=1e-12)
    assert np.array_equal(found["entries"], gold["n_param_entries"])
    assert np.array_equal(found["groups"], gold["n_param_groups"])
    reserve = gold["last_reserve_E"]
    known = ~np.isnan(reserve)
    np.testing.assert_array_equal(found["E"][known], reserve[known])
    assert made.importance.combined == pytest.approx(gold["combined"][-1].tolist())


@pytest.mark.parametrize("name", [n for n, exact in ALLOCATIONS.items() if not exact])
def test_where_the_released_code_overshoots_the_budget_is_kept(shared, name):
    gold = allocation_golden(shared, name)
    found, made = driven(gold, released=False)
    n, average, top = (int(gold["cfg"][place]) for place in (0, 1, 4))
    rounds = len(made.plan.rounds)
    add = schedule.ADDED[average]
    assert found["total"][-1] == min(n * average, n + rounds * top * add)
    assert gold["total_rank"][-1] > found["total"][-1]
    # Reserves wait as long as there is rank to give, and are 0 from then on.
    reached = not made.open
    assert found["E"][-1].any() != reached
    assert any(u.watched for u in made.maps.values()) != reached


@pytest.mark.parametrize(("top", "add"), [(1, 1), (3, 1), (2, 2), (4, 4), (5, 3)])
def test_the_total_follows_the_schedule(top, add):
    n, target, interval = 5, 4 * 5, 7
    growth = schedule.Plan(
        target=target, top=top, add=add, interval=interval, warmup=interval, steps=200
    )
    made = allocation.Allocator(
        components(n), growth, allocation.Importance(), generator()
    )
    draw = generator(7)
    grown = 0
    kept = None
    for t in range(200):
        made.step(t, torch.rand(n, generator=draw).double())
        grown += growth.grows(t)
        assert made.total == min(target, n + top * add * grown)
        if not made.open and kept is None:
            kept = made.importance.I.clone()
    assert next(t for t in range(200) if growth.grows(t)) == 2 * interval
    assert torch.equal(kept, made.importance.I)
    assert all(not float(u.E[-1].detach()) for u in made.maps.values())


def test_without_advance_learning_reserves_wait_untrained():
    update = next(iter(components(1).values()))
    assert update.reserve(2, generator(), advance=False) == []
    assert not update.delta().detach().any()
    assert not any(p.requires_grad for j in update.reserves for p in (update.A[j],))
    promoted = update.promote(1)
    assert len(promoted) == 3
    assert [len(update.reserves), update.rank] == [1, 2]
    ahead = next(iter(components(1).values()))
    assert len(ahead.reserve(2, generator(), advance=True)) == 4
    (E,) = ahead.promote(1)
    assert E is ahead.E[1]


# --- plans and schedules ---


@pytest.mark.parametrize("steps", [4, 12, 60, 300, 3450])
@pytest.mark.parametrize("rank", [2, 8])
def test_a_plan_without_settings_spends_the_budget_in_time(steps, rank):
    n = 24
    growth = schedule.plan(steps=steps, maps=n, total=n, target=n * rank, rank=rank)
    needed = -(-n * (rank - 1) // (growth.top * growth.add))
    last = growth.rounds[needed - 1]
    assert last <= max(0.4 * steps, 3)
    assert growth.top <= n


def test_the_published_plans():
    for target, top, interval, last in ((144, 3, 100, 2500), (144, 6, 100, 1300)):
        growth = schedule.plan(
            steps=3450, maps=72, total=72, target=target, rank=2, top=top,
            interval=interval,
        )  # fmt: skip
        rounds = -(-72 // top)
        assert growth.rounds[0] == 200
        assert growth.rounds[rounds - 1] == last


@pytest.mark.parametrize(
    ("steps", "settings"), [(2, {}), (300, {"interval": 150}), (100, {"warmup": 99})]
)
def test_a_budget_out_of_reach_is_an_error(steps, settings):
    with pytest.raises(InputError, match=f"in an experience of {steps} steps"):
        schedule.plan(
            steps=steps, maps=24, total=24, target=48, rank=2, **settings
        )  # fmt: skip


def test_rates_by_hand():
    rate = schedule.entered(4, warmup=2, steps=15)
    # Entered at 4: the whole rate, then 0, 1/2, and from 1 down to 0 at the end.
    assert [rate(s) for s in range(4)] == [1.0, 0.0, 0.5, 1.0]
    assert rate(11) == pytest.approx(0.0)
    same = schedule.entered(4, warmup=2, steps=15, restart=False)
    start = schedule.entered(None, warmup=2, steps=15)
    assert [same(s) for s in range(11)] == [start(4 + s) for s in range(11)]
    flat = schedule.entered(None, warmup=2, steps=15, shape="constant")
    assert [flat(s) for s in (0, 1, 2, 14)] == [0, 0.5, 1, 1]


def test_rates_are_the_golden_ones(shared):
    gold = np.load(shared / "golden/increlora/restart_warmup_lr.npz")
    lr, warmup = float(gold["base_lr"]), int(gold["warmup"])
    T, added = int(gold["total_steps"]), gold["group_added_at"].tolist()

    def group(at):
        rate = schedule.entered(at, warmup=warmup, steps=T)
        return Group(params=[nn.Parameter(torch.zeros(1))], lr=lr, schedule=rate)

    groups = Groups([group(None)], Recipe(optimizer="sgd", lr=lr), T)
    used = np.full((T, len(added)), np.nan)
    for t in range(T):
        for at in added[1:]:
            if at == t:
                groups.add(group(at), t)
        groups.before_step(t)
        for place, entry in enumerate(groups.optimizer.param_groups):
            used[t, place] = entry["lr"]
    np.testing.assert_allclose(used, gold["lr_used"], rtol=1e-12, atol=1e-18)


# --- training ---


def test_training_is_the_golden_trajectory(shared):
    gold = np.load(shared / "golden/increlora/toy_training.npz")
    T, warmup, interval, top, average, alpha, coefficient = gold[
        "cfg_steps_warm_inter_toph_target_alpha_orth"
    ].tolist()
    layers = [growing(gold[f"W{i}"], gold[f"b{i}"], alpha=alpha) for i in range(4)]
    maps = {f"map{i}": only(layer) for i, layer in enumerate(layers)}
    for i, update in enumerate(maps.values()):
        put(update, 0, A=gold[f"A{i}_0"], B=gold[f"B{i}_0"])
    made = allocation.Allocator(
        maps,
        schedule.Plan(
            target=4 * int(average),
            top=int(top),
            add=1,
            interval=int(interval),
            warmup=int(warmup),
            steps=int(T),
        ),
        allocation.Importance(),
        generator(),
    )
    X, Y = torch.tensor(gold["X"]), torch.tensor(gold["Y"])
    drawn = [1] * 4
    for t in range(int(T)):
        h = X
        for place, layer in enumerate(layers):
            h = layer(h)
            h = torch.tanh(h) if place < 3 else h
        task = (h - Y).square().mean()
        orth = penalty.orthogonality(list(maps.values()))
        (task + coefficient * orth).backward()
        scores = torch.stack([u.score() for u in maps.values()])
        for update in maps.values():
            update.forget()
        open_ = made.open
        made.step(t, scores)
        for i, update in enumerate(maps.values()):
            for j in range(drawn[i], update.entries):
                given = {n: gold[f"reserve_{n}{i}_{j}"] for n in "AB"}
                put(update, j, **given)
            drawn[i] = update.entries
        assert task.item() == pytest.approx(float(gold["log_task"][t]), rel=1e-12)
        assert orth.item() == pytest.approx(float(gold["log_orth"][t]), rel=1e-12)
        if open_:
            np.testing.assert_allclose(scores, gold["log_score"][t], rtol=1e-10)
        np.testing.assert_allclose(made.importance.I, gold["log_I"][t], rtol=1e-10)
        np.testing.assert_allclose(made.importance.U, gold["log_U"][t], rtol=1e-10)
        assert [u.rank for u in maps.values()] == gold["log_rank"][t].tolist()
        assert made.total == gold["log_total"][t]
        with torch.no_grad():
            for layer in layers:
                for parameter in layer.parameters():
                    if parameter.grad is not None:
                        parameter -= float(gold["cfg_lr"]) * parameter.grad
                        parameter.grad = None
    for i, update in enumerate(maps.values()):
        for j in range(update.entries):
            for name in "AEB":
                found = getattr(update, name)[j].detach()
                wanted = gold[f"final_{name}{i}_{j}"]
                np.testing.assert_allclose(found, wanted, atol=1e-12)


class Watched(Increlora):
    """Keeps what its run did."""

    def __init__(self, **settings):
        super().__init__(**settings)
        self._seen = []
        self._made = []

    def groups(self, model, recipe):
        made = super().groups(model, recipe)
        self._made.append(made)
        return made

    def after_step(self, run):
        rates = [entry["lr"] for entry in run.optimizer.param_groups]
        total = sum(update.rank for update in self._maps.values())
        self._seen.append((run.experience.index, total, rates))


def test_a_stream_shares_the_budget_out_by_steps(blobs):
    strategy = Watched(rank=3, add=1)
    scenario = blobs(experiences=3, steps=20)
    model, _, _ = learn(strategy, scenario)
    n = len(strategy._maps)
    assert n == 8
    for index in range(3):
        totals = [total for i, total, _ in strategy._seen if i == index]
        assert totals[-1] == n + 2 * n * (index + 1) // 3
        assert totals == sorted(totals)
    assert all(u.reserves for u in strategy._maps.values())
    waiting = [u.E[j] for u in strategy._maps.values() for j in u.reserves]
    assert not any(float(E.detach()) for E in waiting)
    kinds = [m for m in model.modules() if isinstance(m, GrowingLinear)]
    assert len(kinds) == 4


def test_what_grows_enters_the_running_optimizer_with_its_own_warm_up(blobs):
    strategy = Watched(interval=3, top=4)
    scenario = blobs(experiences=1, steps=20)
    scenario.recipe = replace(scenario.recipe, schedule="linear", lr=1.0)
    learn(strategy, scenario)
    counts = [len(rates) for _, _, rates in strategy._seen]
    # From the beginning, reserves at step 0, and the rounds at 6 and 9.
    assert counts[0] == 2
    assert [t for t in range(1, 20) if counts[t] > counts[t - 1]] == [6, 9]
    rates = [seen[2] for seen in strategy._seen]
    assert [round(r[0], 6) for r in rates[:4]] == [0, 0.333333, 0.666667, 1]
    assert [round(rates[t][2], 6) for t in (6, 7, 8, 9)] == [1, 0, 0.333333, 0.666667]


def test_new_components_learn(blobs):
    strategy = Increlora(rank=4, orthogonal=0.0)
    learn(strategy, blobs(experiences=1, steps=40))
    moved = [
        float(u.E[j].detach().abs()) > 1e-4
        for u in strategy._maps.values()
        for j in range(1, u.rank)
    ]
    assert len(moved) == 8 * 3
    assert all(moved)


def test_a_map_without_gradient_does_not_grow(blobs):
    class Blind(blobs):
        def model(self):
            model = super().model()
            model.spare = nn.Linear(8, 8)
            return model

        def adaptable(self, model):
            yield from super().adaptable(model)
            yield type(next(super().adaptable(model)))(path="spare", role="fc1")

    strategy = Increlora(rank=2, top=1, interval=1)
    learn(strategy, Blind(experiences=1, steps=30))
    assert strategy._maps["spare.fc1"].rank == 1
    assert sum(u.rank for u in strategy._maps.values()) == 18


def test_uneven_ranks_survive_a_round_trip(blobs):
    scenario = blobs(experiences=2, steps=20)
    strategy = Increlora(rank=3, top=1)
    model, _, _ = learn(strategy, scenario)
    ranks = {u.rank for u in strategy._maps.values()}
    assert len(ranks) > 1
    fresh, bare = Increlora(rank=3, top=1), scenario.model()
    fresh.prepare(bare, scenario)
    fresh.load_state(strategy.state())
    bare.load_state_dict(model.state_dict())
    batch = first_batch(scenario)
    assert torch.equal(bare.eval()(batch), model.eval()(batch))
    flags = [p.requires_grad for p in model.parameters()]
    assert [p.requires_grad for p in bare.parameters()] == flags


def test_parameters_of_a_uniform_rank():
    like = torch.zeros(1)
    sizes = [(768, 768)] * 4 + [(3072, 768), (768, 3072)]
    total = 0
    for d, d_in in sizes * 12:
        update = Components(
            d, d_in, rank=2, alpha=1, like=like, generator=generator()
        )  # fmt: skip
        total += sum(p.numel() for p in update.parameters())
    assert total == 331_920
