"""PEGO against golden numbers, the d x d forms, and what its definition implies."""

from __future__ import annotations

import importlib
from itertools import combinations

import numpy as np
import pytest
import timm
import torch
from torch import nn

from clbench import registry
from clbench.lowrank import LowRank
from clbench.problem import view
from clbench.session import Session

Pego = registry.load("strategy", "pego")
penalty = importlib.import_module("clbench.strategies.pego.penalty")


def random_group(N=3, r=2, d=6, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(*shape, generator=generator, dtype=dtype)

    A, B = draw(N, r, d).requires_grad_(), draw(N, d, r).requires_grad_()
    return draw(d, d), A, B


def dense_preserve(W, A, B):
    return sum((W @ (b @ a).T).abs().sum() for a, b in zip(A, B, strict=True))


def dense_diversify(A, B):
    D = [b @ a for a, b in zip(A, B, strict=True)]
    return sum((D[i] @ D[j].T).abs().sum() for i, j in combinations(range(len(D)), 2))


def test_factored_form_equals_the_dense_one():
    for seed, (N, r, d) in enumerate([(1, 1, 4), (2, 4, 16), (4, 3, 20)]):
        W, A, B = random_group(N, r, d, seed)
        ours = penalty.preserve(W, A, B) + 2 * penalty.diversify(A, B)
        theirs = dense_preserve(W, A, B)
        if N > 1:
            theirs = theirs + 2 * dense_diversify(A, B)
        assert torch.allclose(ours, theirs, rtol=1e-12, atol=1e-12)
        for one, two in zip(
            torch.autograd.grad(ours, (A, B)),
            torch.autograd.grad(theirs, (A, B)),
            strict=True,
        ):
            assert torch.allclose(one, two, rtol=1e-12, atol=1e-12)


def test_chunks_do_not_change_the_sum(monkeypatch):
    _, A, B = random_group(4, 2, 12)
    whole = penalty.diversify(A, B)
    gradients = torch.autograd.grad(whole, (A, B))
    monkeypatch.setattr(penalty, "CHUNK", 150)
    parts = penalty.diversify(A, B)
    assert torch.allclose(whole, parts, rtol=1e-13)
    for one, two in zip(gradients, torch.autograd.grad(parts, (A, B)), strict=True):
        assert torch.allclose(one, two, rtol=1e-13)


def test_at_the_start_penalties_and_gradients_are_exactly_zero():
    W, A, _ = random_group()
    B = torch.zeros(3, 6, 2, dtype=torch.float64, requires_grad=True)
    loss = penalty.preserve(W, A, B) + penalty.diversify(A, B)
    assert loss.item() == 0
    for gradient in torch.autograd.grad(loss, (A, B)):
        assert not bool(gradient.any())


def test_members_may_change_places():
    W, A, B = random_group(4, 2, 8)
    order = [2, 0, 3, 1]
    one = penalty.preserve(W, A, B), penalty.diversify(A, B)
    two = penalty.preserve(W, A[order], B[order]), penalty.diversify(A[order], B[order])
    assert torch.allclose(torch.stack(one), torch.stack(two), rtol=1e-12)


def test_orthogonal_inputs_cost_nothing():
    basis = torch.eye(6, dtype=torch.float64)
    _, _, B = random_group(2, 2, 6)
    A = torch.stack([basis[:2], basis[2:4]])
    assert penalty.diversify(A, B).item() == 0
    W = torch.zeros(6, 6, dtype=torch.float64)
    W[:, 4:] = torch.randn(6, 2, dtype=torch.float64)
    assert float(penalty.preserve(W, A, B)) == 0
    assert float(penalty.preserve(W, basis[None, 4:], B[:1])) > 0


def test_one_member_has_nobody_to_differ_from():
    _, A, B = random_group(1)
    assert penalty.diversify(A, B).item() == 0


def layer_of(gold, dtype=torch.float64):
    """The golden layer: a fused projection with three members on q and on v."""
    base = nn.Linear(6, 18).to(dtype)
    base.weight.data = torch.from_numpy(gold["W_qkv"])
    base.bias.data = torch.from_numpy(gold["b_qkv"])
    layer = LowRank(
        base,
        roles=["q", "v"],
        rows=[(0, 6), (12, 18)],
        rank=2,
        groups=3,
        generator=torch.Generator().manual_seed(0),
    )
    for p, role in enumerate("qv"):
        layer.A.data[p] = torch.cat(
            [torch.from_numpy(gold[f"A{role}{i}"]) for i in range(3)]
        )
        layer.B.data[p] = torch.cat(
            [torch.from_numpy(gold[f"B{role}{i}"]) for i in range(3)], dim=1
        )
    return layer


@pytest.fixture
def gold(shared):
    return np.load(shared / "golden/pego/lora_group_layer.npz")


def test_golden_output_and_merge(gold):
    layer, x = layer_of(gold), torch.from_numpy(gold["x"])
    y = layer(x)
    np.testing.assert_allclose(y.detach(), gold["y"], atol=1e-12)
    layer.merge()
    np.testing.assert_allclose(layer.base.weight.detach(), gold["W_merged"], atol=1e-12)
    np.testing.assert_allclose(layer(x).detach(), gold["y"], atol=1e-12)
    layer.unmerge()
    assert np.array_equal(layer.base.weight.detach(), gold["W_qkv"])
    assert np.array_equal(layer.base.weight.detach()[6:12], gold["W_merged"][6:12])


def test_golden_penalties_and_gradients(gold):
    layer, x = layer_of(gold), torch.from_numpy(gold["x"]).requires_grad_()
    stack = penalty.stacks([layer])[0]
    preserve = penalty.l1(*stack.preserve_factors())
    diversify = penalty.l1(*stack.diversify_factors())
    np.testing.assert_allclose(preserve.item(), gold["loss_preserve"], rtol=1e-12)
    np.testing.assert_allclose(diversify.item(), gold["loss_diversify"], rtol=1e-12)
    weight = float(gold["lambda"])
    total = (torch.from_numpy(gold["cot"]) * layer(x)).sum()
    total = total + weight * (preserve + diversify)
    np.testing.assert_allclose(total.item(), gold["loss_total"], rtol=1e-12)
    total.backward()
    A = layer.A.grad.unflatten(1, (3, 2))
    B = layer.B.grad.unflatten(2, (3, 2))
    for p, role in enumerate("qv"):
        for i in range(3):
            for name, mine in ((f"A{role}{i}", A[p, i]), (f"B{role}{i}", B[p, :, i])):
                golden = gold[f"grad_{name}"]
                np.testing.assert_allclose(mine, golden, rtol=1e-9, atol=1e-12)


def prepared(scenario, strategy):
    model, problem = scenario.model(), view(scenario)
    strategy.prepare(model, problem)
    run = Session(model, problem, torch.device("cpu"), lambda *_: None)
    strategy.before_experience(run, scenario.stream()[0])
    return model, run


def test_only_the_group_and_the_head_are_trained(blobs):
    model, _ = prepared(blobs(), Pego(rank=2, members=3))
    trained = {n for n, p in model.named_parameters() if p.requires_grad}
    factors = {f"blocks.{i}.qkv.{x}" for i in (0, 1) for x in "AB"}
    assert trained == factors | {"head.weight", "head.bias"}
    assert model.blocks[0].qkv.roles == ("q", "v")
    # B starts at 0 and members differ by their A alone.
    A, B = model.blocks[0].qkv.members()
    assert not bool(B.any())
    assert not torch.equal(A[0, 0], A[0, 1])
    bound = 8**-0.5
    assert float(A.abs().max()) <= bound
    assert float(A.abs().max()) > 0.8 * bound


def test_weights_scale_the_penalty(blobs):
    def value(**keywords):
        strategy = Pego(rank=2, members=3, **keywords)
        model, run = prepared(blobs(), strategy)
        for block in model.blocks:
            nn.init.normal_(block.qkv.B, generator=torch.Generator().manual_seed(1))
        return float(strategy.penalty(run, None, {}).detach())

    both = value(preserve=1e-3, diversify=1e-3)
    assert both > 0
    assert value(preserve=2e-3, diversify=2e-3) == pytest.approx(2 * both, rel=1e-5)
    apart = value(preserve=1e-3, diversify=0.0) + value(preserve=0.0, diversify=1e-3)
    assert apart == pytest.approx(both, rel=1e-5)
    # Two blocks with q and v of width 8, instead of ViT-B/16's matrices.
    scaled = value(preserve=1e-3, diversify=1e-3, lambda_scale="vitb_equivalent")
    factor = penalty.VITB_ENTRIES / (2 * 2 * 8 * 8)
    assert scaled == pytest.approx(factor * both, rel=1e-5)


def test_the_scale_is_one_on_the_paper_s_backbone():
    with torch.device("meta"):
        vit = timm.create_model("vit_base_patch16_224", num_classes=0)
    shapes = [(m.in_features, m.out_features) for m in _qkv(vit)]
    assert len(shapes) == 12
    entries = sum(2 * (out // 3) ** 2 for _, out in shapes)
    assert entries == penalty.VITB_ENTRIES


def test_parameter_counts_of_the_paper():
    for members, paper in ((1, 147_456), (2, 294_912), (4, 589_824)):
        layer = LowRank(
            nn.Linear(768, 2304),
            roles=["q", "v"],
            rows=[(0, 768), (1536, 2304)],
            rank=4,
            groups=members,
            generator=torch.Generator(),
        )
        assert 12 * (layer.A.numel() + layer.B.numel()) == paper


def _qkv(model):
    return [m for n, m in model.named_modules() if n.endswith("attn.qkv")]
