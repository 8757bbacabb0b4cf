"""Low-rank layers: functions, gradients, merging, injection, dtypes."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from clbench.contract import InputError, Layer
from clbench.lowrank import (
    LowRank,
    LowRankAttention,
    disabled,
    effective_rank,
    inject,
    norm,
    singular_values,
)
from clbench.problem import view

WHOLE = None
FUSED = [(0, 4), (8, 12)]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def layer(rows=WHOLE, dtype=torch.float64, groups=2, scale=0.7, bias=True) -> LowRank:
    base = nn.Linear(6, 12 if rows else 5, bias=bias)
    for parameter in base.parameters():
        nn.init.normal_(parameter, generator=seeded(1))
    made = LowRank(
        base.to(dtype),
        roles=["q", "v"] if rows else ["fc1"],
        rows=rows,
        rank=3,
        groups=groups,
        scale=scale,
        generator=seeded(2),
    )
    nn.init.normal_(made.B, generator=seeded(3))
    return made


def dense(made: LowRank, x: Tensor) -> Tensor:
    """The layer's definition, member by member."""
    y = nn.functional.linear(x, made.base.weight, made.base.bias)
    A, B = made.members()
    columns = list(y.unbind(-1))
    for p, (start, stop) in enumerate(made.rows):
        for g in range(made.groups):
            update = made.scale * (x @ A[p, g].T @ B[p, g].T)
            for i in range(start, stop):
                columns[i] = columns[i] + update[..., i - start]
    return torch.stack(columns, -1)


