"""DPO's mathematics, the reference and its cache, judging, arrival."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from torch.testing import assert_close

from clbench import registry
from clbench.check.checks import first_batch, learn
from clbench.contract import InputError, Strategy
from clbench.matrix import Matrix, Row
from clbench.metrics import preference

SCENARIO = registry.load("scenario", "dpo")
PACKAGE = SCENARIO.__module__.rpartition(".")[0]


def part(name: str):
    """A module of the scenario."""
    return sys.modules[f"{PACKAGE}.{name}"]


losses, references, generate = part("losses"), part("references"), part("generate")
tokens, tiny = part("tokens"), part("tiny")


@pytest.fixture
def toy():
    return SCENARIO.toy()


def moved(toy, amount: float = 0.3):
    """The toy's model with other weights."""
    model = toy.model()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * amount)
    return model.eval()


# --- losses ---


def test_golden_terms(shared):
    gold = np.load(shared / "golden/ofs_dpo/dpo_terms_certain.npz")
    beta = float(gold["beta"])
    reference = np.stack([gold["logp_ref_chosen"], gold["logp_ref_rejected"]], 1)
    for module in ("fast", "slow"):
        sides = [gold[f"logp_{module}_{side}"] for side in ("chosen", "rejected")]
        logp = torch.tensor(np.stack(sides, 1), requires_grad=True)
        margin = losses.margins(logp, torch.tensor(reference), beta)
        each = losses.preference_losses(margin, "sigmoid", beta=beta)
        each.mean().backward()
        found = preference.preference(
            logp.detach().numpy(), reference, np.ones((len(logp), 2)), beta
        )
        reward = preference.rewards(logp.detach().numpy(), reference, beta)
        for value, name in (
            (margin.detach(), f"margin_{module}"),
            (each.detach(), f"loss_{module}_per_pair"),
            (each.mean().detach(), f"loss_{module}"),
            (logp.grad[:, 0], f"grad_{module}_chosen"),
            (logp.grad[:, 1], f"grad_{module}_rejected"),
            (reward[:, 0] - reward[:, 1], f"margin_{module}"),
            (found["accuracy"], f"preference_accuracy_{module}"),
            (found["margin"], f"reward_margin_{module}"),
        ):
            np.testing.assert_allclose(value, gold[name], rtol=1e-10, err_msg=name)
        if module == "fast":
            np.testing.assert_allclose(reward[:, 0], gold["reward_chosen_fast"])
            np.testing.assert_allclose(reward[:, 1], gold["reward_rejected_fast"])


def test_a_policy_that_is_its_reference_has_no_margin_and_loss_ln_2(toy):
    batch = first_batch(toy)
    output = toy.model()(batch)
    assert_close(toy.merit(output, batch), torch.zeros(4), atol=1e-6, rtol=0)
    assert toy.loss(output, batch).item() == pytest.approx(math.log(2), abs=1e-6)


@pytest.mark.parametrize("margin", [-30.0, -1.0, 0.0, 0.7, 20.0])
def test_closed_forms_of_all_losses(margin):
    m = torch.tensor([margin], dtype=torch.float64, requires_grad=True)
    beta, e = 0.1, 0.2

    def loss(kind, **given):
        return losses.preference_losses(m, kind, beta=beta, **given)

    sigmoid = loss("sigmoid")
    assert sigmoid.item() == pytest.approx(math.log1p(math.exp(-margin)), rel=1e-9)
    (slope,) = torch.autograd.grad(sigmoid.sum(), m)
    assert slope.item() == pytest.approx(-1 / (1 + math.exp(margin)), rel=1e-9)
    smooth = loss("sigmoid", smoothing=e)
    assert_close(smooth, (1 - e) * sigmoid + e * (sigmoid + m))
    assert loss("ipo").item() == pytest.approx((margin / beta - 0.5 / beta) ** 2)
    assert loss("hinge").item() == max(0, 1 - margin)


def test_ipo_is_least_where_the_log_ratio_is_half_over_beta():
    m = torch.tensor([0.5])
    assert losses.preference_losses(m, "ipo", beta=0.1).item() == 0
    assert losses.preference_losses(m, "ipo", beta=2.0).item() == 0


