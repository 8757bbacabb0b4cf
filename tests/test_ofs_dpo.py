"""OFS-DPO and COFS-DPO: golden terms, closed forms, roles, two modules in one pass."""

from __future__ import annotations

import copy
import importlib
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

from clbench import check, registry
from clbench.check.checks import learn
from clbench.contract import Experience, InputError, Recipe
from clbench.lowrank import LowRank, Several, Turn, combine, compress
from clbench.models.roles import layers
from clbench.optim import Groups
from clbench.problem import view
from clbench.session import Session

terms = importlib.import_module("clbench.strategies.ofs_dpo.terms")
weights = importlib.import_module("clbench.strategies.cofs_dpo.weights")

BETA = 0.1
DOUBLE = {"rtol": 1e-12, "atol": 1e-12}


def strategy(name="ofs_dpo", **given):
    return registry.load("strategy", name)(**given)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def golden(shared, name):
    content = np.load(shared / "golden" / "ofs_dpo" / f"{name}.npz")
    return {key: torch.from_numpy(np.asarray(content[key])) for key in content.files
            if content[key].dtype.kind != "U"}  # fmt: skip


# --- the terms ---


def log_probabilities(gold):
    """(10, 2) of both modules, with gradients, and of the reference."""
    made = []
    for who in ("fast", "slow", "ref"):
        sides = [gold[f"logp_{who}_{side}"] for side in ("chosen", "rejected")]
        made.append(torch.stack(sides, -1).requires_grad_(who != "ref"))
    return made


def margin(logp, reference, beta=BETA):
    rewards = beta * (logp - reference)
    return rewards[:, 0] - rewards[:, 1]


def both(gold, alpha, clamp=None):
    fast, slow, reference = log_probabilities(gold)
    merits = margin(fast, reference), margin(slow, reference)
    losses = tuple(-F.logsigmoid(m).mean() for m in merits)
    return fast, slow, merits, terms.objectives(losses, merits, alpha, clamp)


def test_golden_terms_that_are_certain(shared):
    gold = golden(shared, "dpo_terms_certain")
    fast, slow, merits, (J_F, J_S) = both(gold, 0.0)
    for who, logp, merit, loss in (
        ("fast", fast, merits[0], J_F),
        ("slow", slow, merits[1], J_S),
    ):
        assert_close(merit.detach(), gold[f"margin_{who}"], **DOUBLE)
        assert_close(loss.detach(), gold[f"loss_{who}"], **DOUBLE)
        (gradient,) = torch.autograd.grad(loss, logp)
        for column, side in enumerate(("chosen", "rejected")):
            assert_close(gradient[:, column], gold[f"grad_{who}_{side}"], **DOUBLE)


def test_golden_terms_that_are_provisional(shared):
    certain = golden(shared, "dpo_terms_certain")
    gold = golden(shared, "fs_terms_provisional")
    fast, slow, merits, (J_F, J_S) = both(certain, float(gold["alpha"]))
    assert_close(J_F.detach(), gold["objective_F"], **DOUBLE)
    assert_close(J_S.detach(), gold["objective_S"], **DOUBLE)
    gap = merits[0] - merits[1]
    assert_close(gap.detach(), gold["gap"], **DOUBLE)
    assert_close(terms.lead_loss(gap).detach(), gold["loss_fs"], **DOUBLE)
    for objective, logp, name in (
        (J_F, fast, "grad_objF_fast"),
        (J_S, slow, "grad_objS_slow"),
    ):
        (gradient,) = torch.autograd.grad(objective, logp)
        for column, side in enumerate(("chosen", "rejected")):
            assert_close(gradient[:, column], gold[f"{name}_{side}"], **DOUBLE)


def test_the_reference_cancels_in_the_gap(shared):
    fast, slow, reference = log_probabilities(golden(shared, "dpo_terms_certain"))
    moved = margin(fast, 3 * reference + 1) - margin(slow, 3 * reference + 1)
    assert_close(moved, margin(fast, reference) - margin(slow, reference), **DOUBLE)


