"""Roles are found by structure, and rows are those that compute q, k and v."""

from __future__ import annotations

from collections import Counter

import pytest
import timm
import torch
from torch import nn
from torch.testing import assert_close
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
)

from clbench.models.lm import plain
from clbench.models.roles import layers


def counts(model: nn.Module) -> Counter:
    return Counter(layer.role for layer in layers(model))


def test_timm_vit_has_six_roles_in_each_block():
    model = timm.create_model("test_vit", num_classes=0, img_size=32)
    depth = len(model.blocks)
    expected = dict.fromkeys(("q", "k", "v", "out", "fc1", "fc2"), depth)
    assert counts(model) == expected
    first = [layer for layer in layers(model) if layer.path.startswith("blocks.0.")]
    width = model.embed_dim
    assert [(x.path, x.role, x.rows) for x in first] == [
        ("blocks.0.attn.qkv", "q", (0, width)),
        ("blocks.0.attn.qkv", "k", (width, 2 * width)),
        ("blocks.0.attn.qkv", "v", (2 * width, 3 * width)),
        ("blocks.0.attn.proj", "out", None),
        ("blocks.0.mlp.fc1", "fc1", None),
        ("blocks.0.mlp.fc2", "fc2", None),
    ]


def test_rows_of_a_fused_projection_are_what_attention_uses():
    """Zeroing the rows called v silences the attention; those called q do not."""
    model = timm.create_model("test_vit", num_classes=0, img_size=32).eval()
    attention = model.blocks[0].attn
    found = {x.role: x.rows for x in layers(attention, "")}
    x = torch.randn(1, 4, model.embed_dim)
    with torch.no_grad():
        attention.qkv.bias.zero_()
        attention.proj.bias.zero_()
        weight = attention.qkv.weight.clone()
        attention.qkv.weight[slice(*found["v"])] = 0
        assert_close(attention(x), torch.zeros_like(x))
        attention.qkv.weight.copy_(weight)
        attention.qkv.weight[slice(*found["q"])] = 0
        uniform = attention(x)
        # Without a question every token gets the same answer.
        assert_close(uniform, uniform[:, :1].expand_as(uniform))
        assert float(uniform.abs().max()) > 0


def test_swin_has_merging_too():
    model = timm.create_model(
        "swin_tiny_patch4_window7_224",
        img_size=32,
        window_size=2,
        embed_dim=12,
        depths=(1, 1, 1, 1),
        num_heads=(1, 1, 2, 2),
        num_classes=0,
    )
    found = counts(model)
    assert found["merge"] == 3
    assert all(found[role] == 4 for role in ("q", "k", "v", "out", "fc1", "fc2"))
    merges = [x.path for x in layers(model) if x.role == "merge"]
    assert merges[0] == "layers.1.downsample.reduction"


def test_clip_has_separate_projections():
    config = CLIPVisionConfig(
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=16,
        patch_size=8,
    )
    model = CLIPVisionModelWithProjection(config)
    assert counts(model) == dict.fromkeys(("q", "k", "v", "out", "fc1", "fc2"), 2)
    assert all(layer.rows is None for layer in layers(model))
    assert all(
        isinstance(model.get_submodule(layer.path), nn.Linear)
        for layer in layers(model)
    )


def test_packed_attention_of_torch():
    model = nn.TransformerEncoderLayer(8, 2, dim_feedforward=12)
    found = {layer.role: (layer.path, layer.rows) for layer in layers(model)}
    assert found == {
        "q": ("self_attn", (0, 8)),
        "k": ("self_attn", (8, 16)),
        "v": ("self_attn", (16, 24)),
        "out": ("self_attn.out_proj", None),
        "fc1": ("linear1", None),
        "fc2": ("linear2", None),
    }


def test_unpacked_attention_has_no_rows():
    model = nn.MultiheadAttention(8, 2, kdim=4, vdim=4)
    assert [(x.path, x.role) for x in layers(model)] == [("out_proj", "out")]


def test_paths_begin_with_the_prefix():
    model = nn.MultiheadAttention(8, 2)
    assert {x.path for x in layers(model, "tower")} == {"tower", "tower.out_proj"}


