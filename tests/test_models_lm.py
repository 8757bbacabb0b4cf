"""Causal language models: how they are found, and what they lack."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.testing import assert_close
from transformers import AutoConfig, AutoModelForCausalLM

from clbench import registry
from clbench.contract import InputError
from clbench.models.lm import CausalLm, load_lm, plain

SCENARIO = registry.load("scenario", "dpo")


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The toy's language model in a folder."""
    folder = tmp_path_factory.mktemp("lm")
    lm = SCENARIO.toy()._lm
    lm.model.save_pretrained(folder)
    lm.tokenizer.save_pretrained(folder)
    return folder


def test_a_folder_is_loaded(saved):
    lm, toy = load_lm(str(saved)), SCENARIO.toy()._lm
    ids = torch.tensor([[1, 5, 6]])
    assert_close(lm.model(ids).logits, toy.model(ids).logits)
    assert (lm.end, lm.pad, lm.context, lm.merged) == (2, 0, 24, False)


def test_gpt2_is_loaded_without_dropout(saved, tmp_path):
    config = AutoConfig.for_model(
        "gpt2", vocab_size=14, n_embd=8, n_layer=1, n_head=2, n_positions=16
    )
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    SCENARIO.toy()._lm.tokenizer.save_pretrained(tmp_path)
    lm = load_lm(str(tmp_path))
    assert lm.context == 16
    assert all(m.p == 0 for m in lm.model.modules() if isinstance(m, nn.Dropout))
    ids = torch.tensor([[1, 5, 6]])
    lm.model.train()
    assert_close(lm.model(ids).logits, lm.model(ids).logits, rtol=0, atol=0)
    assert isinstance(lm.model.transformer.h[0].attn.c_attn, nn.Linear)


def test_adapters_are_merged_into_the_base_they_name(saved, tmp_path):
    from peft import LoraConfig, get_peft_model

    base = AutoModelForCausalLM.from_pretrained(saved)
    adapted = get_peft_model(
        base, LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False)
    )
    adapted.eval().save_pretrained(tmp_path)
    SCENARIO.toy()._lm.tokenizer.save_pretrained(tmp_path)
    lm = load_lm(str(tmp_path))
    ids = torch.tensor([[1, 5, 6]])
    assert lm.merged
    assert_close(lm.model(ids).logits, adapted(ids).logits)
    plain_logits = load_lm(str(saved)).model(ids).logits
    assert (lm.model(ids).logits - plain_logits).abs().max() > 1e-3
    assert all(p.requires_grad for p in lm.model.parameters())


def test_what_is_no_causal_language_model_is_refused(saved, tmp_path):
    config = AutoConfig.for_model("bert", architectures=["BertForMaskedLM"])
    config.save_pretrained(tmp_path / "bert")
    SCENARIO.toy()._lm.tokenizer.save_pretrained(tmp_path / "bert")
    with pytest.raises(InputError, match="BertForMaskedLM of transformers, no causal"):
        load_lm(str(tmp_path / "bert"))
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match=r"no config\.json in that folder"):
        load_lm(str(tmp_path / "none"))
    config.save_pretrained(tmp_path / "none")
    with pytest.raises(InputError, match="no tokenizer in that folder"):
        load_lm(str(tmp_path / "none"))
    with pytest.raises(InputError, match="neither a folder nor a model of the Hugging"):
        load_lm("gpt3")
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    for file in saved.iterdir():
        (damaged / file.name).write_bytes(file.read_bytes())
    (damaged / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(InputError, match="its weights cannot be had") as caught:
        load_lm(str(damaged))
    assert "\n" not in str(caught.value)


def test_what_has_no_conv1d_is_left_alone():
    model = nn.Sequential(nn.Linear(2, 3))
    assert plain(model)[0] is model[0]


def test_a_model_that_does_not_say_how_long_texts_may_be():
    class Config:
        pass

    class Model:
        config = Config()

    assert CausalLm(Model(), None).context is None