@pytest.mark.parametrize("alpha", [0.0, 0.1, 0.5, 1.0, 3.0])
def test_gradients_in_the_margins_have_their_closed_form(alpha):
    F_, S = (
        (
            3 * torch.randn(12, dtype=torch.float64, generator=seeded(seed))
        ).requires_grad_()
        for seed in (1, 2)
    )
    losses = -F.logsigmoid(F_).mean(), -F.logsigmoid(S).mean()
    J_F, J_S = terms.objectives(losses, (F_, S), alpha)
    chase = alpha * torch.sigmoid(S - F_)
    for objective, own, other in ((J_F, F_, S), (J_S, S, F_)):
        mine, theirs = torch.autograd.grad(
            objective, (own, other), allow_unused=True, retain_graph=True
        )
        assert_close(mine, -(torch.sigmoid(-own) + chase).detach() / 12, **DOUBLE)
        assert theirs is None


def test_where_dpo_stands_still_the_chase_goes_on(shared):
    for m, dpo, ofs in golden(shared, "fs_terms_provisional")["saturation"].tolist():
        F_ = torch.tensor([m], dtype=torch.float64, requires_grad=True)
        loss = -F.logsigmoid(F_).mean()
        assert_close(torch.autograd.grad(loss, F_)[0].abs().item(), dpo, **DOUBLE)
        loss = -F.logsigmoid(F_).mean()
        J_F, _ = terms.objectives((loss, loss), (F_, F_.detach()), 0.5)
        assert_close(torch.autograd.grad(J_F, F_)[0].abs().item(), ofs, **DOUBLE)


@pytest.mark.parametrize("alpha", [0.1, 0.5, 1.0])
def test_at_a_margin_of_20(alpha):
    F_, S = (torch.full((4,), 20.0, dtype=torch.float64).requires_grad_() for _ in "FS")
    losses = -F.logsigmoid(F_).mean(), -F.logsigmoid(S).mean()
    assert torch.autograd.grad(losses[0], F_, retain_graph=True)[0].abs().sum() < 1e-8
    for objective, own in zip(
        terms.objectives(losses, (F_, S), alpha), (F_, S), strict=True
    ):
        assert torch.autograd.grad(objective, own)[0].abs().sum() >= 0.4 * alpha


def test_equal_modules_get_equal_gradients_and_ln_2():
    F_ = torch.randn(5, dtype=torch.float64, generator=seeded()).requires_grad_()
    S = F_.detach().clone().requires_grad_()
    assert_close(terms.lead_loss(F_ - S).item(), math.log(2), **DOUBLE)
    losses = -F.logsigmoid(F_).mean(), -F.logsigmoid(S).mean()
    J_F, J_S = terms.objectives(losses, (F_, S), 0.7)
    one, two = torch.autograd.grad(J_F, F_)[0], torch.autograd.grad(J_S, S)[0]
    assert torch.equal(one, two)


def test_the_clamp_touches_the_chase_alone():
    F_ = torch.tensor([15.0, 1.0], dtype=torch.float64, requires_grad=True)
    S = torch.tensor([-15.0, 0.0], dtype=torch.float64)
    losses = -F.logsigmoid(F_).mean(), -F.logsigmoid(S).mean()
    J_F, _ = terms.objectives(losses, (F_, S), 0.5, clamp=10.0)
    (gradient,) = torch.autograd.grad(J_F, F_)
    plain = -torch.sigmoid(-F_.detach()) / 2
    assert_close(gradient[0], plain[0], **DOUBLE)
    chased = plain[1] - 0.5 * torch.sigmoid(torch.tensor(-1.0).double()) / 2
    assert_close(gradient[1], chased, **DOUBLE)


# --- roles ---


def roles(one, two, interval):
    """Which module is F at every step, by the strategy's own bookkeeping."""
    made = strategy(interval=interval)
    made._layers = []
    run = SimpleNamespace(step=0, steps=len(one), log=lambda *_: None)
    used = []
    for losses in zip(one, two, strict=True):
        lead = made._turn.lead
        used.append(lead)
        ordered = [torch.as_tensor(losses[m]) for m in (lead, 1 - lead)]
        made._window.add(lead, tuple(ordered), (torch.zeros(3), torch.zeros(3)))
        run.step += 1
        made.after_step(run)
    return used


