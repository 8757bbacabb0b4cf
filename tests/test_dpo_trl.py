"""Loss, margins and gradients are those of TRL's DPOTrainer on the same batch."""

from __future__ import annotations

import copy
import sys

import pytest
import torch
from torch.testing import assert_close

from clbench import registry

pytest.importorskip("trl", reason="TRL is not installed: pip install 'clbench[test]'")

SCENARIO = registry.load("scenario", "dpo")


@pytest.fixture(scope="module")
def toy():
    return SCENARIO.toy()


@pytest.fixture(scope="module")
def policy(toy):
    """A policy that is not its reference."""
    model = toy.model()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.2)
    return model


@pytest.mark.parametrize("beta", [0.1, 0.7])
@pytest.mark.parametrize("kind", ["sigmoid", "hinge"])
def test_a_step_is_trl_s(toy, policy, tmp_path, kind, beta):
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer

    pairs = toy._domains[1].train[:4]
    theirs = copy.deepcopy(policy.lm)
    trainer = DPOTrainer(
        model=theirs,
        ref_model=copy.deepcopy(toy._lm.model),
        args=DPOConfig(
            output_dir=str(tmp_path),
            beta=beta,
            loss_type=kind,
            per_device_train_batch_size=4,
            report_to="none",
            use_cpu=True,
            bf16=False,
            max_length=None,
        ),
        train_dataset=Dataset.from_list(
            [
                {
                    "prompt": p.prompt,
                    "chosen": f" {p.chosen}",
                    "rejected": f" {p.rejected}",
                }
                for p in pairs
            ]
        ),
        processing_class=toy._lm.tokenizer,
    )
    inputs = trainer.data_collator([trainer.train_dataset[i] for i in range(4)])
    expected = trainer.compute_loss(theirs, inputs)
    expected.backward()

    toy.beta, toy._loss = beta, kind
    tokens = sys.modules[f"{SCENARIO.__module__.rpartition('.')[0]}.tokens"]
    made, _ = tokens.Tokenized(toy._lm, 24)(pairs, "d")
    batch = {**made.batch(range(4)), "reference": toy._base.logps(made)}
    # Both are tokenized alike: TRL has all chosen responses first.
    assert_close(batch["input_ids"].transpose(0, 1).flatten(0, 1), inputs["input_ids"])
    counted = batch["response"].transpose(0, 1).flatten(0, 1)
    assert_close(counted.long(), inputs["completion_mask"])
    ours = copy.deepcopy(policy)
    output = ours(batch)
    loss = toy.loss(output, batch)
    loss.backward()

    assert_close(loss, expected, atol=1e-5, rtol=0)
    rewards = beta * (output["logp"] - batch["reference"])
    logged = {name: values[-1] for name, values in trainer._metrics["train"].items()}
    for name, value in {
        "rewards/margins": toy.merit(output, batch).mean(),
        "rewards/chosen": rewards[:, 0].mean(),
        "rewards/rejected": rewards[:, 1].mean(),
        "logps/chosen": output["logp"][:, 0].mean(),
        "logps/rejected": output["logp"][:, 1].mean(),
    }.items():
        assert value.item() == pytest.approx(logged[name], abs=1e-5), name
    known = dict(theirs.named_parameters())
    for name, parameter in ours.lm.named_parameters():
        assert parameter.grad is not None, name
        assert_close(parameter.grad, known[name].grad, atol=1e-5, rtol=0, msg=name)
    assert any(p.grad.abs().max() > 1e-3 for p in ours.parameters())
