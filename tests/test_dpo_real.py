"""A real small language model on real human and model-judged preferences."""

from __future__ import annotations

import math

import pytest

from clbench import registry
from clbench.check.checks import learn

SCENARIO = registry.load("scenario", "dpo")


@pytest.fixture(scope="module")
def real(shared):
    prefs = shared / "data" / "prefs"
    return SCENARIO(
        domains=("hh_rlhf_harmless", "alpaca_helpful_base.jsonl"),
        root=str(prefs),
        backbone=str(shared / "data" / "models" / "stories260K"),
        steps=3,
        batch_size=4,
        max_length=96,
        train_pairs=24,
        test_pairs=8,
        responses=2,
        response_length=8,
        cache=False,
    )


def test_the_data_are_read_and_counted(real):
    card = real.card()
    assert card.data == "alpaca_helpful_base+hh_rlhf_harmless"
    assert card.details["learned from"] == dict.fromkeys(real.tasks, 24)
    assert card.details["left out"]["hh_rlhf_harmless"] == {"empty response": 4}
    assert card.details["tokenized"]["responses cut"] > 0
    tokenizer = real._lm.tokenizer
    prompt = tokenizer.decode(real._train[0].prompts[0].tolist())
    assert prompt.endswith("Assistant:")


def test_a_cell_learns_and_judges_every_domain(real):
    before = real.evaluate(real.model().eval(), 0)
    model, _, trace = learn(registry.load("strategy", "finetune")(), real)
    assert len(trace.losses) == 6
    assert trace.losses[0] == pytest.approx(math.log(2), abs=1e-4)
    after = real.evaluate(model.eval(), 2)
    assert set(before) == set(after) == {"hh_rlhf_harmless", "alpaca_helpful_base"}
    for task, result in after.items():
        assert before[task].metrics["accuracy"] == 0.5
        assert result.metrics["margin"] != 0
        assert result.metrics["kl"] > 0
        assert "win_rate" not in result.metrics