def test_golden_roles(shared):
    gold = golden(shared, "fs_terms_provisional")
    used = roles(
        gold["role_losses_module1"], gold["role_losses_module2"],
        int(gold["role_interval"]),
    )  # fmt: skip
    assert [lead == 0 for lead in used] == gold["role_module1_is_F"].tolist()


def test_roles_change_only_at_the_end_of_a_window_and_a_tie_is_module_1s():
    one = [1.0] * 3 + [1.0] * 3 + [0.0] * 3 + [0.0] * 3
    two = [0.5] * 3 + [1.0] * 3 + [1.0] * 3 + [0.0] * 3
    assert roles(one, two, 3) == [0] * 3 + [1] * 3 + [0] * 6
    assert roles(one, two, None) == [0] * 12


# --- one pass for two modules ---


class Lm(nn.Module):
    """A narrow causal language model that gives log-probabilities of responses."""

    def __init__(self):
        from transformers import LlamaConfig, LlamaForCausalLM

        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.lm = LlamaForCausalLM(
                LlamaConfig(
                    vocab_size=30, hidden_size=16, intermediate_size=24,
                    num_hidden_layers=2, num_attention_heads=2,
                    num_key_value_heads=1, initializer_range=0.3,
                )
            )  # fmt: skip

    def forward(self, batch):
        ids, counts = (batch[name].flatten(0, 1) for name in ("ids", "response"))
        logits = self.lm(input_ids=ids, use_cache=False).logits[:, :-1]
        each = logits.log_softmax(-1).gather(-1, ids[:, 1:, None]).squeeze(-1)
        return {"logp": (each * counts[:, 1:]).sum(-1).view(-1, 2)}


class Pairs:
    """What a strategy is handed of preference pairs."""

    per_example, seed, tasks = True, 0, ("pairs",)
    recipe = Recipe(optimizer="sgd", lr=0.1, momentum=0.0)
    budget = SimpleNamespace(batch_size=4)

    def merit(self, output, batch):
        return margin(output["logp"], batch["reference"])

    def loss(self, output, batch):
        return -F.logsigmoid(self.merit(output, batch)).mean()

    def adaptable(self, model):
        return layers(model.lm, "lm")

    def heads(self, model):
        return iter(())


def pairs(seed=0, count=4):
    generator = seeded(seed)
    ids = torch.randint(30, (count, 2, 9), generator=generator)
    response = (torch.arange(9) >= 4).long().expand(count, 2, 9)
    reference = torch.randn(count, 2, generator=generator) - 10
    return {"ids": ids, "response": response, "reference": reference}


def running(made, model, problem=None, steps=100):
    """A session of `made` on `model`, its optimizer made."""
    problem = problem or Pairs()
    made.prepare(model, problem)
    model.train()
    run = Session(model, problem, torch.device("cpu"), lambda *_: None)
    run.begin(
        Experience(index=0, name="a", tasks=("a",), train=pairs_data(), steps=steps)
    )
    made.before_experience(run, run.experience)
    run.optimize(made.groups(model, problem.recipe))
    return run


def pairs_data():
    class Many:
        def __len__(self):
            return 20

        def __getitems__(self, indices):
            whole = pairs(5, 20)
            return {name: value[list(indices)] for name, value in whole.items()}

    return Many()


def backward(made, run, batch):
    """The engine's step until gradients are there: the total loss."""
    output = run.model(batch)
    loss = run.problem.loss(output, batch)
    penalty = made.penalty(run, output, batch)
    total = loss if penalty is None else loss + penalty
    run.optimizer.zero_grad()
    total.backward()
    return total.item()


def update(made, run, batch):
    backward(made, run, batch)
    made.before_step(run)
    run.groups.before_step(run.step)
    run.optimizer.step()
    run.advance()
    made.after_step(run)


def factors(made, number):
    return [p for layer in made._layers for p in layer.update(number)]


def stirred(made):
    """Let B be no longer 0, so that everything has a gradient."""
    with torch.no_grad():
        for number in range(2):
            for place, factor in enumerate(factors(made, number)):
                noise = torch.randn(factor.shape, generator=seeded(9 * place + number))
                factor.add_(0.1 * noise)
    return made