def test_losses_are_parameters():
    toys = {kind: SCENARIO.toy() for kind in ("sigmoid", "ipo", "hinge")}
    values = {}
    for kind, toy in toys.items():
        toy._loss = kind
        batch = first_batch(toy)
        values[kind] = toy.loss(toy.model()(batch), batch).item()
    assert values["ipo"] == pytest.approx((0.5 / 0.1) ** 2, rel=1e-4)
    assert values["hinge"] == pytest.approx(1, abs=1e-5)
    with pytest.raises(InputError, match="has a meaning with"):
        SCENARIO(loss="ipo", label_smoothing=0.1)


# --- log-probabilities ---


def test_log_probabilities_are_sums_over_the_response(toy):
    model, batch = toy.model().eval(), first_batch(toy)
    found = model(batch)["logp"]
    for i in range(4):
        for side in range(2):
            kept = batch["attention_mask"][i, side].bool()
            ids, counts = batch["input_ids"][i, side][kept], batch["response"][i, side]
            logp = model.lm(input_ids=ids[None]).logits[0, :-1].log_softmax(-1)
            each = logp.gather(1, ids[1:, None]).squeeze(1)
            expected = each[counts[kept][1:]].sum()
            assert_close(found[i, side], expected, atol=1e-5, rtol=0)


def test_padding_and_what_it_holds_do_not_count(toy):
    model, batch = toy.model().eval(), first_batch(toy)
    before = model(batch)
    other = batch["input_ids"].clone()
    other[batch["attention_mask"] == 0] = 7
    assert_close(model({**batch, "input_ids": other})["logp"], before["logp"])
    wide = {
        name: F.pad(batch[name], (0, 5)) if batch[name].dim() == 3 else batch[name]
        for name in batch
    }
    after = model(wide)
    assert_close(after["logp"], before["logp"])
    assert after["logits"].shape == before["logits"].shape


def test_prompt_tokens_get_no_gradient_of_their_own(toy):
    """Where no prompt token is a label, its logits have no part in the loss."""
    model, batch = toy.model(), first_batch(toy)
    given = batch["input_ids"].flatten(0, 1), batch["response"].flatten(0, 1)
    logits, counts, labels = model.rows(*given)
    logits.retain_grad()
    logp = (part("model").token_logps(logits, labels) * counts).sum(-1).view(4, 2)
    assert_close(logp, model(batch)["logp"])
    toy.loss({"logp": logp}, batch).backward()
    gradient = logits.grad.abs().sum(-1)
    assert not counts.all()
    assert (gradient[~counts] == 0).all()
    assert (gradient[counts] > 0).all()


def test_every_tensor_has_the_example_first(toy):
    model, batch = toy.model().eval(), first_batch(toy)
    double = {name: torch.cat([value, value]) for name, value in batch.items()}
    once, twice = model(batch), model(double)
    for name, value in twice.items():
        assert len(value) == 8, name
        assert_close(value[:4], once[name])
        assert_close(value[4:], once[name])
    swapped = {name: value.flip(0) for name, value in batch.items()}
    assert_close(model(swapped)["logp"], once["logp"].flip(0))


# --- the reference ---


def test_references_are_kept_under_weights_and_tokens(toy, tmp_path, monkeypatch):
    monkeypatch.setenv("CLBENCH_CACHE", str(tmp_path))
    calls = []
    real = references.sequence_logps

    def counted(model, given):
        calls.append(1)
        return real(model, given)

    monkeypatch.setattr(references, "sequence_logps", counted)
    some, more = toy._train[0], toy._train[1]

    def base(model):
        return references.Base(lambda: model, cache=True)

    first = base(toy.model()).logps(some)
    assert_close(base(toy.model()).logps(some), first, rtol=0, atol=0)
    assert len(calls) == 1
    base(toy.model()).logps(more)
    assert len(calls) == 2
    other = base(moved(toy)).logps(some)
    assert len(calls) == 3
    assert (other - first).abs().max() > 0.01


def test_adapters_at_0_are_the_base(toy):
    adapted = toy.model()
    from clbench.problem import view

    registry.load("strategy", "lora")().prepare(adapted, view(toy))
    assert references.effective_hash([adapted]) == toy._base.hash
    assert references.effective_hash([moved(toy)]) != toy._base.hash


def test_the_base_stays_the_reference_of_every_experience(toy):
    first = toy._reference_of(0).clone()
    model, _, _ = learn(Strategy(), toy)
    assert_close(toy._reference_of(0), first, rtol=0, atol=0)
    expected = references.sequence_logps(toy.model().eval(), toy._train[2])
    assert_close(toy._reference_of(2), expected)
    trained = references.sequence_logps(model.eval(), toy._train[2])
    assert (trained - expected).abs().max() > 1e-3