@pytest.mark.parametrize("rows", [WHOLE, FUSED])
@pytest.mark.parametrize("shape", [(6,), (7, 6), (2, 7, 6), (2, 3, 5, 6)])
@pytest.mark.parametrize("bias", [True, False])
def test_a_group_is_the_sum_of_its_members(rows, shape, bias):
    made = layer(rows, bias=bias)
    x = torch.randn(shape, dtype=torch.float64, generator=seeded(4))
    assert torch.allclose(made(x), dense(made, x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("rows", [WHOLE, FUSED])
def test_gradients(rows):
    made = layer(rows)
    x = torch.randn(2, 3, 6, dtype=torch.float64, generator=seeded(4))
    x.requires_grad_()
    inputs = (x, made.A, made.B, made.base.weight, made.base.bias)
    weights = torch.randn(made(x).shape, dtype=torch.float64, generator=seeded(5))
    ours = torch.autograd.grad((weights * made(x)).sum(), inputs)
    theirs = torch.autograd.grad((weights * dense(made, x)).sum(), inputs)
    for one, two in zip(ours, theirs, strict=True):
        assert torch.allclose(one, two, rtol=1e-12, atol=1e-12)


def test_nothing_is_computed_for_what_is_frozen():
    made = layer(FUSED)
    made.base.requires_grad_(False)
    made(torch.ones(2, 6, dtype=torch.float64)).sum().backward()
    assert made.base.weight.grad is None
    assert made.A.grad is not None
    assert made.B.grad is not None


@pytest.mark.parametrize("rows", [WHOLE, FUSED])
def test_a_new_layer_is_the_map_it_wraps(rows):
    made = layer(rows)
    nn.init.zeros_(made.B)
    x = torch.randn(7, 6, dtype=torch.float64)
    assert torch.equal(made(x), made.base(x))


@pytest.mark.parametrize("rows", [WHOLE, FUSED])
def test_merging_is_exact_and_unmerging_bit_for_bit(rows):
    made = layer(rows)
    x = torch.randn(7, 6, dtype=torch.float64)
    before, weight = made(x), made.base.weight.detach().clone()
    slices = made.slices
    made.merge()
    made.merge()
    assert made.merged
    assert torch.allclose(made(x), before, rtol=1e-12, atol=1e-12)
    assert torch.allclose(made.base(x), before, rtol=1e-12, atol=1e-12)
    assert torch.equal(made.slices, slices)
    with disabled(made):
        assert torch.allclose(made(x), nn.functional.linear(x, weight, made.bias))
    made.unmerge()
    assert torch.equal(made.base.weight, weight)
    assert torch.allclose(made(x), before)
    start, stop = made.rows[0]
    update = (before - made.base(x))[:, start:stop]
    assert torch.allclose(x @ made.delta()[0].T, update)


def test_disabling_nests_and_gives_the_reference_model():
    made = layer()
    model, x = nn.Sequential(made), torch.randn(3, 6, dtype=torch.float64)
    adapted = model(x)
    with disabled(model):
        assert torch.equal(model(x), made.base(x))
        with disabled(model):
            assert torch.equal(model(x), made.base(x))
        assert torch.equal(model(x), made.base(x))
    assert torch.equal(model(x), adapted)


def test_its_weight_is_what_it_computes_with():
    made = layer(FUSED)
    x = torch.randn(3, 6, dtype=torch.float64)
    y = nn.functional.linear(x, made.weight, made.bias)
    assert torch.allclose(y, made(x), rtol=1e-12)
    with disabled(made):
        assert torch.equal(made.weight, made.base.weight)


@pytest.mark.parametrize("rows", [WHOLE, FUSED])
def test_bfloat16_parameters_and_autocast(rows):
    fine = layer(rows, dtype=torch.float32)
    x = torch.randn(9, 6, generator=seeded(4))
    exact = fine(x)
    with torch.autocast("cpu", torch.bfloat16):
        cast = fine(x)
    assert cast.dtype == torch.bfloat16
    assert torch.allclose(cast.float(), exact, atol=0.15, rtol=0.05)
    cast.sum().backward()
    assert fine.A.grad.dtype == torch.float32

    coarse = copy.deepcopy(fine).to(torch.bfloat16)
    y = coarse(x.bfloat16())
    assert y.dtype == torch.bfloat16
    assert torch.allclose(y.float(), exact, atol=0.3, rtol=0.1)

    mixed = copy.deepcopy(fine)
    mixed.base.to(torch.bfloat16)
    y = mixed(x.bfloat16())
    assert y.dtype == torch.bfloat16
    y.sum().backward()
    assert mixed.B.grad.dtype == torch.float32


def test_copies_and_states_carry_the_factors():
    made = layer(FUSED)
    x = torch.randn(3, 6, dtype=torch.float64)
    twin = copy.deepcopy(made)
    other = layer(FUSED)
    nn.init.zeros_(other.B)
    other.load_state_dict(made.state_dict())
    assert torch.equal(twin(x), made(x))
    assert torch.equal(other(x), made(x))
    with torch.no_grad():
        twin.B.zero_()
    assert not torch.equal(twin(x), made(x))


def test_a_rank_that_does_not_fit_names_the_layer_and_the_largest():
    with pytest.raises(InputError, match=r"rank=7 .* 'map' \(5 x 6\).* 5$"):
        LowRank(nn.Linear(6, 5), roles=["q"], rank=7, name="map", generator=seeded())


class Talk:
    """A problem whose layers are those it is given."""

    def __init__(self, *layers: Layer) -> None:
        self.layers = layers

    def adaptable(self, model):
        return iter(self.layers)

    def heads(self, model):
        return iter(())


MASKS = {
    "none": {},
    "padding": {"key_padding_mask": torch.tensor([[False] * 4 + [True], [False] * 5])},
    "causal": {"attn_mask": torch.triu(torch.ones(5, 5, dtype=torch.bool), 1)},
    "weights": {"need_weights": True},
}


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("train", [True, False])
def test_packed_attention_with_an_updated_projection(mask, train):
    torch.manual_seed(0)
    attention = nn.MultiheadAttention(8, 2, batch_first=True, dropout=0.0)
    model = nn.Sequential(attention)
    x = torch.randn(2, 5, 8)
    options = {"need_weights": False, **MASKS[mask]}
    plain, _ = attention(x, x, x, **options)
    layers = inject(
        model,
        Talk(
            Layer(path="0", role="q", rows=(0, 8)),
            Layer(path="0", role="k", rows=(8, 16)),
            Layer(path="0", role="v", rows=(16, 24)),
            Layer(path="0.out_proj", role="out"),
        ),
        roles=["q", "v", "out"],
        rank=2,
        generator=seeded(),
    )
    assert [type(made) for made in layers] == [LowRankAttention, LowRank]
    assert model[0].batch_first
    model.train(train)
    same, _ = model[0](x, x, x, **options)
    assert torch.allclose(same, plain, atol=1e-6)
    for made in layers:
        nn.init.normal_(made.B, generator=seeded(1))
    adapted, weights = model[0](x, x, x, **options)
    assert not torch.allclose(adapted, plain, atol=1e-2)
    assert (weights is not None) == options["need_weights"]
    reference = nn.MultiheadAttention(8, 2, batch_first=True)
    with torch.no_grad():
        reference.in_proj_weight.copy_(layers[0].effective())
        reference.in_proj_bias.copy_(attention.in_proj_bias)
        reference.out_proj.weight.copy_(layers[1].weight)
        reference.out_proj.bias.copy_(attention.out_proj.bias)
    expected, _ = reference.train(train)(x, x, x, **options)
    assert torch.allclose(adapted, expected, atol=1e-5)
    for made in layers:
        made.merge()
    merged, _ = model[0](x, x, x, **options)
    assert torch.allclose(merged, adapted, atol=1e-5)
    with disabled(model):
        off, _ = model[0](x, x, x, **options)
    assert torch.allclose(off, plain, atol=1e-5)


def test_packed_attention_learns_through_its_factors():
    attention = nn.MultiheadAttention(8, 2, batch_first=True)
    model = nn.Sequential(attention)
    (made,) = inject(
        model,
        Talk(Layer(path="0", role="v", rows=(16, 24))),
        roles=["v"],
        rank=2,
        generator=seeded(),
    )
    x = torch.randn(2, 5, 8)
    model[0](x, x, x)[0].square().sum().backward()
    assert bool(made.B.grad.any())
    assert attention.in_proj_weight.grad is None


def test_injection_joins_roles_of_one_weight_and_freezes_the_rest(blobs):
    scenario = blobs()
    model = scenario.model()
    layers = inject(
        model, view(scenario), roles=["q", "v", "out"], rank=2, generator=seeded()
    )
    assert [made.roles for made in layers] == [("q", "v"), ("out",)] * 2
    assert layers[0].rows == ((0, 8), (16, 24))
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert {name.rpartition(".")[2] for name in trained} == {"A", "B", "weight", "bias"}
    assert {"head.weight", "head.bias"} <= trained
    assert "blocks.0.qkv.base.weight" not in trained


def test_injection_says_which_roles_there_are(blobs):
    scenario = blobs()
    with pytest.raises(InputError, match=r"roles=fc1: .* it has q, k, v, out"):
        inject(
            scenario.model(), view(scenario), roles=["fc1"], rank=2, generator=seeded()
        )


def test_the_spectrum_comes_from_thin_factors():
    A = torch.randn(3, 4, 9, dtype=torch.float64, generator=seeded())
    B = torch.randn(3, 7, 4, dtype=torch.float64, generator=seeded(1))
    exact = torch.linalg.svdvals(B @ A)[:, :4]
    assert torch.allclose(singular_values(A, B), exact, rtol=1e-10)
    assert torch.allclose(norm(A, B), torch.linalg.matrix_norm(B @ A), rtol=1e-10)


def test_effective_rank_by_hand():
    eye = torch.eye(5, dtype=torch.float64)
    A = eye[:3]
    B = eye[:, :3] * torch.tensor([2.0, 2.0, 2.0], dtype=torch.float64)
    assert effective_rank(A, B).item() == pytest.approx(3)
    B = eye[:, :3] * torch.tensor([5.0, 0.0, 0.0], dtype=torch.float64)
    assert effective_rank(A, B).item() == pytest.approx(1)
    assert effective_rank(A, 0 * B).item() == 0