@pytest.mark.parametrize("lead", [0, 1])
@pytest.mark.parametrize("roles_", [("q", "v"), ("q", "k", "v", "out", "fc1", "fc2")])
def test_one_pass_equals_two(lead, roles_):
    found = []
    for together in (True, False):
        made = strategy(rank=2, roles=roles_, together=together)
        run = running(made, Lm().double())
        assert (made._both is not None) == together
        stirred(made)._turn.lead = lead
        batch = {**pairs(), "reference": pairs()["reference"].double()}
        total = backward(made, run, batch)
        gradients = [p.grad for m in range(2) for p in factors(made, m)]
        found.append((total, gradients, made._window.sums))
    assert_close(found[0][0], found[1][0], **DOUBLE)
    assert_close(found[0][1], found[1][1], **DOUBLE)
    assert_close(found[0][2], found[1][2])
    assert all(bool(g.any()) for g in found[0][1])


@pytest.mark.parametrize("scenario", ["dg", "mtl"])
def test_one_pass_equals_two_on_toys(scenario):
    """Also fused projections, windows, and tasks whose losses are dense."""
    kind = registry.load("scenario", scenario)
    found = []
    for together in (True, False):
        toy = kind.toy()
        made = strategy(rank=2, together=together)
        model = toy.model()
        run = running(made, model, view(toy))
        assert (made._both is not None) == together
        stirred(made)
        batch = next(iter(check.checks.loader(toy.stream()[0], 0)))
        total = backward(made, run, batch)
        found.append((total, [p.grad for m in range(2) for p in factors(made, m)]))
    assert_close(found[0], found[1], rtol=1e-4, atol=1e-6)


def test_normalisation_over_the_batch_takes_two_passes():
    kind = registry.load("scenario", "dg")
    toy = kind.toy()
    model = toy.model()
    model.head = nn.Sequential(nn.BatchNorm1d(model.backbone.width), model.head)
    made = strategy(rank=2)
    made.prepare(model, view(toy))
    assert made._both is None


def test_a_module_gets_no_gradient_of_the_others_objective():
    made = strategy(rank=2)
    run = running(made, Lm())
    stirred(made)
    batch = pairs()
    output = run.model(batch)
    other = made._other(run.model, output, batch)
    merits = run.problem.merit(output, batch), run.problem.merit(other, batch)
    losses = run.problem.loss(output, batch), run.problem.loss(other, batch)
    for number, objective in enumerate(terms.objectives(losses, merits, 0.5)):
        own, others = (
            torch.autograd.grad(
                objective, factors(made, m), retain_graph=True, allow_unused=True
            )
            for m in (number, 1 - number)
        )
        assert all(bool(g.any()) for g in own)
        assert not any(g is not None and bool(g.any()) for g in others)


def alone(model, made, number, rate):
    """Plain low-rank training of one module, from the same factors."""
    one = strategy("lora", rank=made.rank, roles=made.roles)
    one.prepare(model, Pairs())
    own = [m for m in model.modules() if isinstance(m, LowRank)]
    with torch.no_grad():
        for mine, layer in zip(own, made._layers, strict=True):
            A, B = layer.update(number)
            mine.A.copy_(A)
            mine.B.copy_(B)
    params = [p for m in own for p in (m.A, m.B)]
    recipe = Recipe(optimizer="adamw", lr=rate)
    (group,) = one.groups(model, recipe)
    group.clip = 1.0
    return params, Groups([group], recipe, 100)