def test_the_previous_policy_may_be_the_reference(toy):
    toy._reference = "previous"
    seen = []

    class Looks(Strategy):
        """Keeps how the first step of an experience begins."""

        def penalty(self, run, output, batch):
            if run.step == 0:
                seen.append(run.problem.merit(output, batch).detach())

    model, _, _ = learn(Looks(), toy)
    for margin in seen:
        assert_close(margin, torch.zeros(4), atol=1e-5, rtol=0)
    assert toy.card().details["reference"] == "previous"
    # Scores are measured from the base whatever the loss is measured from.
    row = toy.evaluate(model.eval(), 3)
    assert all(abs(result.metrics["margin"]) > 1e-4 for result in row.values())


def test_under_the_base_later_experiences_begin_with_a_margin(toy):
    seen = []

    class Looks(Strategy):
        """Keeps how the first step of an experience begins."""

        def penalty(self, run, output, batch):
            if run.step == 0:
                seen.append(run.problem.merit(output, batch).abs().max().item())

    learn(Looks(), toy)
    assert seen[0] < 1e-5
    assert min(seen[1:]) > 1e-3


# --- judging ---


def test_before_training_nothing_is_preferred(toy):
    row = toy.evaluate(toy.model().eval(), 0)
    assert set(row) == {"red", "polite", "blue"}
    for result in row.values():
        numbers = result.metrics
        assert numbers["accuracy"] == numbers["win_rate"] == 0.5
        for name in ("margin", "margin_median", "margin_per_token", "kl"):
            assert numbers[name] == 0, name
        assert set(result.outcomes) == {"margin", "reward_chosen", "reward_rejected"}
        assert all(len(values) == 6 for values in result.outcomes.values())


def test_numbers_of_a_row_are_those_of_its_pairs(toy):
    model = moved(toy)
    row = toy.evaluate(model, 1)
    held = toy._test[1]
    logp = references.sequence_logps(model, held)
    base = references.sequence_logps(toy.model().eval(), held)
    reward = 0.1 * (logp - base).numpy()
    margin = reward[:, 0] - reward[:, 1]
    numbers = row["polite"].metrics
    assert numbers["accuracy"] == np.mean(margin > 0)
    assert numbers["margin"] == pytest.approx(margin.mean(), rel=1e-4)
    assert numbers["margin_median"] == pytest.approx(np.median(margin), rel=1e-4)
    assert numbers["reward_chosen"] == pytest.approx(reward[:, 0].mean(), rel=1e-4)
    per_token = reward[:, 0] / 3 - reward[:, 1] / 2
    assert numbers["margin_per_token"] == pytest.approx(per_token.mean(), rel=1e-4)
    np.testing.assert_allclose(row["polite"].outcomes["margin"], margin, rtol=1e-4)


def test_ties_count_one_half():
    assert preference.preference_accuracy(np.array([1, 0.0, -1, 2e-6])) == 0.5
    assert preference.preference_accuracy(np.array([1, 1, 2e-5, -3])) == 0.75


def test_the_divergence_of_a_policy_from_itself_is_0(toy):
    model = toy.model().eval()
    prompts, answers = toy._test[0].prompts[:3], toy._test[0].chosen[:3]
    for each in generate.divergences(model, model, prompts, answers, 0):
        assert_close(each, np.zeros(2), atol=1e-7, rtol=0)


def test_the_divergence_is_exact_at_each_token(toy):
    model, base = moved(toy), toy.model().eval()
    prompt, answer = toy._test[1].prompts[0], toy._test[1].chosen[0]
    other = np.append(prompt, 5)
    found = generate.divergences(
        model, base, [prompt, other], [answer, answer], toy._lm.pad
    )
    ids = torch.from_numpy(np.concatenate([prompt, answer]))[None]
    with torch.no_grad():
        p, q = (m.lm(input_ids=ids).logits[0].log_softmax(-1) for m in (model, base))
    expected = (p.exp() * (p - q)).sum(-1)[len(prompt) - 1 : -1]
    np.testing.assert_allclose(found[0], expected, atol=1e-5)
    assert len(found[1]) == len(answer)
    sums = preference.divergence(found)
    assert sums["kl"] == pytest.approx(np.mean([each.sum() for each in found]))
    assert sums["kl_per_token"] == pytest.approx(np.concatenate(found).mean())