@pytest.mark.parametrize("model", [nn.Linear(3, 3), nn.Conv2d(3, 3, 1)])
def test_maps_without_a_place_in_a_block_have_no_role(model):
    assert list(layers(nn.Sequential(model))) == []


# --- causal language models ---

NARROW = {"vocab_size": 11, "num_hidden_layers": 2, "num_attention_heads": 2}


def causal(kind: str, **sizes) -> nn.Module:
    config = AutoConfig.for_model(kind, **sizes)
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(config)


def test_llama_has_two_maps_that_widen_and_one_that_narrows():
    sizes = {"hidden_size": 8, "intermediate_size": 12, **NARROW}
    model = causal("llama", num_key_value_heads=1, **sizes)
    assert counts(model) == {"q": 2, "k": 2, "v": 2, "out": 2, "fc1": 4, "fc2": 2}
    first = {x.path.rpartition(".")[2]: x.role for x in layers(model)}
    assert first["gate_proj"] == first["up_proj"] == "fc1"
    assert first["down_proj"] == "fc2"


def test_gpt2_s_maps_become_linear_and_have_rows():
    model = causal("gpt2", vocab_size=11, n_embd=8, n_layer=2, n_head=2).eval()
    ids = torch.tensor([[1, 2, 3, 4]])
    with torch.no_grad():
        before = model(ids).logits
        assert not list(layers(model))
        plain(model)
        assert_close(model(ids).logits, before)
    roles = ("q", "k", "v", "out", "fc1", "fc2")
    assert counts(model) == dict.fromkeys(roles, 2)
    rows = {x.role: x.rows for x in layers(model) if x.path.endswith("c_attn")}
    assert rows == {"q": (0, 8), "k": (8, 16), "v": (16, 24)}
    with torch.no_grad():
        attention = model.transformer.h[0].attn
        attention.c_attn.bias.zero_()
        attention.c_proj.bias.zero_()
        attention.c_attn.weight[slice(*rows["v"])] = 0
        x = torch.randn(1, 4, 8)
        assert_close(attention(x)[0], torch.zeros_like(x))


def test_neox_has_no_rows_of_q_k_and_v():
    sizes = {"hidden_size": 8, "intermediate_size": 12, **NARROW}
    assert counts(causal("gpt_neox", **sizes)) == {"out": 2, "fc1": 2, "fc2": 2}


# --- text encoders ---

SMALL = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "vocab_size": 50,
}


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("bert", SMALL),
        ("roberta", SMALL),
        ("electra", {**SMALL, "embedding_size": 16}),
        ("deberta-v2", {**SMALL, "relative_attention": True}),
        ("mpnet", SMALL),
        (
            "distilbert",
            {
                "dim": 16,
                "hidden_dim": 32,
                "n_layers": 2,
                "n_heads": 2,
                "vocab_size": 50,
            },
        ),
    ],
)
def test_text_encoders_have_six_roles_in_each_block(kind, settings):
    model = AutoModel.from_config(AutoConfig.for_model(kind, **settings))
    assert counts(model) == dict.fromkeys(("q", "k", "v", "out", "fc1", "fc2"), 2)
    found = list(layers(model))
    assert len({layer.path for layer in found}) == len(found)
    for layer in found:
        linear = model.get_submodule(layer.path)
        shape = {"fc1": (32, 16), "fc2": (16, 32)}.get(layer.role, (16, 16))
        assert tuple(linear.weight.shape) == shape


def test_the_output_of_a_bert_s_attention_is_told_from_that_of_its_block():
    model = AutoModel.from_config(AutoConfig.for_model("bert", **SMALL))
    first = [x for x in layers(model) if x.path.startswith("encoder.layer.0.")]
    assert {x.role: x.path.removeprefix("encoder.layer.0.") for x in first} == {
        "q": "attention.self.query",
        "k": "attention.self.key",
        "v": "attention.self.value",
        "out": "attention.output.dense",
        "fc1": "intermediate.dense",
        "fc2": "output.dense",
    }