def test_without_the_chase_the_modules_learn_as_if_each_were_alone():
    """Bit for bit, where each has a pass of its own; to rounding in one pass."""
    problem = Pairs()
    problem.recipe = Recipe(optimizer="adamw", lr=1e-2)
    ends = {}
    for together in (True, False):
        made = strategy(
            rank=2, alpha=0.0, ratio=0.2, together=together, shared_init=False
        )
        run = running(made, Lm(), problem)
        singles = []
        for number, rate in enumerate((1e-2, 1e-2 * 0.2)):
            model = Lm().train()
            singles.append((model, *alone(model, made, number, rate)))
        for step in range(6):
            update(made, run, pairs(step))
            for model, _, groups in singles:
                groups.optimizer.zero_grad()
                problem.loss(model(pairs(step)), pairs(step)).backward()
                groups.before_step(step)
                groups.optimizer.step()
        for number, (_, params, _) in enumerate(singles):
            pairs_ = zip(factors(made, number), params, strict=True)
            ends[together, number] = [(a.detach(), b.detach()) for a, b in pairs_]
    for number in range(2):
        assert all(torch.equal(a, b) for a, b in ends[False, number])
        for a, b in ends[True, number]:
            assert_close(a, b, rtol=1e-3, atol=1e-5)


def test_one_step_moves_the_slow_module_by_the_ratio():
    made = strategy(rank=2, ratio=0.2, clip=None)
    run = running(made, Lm().double())
    before = [[p.detach().clone() for p in factors(made, m)] for m in range(2)]
    batch = {**pairs(), "reference": pairs()["reference"].double()}
    update(made, run, batch)
    moved = [
        [p.detach() - old for p, old in zip(factors(made, m), before[m], strict=True)]
        for m in range(2)
    ]
    assert any(bool(step.any()) for step in moved[0])
    for fast, slow in zip(*moved, strict=True):
        assert_close(slow, 0.2 * fast, rtol=1e-9, atol=1e-12)


def test_each_module_is_clipped_by_itself():
    made = strategy(rank=2, clip=1e-3)
    run = running(made, Lm())
    stirred(made)
    backward(made, run, pairs())
    with torch.no_grad():
        for factor in factors(made, 1):
            factor.grad.mul_(1e6)
    run.groups.before_step(0)
    for number in range(2):
        norm = torch.stack([p.grad.norm() for p in factors(made, number)]).norm()
        assert norm.item() == pytest.approx(1e-3, rel=1e-2)


@pytest.mark.parametrize("follows", ["module", "role"])
def test_learning_rates_stay_or_follow_the_role(follows):
    made = strategy(rank=2, ratio=0.25, lr_follows=follows)
    run = running(made, Lm())
    made._lead(run, 1)
    run.groups.before_step(0)
    rates = [group["lr"] for group in run.optimizer.param_groups]
    expected = [0.1, 0.025] if follows == "module" else [0.025, 0.1]
    assert rates == pytest.approx(expected)
    again = [group.lr for group in made.groups(run.model, Pairs.recipe)]
    assert again == pytest.approx(expected)


def test_the_model_is_the_module_in_role_f():
    made = strategy(rank=2)
    run = running(made, Lm())
    stirred(made)
    batch, answers = pairs(), []
    run.model.eval()
    with torch.no_grad():
        for lead in range(2):
            made._turn.lead = lead
            single = Lm().eval()
            alone(single, made, lead, 1.0)
            answers.append(run.model(batch)["logp"])
            assert_close(answers[-1], single(batch)["logp"])
            # While it trains, other terms see the same module.
            assert_close(run.model.train()(batch)["logp"], answers[-1])
            run.model.eval()
    assert (answers[0] - answers[1]).abs().max() > 1e-3


def test_a_copy_of_the_model_answers_by_itself():
    made = strategy(rank=2)
    run = running(made, Lm())
    stirred(made)
    output = run.model(pairs())
    teacher = copy.deepcopy(run.model).eval()
    with torch.no_grad():
        assert teacher(pairs())["logp"].shape == (4, 2)
    # What was kept of the pass is still there.
    assert made._both.outputs(output) is not None


def test_the_base_stays_as_it_is_and_a_new_module_is_the_reference():
    model = Lm()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    made = strategy(rank=2)
    run = running(made, model)
    with torch.no_grad():
        reference = model(pairs())["logp"]
    batch = {**pairs(), "reference": reference}
    assert_close(run.problem.merit(model(batch), batch), torch.zeros(4))
    assert run.problem.loss(model(batch), batch).item() == pytest.approx(math.log(2))
    for step in range(3):
        update(made, run, {**pairs(step), "reference": reference})
    bare = {
        name.replace(".base.", "."): value
        for name, value in model.state_dict().items()
        if not name.rpartition(".")[2].isdigit()
        and not name.endswith((".A", ".B", "._extra_state"))
    }
    assert bare.keys() == before.keys()
    assert all(torch.equal(bare[name], value) for name, value in before.items())