def test_samples_follow_the_policy(toy):
    """The first token of many samples has the frequencies of the softmax."""
    model, prompt = moved(toy, 0.1), toy._test[0].prompts[0]
    drawn = generate.responses(model, toy._lm, [prompt] * 2000, most=1, seed=3)
    again = generate.responses(model, toy._lm, [prompt] * 2000, most=1, seed=3)
    assert [d.tolist() for d in drawn] == [d.tolist() for d in again]
    count = np.bincount([d[0] for d in drawn], minlength=14) / 2000
    with torch.no_grad():
        logits = model.lm(input_ids=torch.from_numpy(prompt)[None]).logits[0, -1]
    chance = logits.softmax(-1).numpy()
    assert np.abs(count - chance).max() < 5 * np.sqrt(0.25 / 2000)


def test_greedy_responses_do_not_depend_on_their_batch(toy):
    model, prompts = moved(toy), list(toy._test[0].prompts)
    together = generate.responses(model, toy._lm, prompts, most=6)
    for prompt, answer in zip(prompts, together, strict=True):
        (alone,) = generate.responses(model, toy._lm, [prompt], most=6)
        assert alone.tolist() == answer.tolist()
        ids = np.concatenate([prompt, answer])
        with torch.no_grad():
            logits = model.lm(input_ids=torch.from_numpy(ids)[None]).logits[0]
        best = logits[len(prompt) - 1 : -1].argmax(-1)
        assert best.tolist() == answer.tolist()


def test_a_response_ends_with_its_first_end():
    assert generate.until(np.array([5, 2, 2, 0]), 2).tolist() == [5, 2]
    assert generate.until(np.array([5, 6]), 2).tolist() == [5, 6]
    assert generate.until(np.array([5, 2]), None).tolist() == [5, 2]


def test_without_responses_there_is_no_win_rate(toy):
    toy.responses = 0
    row = toy.evaluate(toy.model().eval(), 0)
    assert "kl" not in row["red"].metrics
    assert "win_rate" not in row["red"].metrics
    rows = tuple(
        Row(
            experience=i,
            step=i,
            boundary=True,
            scores={task: dict(result.metrics) for task, result in row.items()},
        )
        for i in range(4)
    )
    matrix = Matrix(rows=rows, learned={"red": 1, "polite": 2, "blue": 3})
    found = SCENARIO.scores(matrix, {})
    assert math.isnan(found["kl"])
    assert math.isnan(found["win_rate"])
    assert found["last"] == 0.5


# --- the stream ---


def test_joint_has_all_domains_in_one_part(toy):
    toy.arrival = "joint"
    (everything,) = toy.stream()
    assert everything.tasks == toy.tasks
    assert everything.steps == toy.budget.steps == 12
    assert len(everything.train) == 24
    drawn = {
        int(task)
        for rows in everything.train.batches(0, 6)
        for task in everything.train.__getitems__(rows)["task"]
    }
    assert drawn == {0, 1, 2}
    batch = everything.train.__getitems__([0, 23, 8])
    assert batch["task"].tolist() == [0, 2, 1]
    for row, (number, place) in enumerate([(0, 0), (2, 7), (1, 0)]):
        assert_close(batch["reference"][row], toy._reference_of(number)[place])


def test_the_order_can_be_shuffled():
    orders = {SCENARIO(order_seed=seed).tasks for seed in range(6)}
    assert len(orders) > 1
    assert {frozenset(order) for order in orders} == {frozenset(SCENARIO().tasks)}
    assert SCENARIO(domains=("detailed", "brief")).tasks == ("detailed", "brief")


def test_a_domain_is_learned_and_its_opposite_forgotten(toy):
    """`red` and `blue` are in conflict: learning the last undoes the first."""
    from dataclasses import replace

    toy.steps = 30
    toy._follow(tuple(tiny.DOMAINS))
    toy.recipe = replace(toy.recipe, lr=1e-2)
    rows = []

    class Looks(Strategy):
        """Judges after each experience."""

        def after_experience(self, run, experience):
            run.model.eval()
            rows.append(toy.evaluate(run.model, experience.index + 1))
            run.model.train()

    learn(Looks(), toy)
    assert rows[0]["red"].metrics["accuracy"] == 1
    assert rows[0]["blue"].metrics["accuracy"] == 0
    assert rows[2]["blue"].metrics["accuracy"] == 1
    assert rows[2]["red"].metrics["accuracy"] < 0.5
    assert rows[0]["red"].metrics["margin"] > 0 > rows[2]["red"].metrics["margin"]
    assert rows[0]["red"].metrics["kl"] > 0