def test_beside_a_strategy_that_calls_the_model_again():
    """Whatever pass was the last, S's answer is that to the same batch."""
    made = strategy(rank=2)
    run = running(made, Lm())
    stirred(made)
    batch = pairs()
    output = run.model(batch)
    run.model(pairs(7))
    late = made._other(run.model, output, batch)
    output = run.model(batch)
    assert_close(made._other(run.model, output, batch), late)


# --- layers ---


@pytest.mark.parametrize("rows", [None, [(0, 4), (8, 12)]])
@pytest.mark.parametrize("scale", [1.0, 0.7])
def test_parts_compute_what_each_update_does(rows, scale):
    turn = Turn()
    base = nn.Linear(6, 12 if rows else 5).double()
    layer = Several(
        base, updates=2, turn=turn, alike=False, roles=["q", "v"] if rows else ["q"],
        rows=rows, rank=3, scale=scale, generator=seeded(),
    )  # fmt: skip
    for number, (_, B) in enumerate(layer.updates):
        nn.init.normal_(B, generator=seeded(number + 1))
    assert not torch.equal(layer.update(0)[0], layer.update(1)[0])
    x = torch.randn(4, 3, 6, dtype=torch.float64, generator=seeded(5)).requires_grad_()
    inputs = [x, base.weight, base.bias, *(p for u in layer.updates for p in u)]
    cotangent = torch.randn(layer(x).shape, dtype=torch.float64, generator=seeded(6))

    def apart():
        made = []
        for number, part in enumerate(x.chunk(2)):
            with turn.of(number):
                made.append(layer(part))
        return torch.cat(made)

    expected = apart()
    turn.split = True
    found = layer(x)
    assert_close(found, expected, **DOUBLE)
    assert_close(
        torch.autograd.grad(found, inputs, cotangent),
        torch.autograd.grad(expected, inputs, cotangent),
        **DOUBLE,
    )
    with pytest.raises(RuntimeError, match="several updates at once"):
        layer.effective()


def test_golden_combination(shared):
    gold = golden(shared, "lora_combination")
    updates = [(gold["A1"], gold["B1"]), (gold["A2"], gold["B2"])]
    A, B = combine(updates, gold["weights"].tolist())
    assert_close(A, gold["stacked_A"], **DOUBLE)
    assert_close(B, gold["stacked_B"], **DOUBLE)
    assert_close(B @ A, gold["delta_exact"], **DOUBLE)
    for name in ("delta_factorwise_linear", "delta_factorwise_sqrt"):
        assert (B @ A - gold[name]).abs().max() > 1e-3
    A, B = combine(updates, (1.0, 0.0))
    assert torch.equal(A, gold["A1"])
    assert_close(B @ A, gold["delta_at_w1_only"], **DOUBLE)


def test_compression_is_the_truncated_svd():
    draw = seeded()
    A = torch.randn(2, 6, 9, dtype=torch.float64, generator=draw)
    B = torch.randn(2, 8, 6, dtype=torch.float64, generator=draw)
    assert compress(A, B, 6)[0] is A
    a, b = compress(A, B, 2)
    assert (a.shape, b.shape) == ((2, 2, 9), (2, 8, 2))
    U, S, Vh = torch.linalg.svd(B @ A)
    best = (U[..., :2] * S[:, None, :2]) @ Vh[:, :2]
    assert_close(b @ a, best, rtol=1e-9, atol=1e-9)
    assert_close(combine([(A, B)], (2.0,))[1], 2 * B)


# --- COFS-DPO ---


def test_weights_that_are_given():
    assert weights.given((0.25, 0.25, 0.5), 2) == (0.5, 0.5)
    assert weights.uniform(4) == (0.25,) * 4
    for wrong, line in (
        ((0.5, 0.6), "sum to 1"),
        ((-0.5, 1.5), "at least 0"),
        ((1.0,), "experience number 2"),
        ((0.0, 0.0, 1.0), "the first 2 are 0"),
    ):
        with pytest.raises(InputError, match=line):
            weights.given(wrong, 2)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 12])
def test_weights_that_are_tried(count):
    tried = weights.candidates(count, 4)
    assert tried[0] == weights.uniform(count)
    assert len(tried) == len(set(tried)) <= weights.LARGEST + 1
    assert all(min(w) >= 0 and sum(w) == pytest.approx(1) for w in tried)
    for place in range(count):
        assert tuple(float(n == place) for n in range(count)) in tried


def test_the_model_after_a_domain_is_the_exact_sum(blobs):
    made = strategy("cofs_dpo", rank=2, interval=None, weights=(0.3, 0.7))
    scenario = blobs(steps=3)
    bare = scenario.model()
    model, _, _ = learn(made, scenario)
    one, two = made._modules_of
    for layer in made._layers:
        (A1, B1), (A2, B2) = one[layer.name], two[layer.name]
        expected = 0.3 * (B1 @ A1) + 0.7 * (B2 @ A2)
        assert_close(layer.delta(), expected)
        assert bool(B1.any())
        assert bool(B2.any())
        assert not torch.equal(A1, A2)
        assert torch.equal(layer.frozen, bare.get_submodule(layer.name).weight)
    # No factor of one domain meets one of another.
    assert model.training


def test_weight_1_is_that_domains_module(blobs):
    runs = {}
    for given in ((1.0, 0.0), "uniform"):
        made = strategy("cofs_dpo", rank=2, weights=given)
        learn(made, blobs(steps=3))
        runs[given] = made
    made = runs[1.0, 0.0]
    for layer in made._layers:
        A, B = made._modules_of[0][layer.name]
        assert torch.equal(layer.current[0], A)
        assert torch.equal(layer.current[1], B)
    assert runs["uniform"]._chosen == (0.5, 0.5)


def test_compressed_sums_have_the_rank_asked_for(blobs):
    made = strategy("cofs_dpo", rank=2, compress=2)
    learn(made, blobs(steps=3))
    assert all(layer.current[0].shape[1] == 2 for layer in made._layers)


def test_chosen_weights_have_the_least_loss_on_what_was_never_learned(blobs):
    made = strategy("cofs_dpo", rank=2, weights="chosen", held_out=30)
    scenario = blobs(steps=8)
    seen: list[torch.Tensor] = []
    plain = scenario.loss

    def watched(output, batch):
        if torch.is_grad_enabled():
            seen.append(batch["x"])
        return plain(output, batch)

    scenario.loss = watched
    _, run, _ = learn(made, scenario)
    learned = {tuple(row) for batch in seen for row in batch.tolist()}
    held = {
        tuple(row)
        for part in made._held_out
        for batch in part
        for row in batch["x"].tolist()
    }
    assert len(held) == 2 * 30
    assert not learned & held
    losses = {w: made._loss(run, w) for w in weights.candidates(2, 4)}
    assert made._chosen == min(losses, key=losses.__getitem__)
    assert len(set(losses.values())) > 1


def test_a_state_goes_on_where_it_was(blobs):
    made = strategy("cofs_dpo", rank=2, weights="chosen", interval=2)
    scenario = blobs(steps=3)
    model, _, _ = learn(made, scenario)
    other = strategy("cofs_dpo", rank=2, weights="chosen", interval=2)
    again = scenario.model()
    other.prepare(again, view(scenario))
    again.load_state_dict(model.state_dict())
    other.load_state(made.state())
    batch = {"x": torch.randn(5, 4, generator=seeded())}
    with torch.no_grad():
        assert torch.equal(again.eval()(batch), model.eval()(batch))


def test_nothing_is_left_if_all_is_held_out(blobs):
    scenario = blobs()
    run = Session(scenario.model(), view(scenario), torch.device("cpu"), print)
    run.begin(scenario.stream()[0])
    with pytest.raises(ValueError, match="would be held out"):
        run.hold_out(range(200))
