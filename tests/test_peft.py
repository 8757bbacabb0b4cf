"""Every adapter of the PEFT library runs on every scenario's toy, or says why not."""

from __future__ import annotations

import sys
from functools import partial

import numpy as np
import peft
import pytest
import torch
from torch import nn

from clbench import check, compose, places, registry
from clbench.check.checks import first_batch, learn
from clbench.check.fit import fit
from clbench.config import resolve
from clbench.contract import InputError, Strategy
from clbench.devices.rows import tensors
from clbench.problem import view

Peft = registry.load("strategy", "peft")
TYPES = list(Peft.variants())
SCENARIOS = [
    n for n, p in registry.find("scenario").items() if p.origin.kind == "built in"
]

CHOSEN = ("adalora", "dora", "eva", "lora_ga", "oft", "trainable_tokens", "vblora")
"""Types of which the whole contract is held; of the others that they can begin."""


def scenario(name):
    return registry.load("scenario", name)


def given(name: str) -> dict[str, object]:
    """What a type cannot do without."""
    entries = {"token_indices": [1, 2]} if name == "trainable_tokens" else None
    return {"type": name, "config": entries}


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_type_begins_on_a_scenario_or_says_why_not(name):
    found = {t: fit(partial(Peft, **given(t)), scenario(name)) for t in TYPES}
    assert sum(entry.runs for entry in found.values()) >= 15
    for entry in found.values():
        assert entry.runs or len(entry.reason) > 30
        # A reason that was thought of, not an exception that came through.
        assert "Error:" not in entry.reason


@pytest.mark.parametrize("kind", CHOSEN)
@pytest.mark.parametrize("name", SCENARIOS)
def test_types_with_steps_of_their_own_keep_the_contract(name, kind):
    if kind not in TYPES:
        pytest.skip(f"peft {peft.__version__} has no {kind}")
    make = partial(Peft, **given(kind))
    reason = fit(make, scenario(name)).reason
    if "this model has none" in reason:
        pytest.skip(reason)
    for one in check.PAIR_CHECKS:
        finding = check.run(one, kind, make, scenario(name))
        assert finding.status == "holds", (one.__name__, finding.reason)


def prepared(name: str, **settings) -> tuple[nn.Module, Strategy]:
    toy = scenario(name).toy()
    model, strategy = toy.model(), Peft(**settings)
    strategy.prepare(model, view(toy))
    return model, strategy


def test_parameters_are_those_of_the_formula():
    """LoRA has r (rows + columns) for each layer, DoRA one number a row besides."""
    toy = scenario("dg").toy()
    heads = sum(p.numel() for p in toy.heads(toy.model()))
    bare = toy.model()
    paths = {entry.path for entry in toy.adaptable(bare)}
    shapes = [bare.get_submodule(path).weight.shape for path in paths]

    def count(**settings):
        model, _ = prepared("dg", **settings)
        return sum(p.numel() for p in model.parameters() if p.requires_grad) - heads

    lora = sum(3 * (rows + columns) for rows, columns in shapes)
    assert count(type="lora", config={"r": 3}) == lora
    assert count(type="dora", config={"r": 3}) == lora + sum(r for r, _ in shapes)
    assert count(type="oft", config={"oft_block_size": 8, "r": 0}) == sum(
        columns // 8 * 28 for _, columns in shapes
    )
    one = [entry.path for entry in toy.adaptable(bare) if entry.role == "fc1"]
    (rows, columns) = bare.get_submodule(one[0]).weight.shape
    assert count(type="lora", config={"r": 3}, roles=("fc1",)) == len(one) * 3 * (
        rows + columns
    )


def test_it_computes_what_clbench_s_own_lora_computes():
    """The same factors, the same output: two implementations of one formula."""
    toy = scenario("dg").toy()
    batch = first_batch(toy)
    own_model = toy.model()
    roles = ("out", "fc1", "fc2")
    registry.load("strategy", "lora")(rank=4, scale=2.0, roles=roles).prepare(
        own_model, view(toy)
    )
    model, _ = prepared(
        "dg", type="lora", config={"r": 4, "lora_alpha": 8}, roles=roles
    )
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for path, layer in own_model.named_modules():
            if not hasattr(layer, "roles"):
                continue
            other = model.get_submodule(path)
            layer.B.normal_(std=0.1, generator=generator)
            other.lora_A["default"].weight.copy_(layer.A[0])
            other.lora_B["default"].weight.copy_(layer.B[0])
        (one,), (two,) = tensors(own_model(batch)), tensors(model(batch))
        (bare,) = tensors(toy.model()(batch))
    assert torch.allclose(one, two, atol=1e-5)
    assert not torch.allclose(one, bare, atol=1e-2)


def test_adalora_regularises_and_allocates():
    orthogonality = vars(sys.modules[Peft.__module__])["orthogonality"]
    strategy = Peft(type="adalora", config={"init_r": 4, "target_r": 2})
    model, session, _ = learn(strategy, scenario("dg").toy())
    factors = [
        p for n, p in model.named_parameters() if ".lora_A." in n or ".lora_B." in n
    ]
    grams = [p @ p.T if p.shape[0] == 4 else p.T @ p for p in factors]
    gaps = [(gram.detach() - torch.eye(4)).norm().item() for gram in grams]
    expected = np.mean(gaps)
    assert orthogonality(model).item() == pytest.approx(expected, rel=1e-5)
    config = strategy._tuner.peft_config["default"]
    penalty = strategy.penalty(session, None, {})
    assert penalty.item() == pytest.approx(config.orth_reg_weight * expected, rel=1e-5)
    # The budget of the last allocation: target_r for each layer on average.
    kept = sum(sum(ranks) for ranks in config.rank_pattern.values())
    assert kept == 2 * len(config.rank_pattern)
    values = {n: p for n, p in model.named_parameters() if ".lora_E." in n}
    open_ = sum(int((p != 0).sum()) for p in values.values())
    assert open_ <= kept


def test_eva_starts_at_the_directions_of_what_layers_are_given():
    """Rows of A span the leading subspace of a layer's inputs on training data."""
    toy = scenario("dg").toy()
    strategy = Peft(type="eva", roles=("fc1",), config={"r": 2}, batches=4)
    model, _, _ = learn(strategy, toy, stream=[_still(toy)])
    ((path, layer), *_) = [
        (n, m) for n, m in model.named_modules() if hasattr(m, "lora_A")
    ]
    A = layer.lora_A["default"].weight.detach()
    gram = A @ A.T
    assert torch.allclose(gram, torch.eye(2), atol=1e-4)
    rows = []
    bare = toy.model().eval()
    bare.get_submodule(path).register_forward_pre_hook(
        lambda module, inputs: rows.append(inputs[0].reshape(-1, A.shape[1]))
    )
    with torch.no_grad():
        bare(first_batch(toy))
    centred = rows[0] - rows[0].mean(0)
    total = centred.square().sum()
    kept = (centred @ A.T).square().sum() / total
    some = torch.linalg.qr(torch.randn(A.shape[1], 2, generator=_seeded())).Q
    assert kept > 2 * (centred @ some).square().sum() / total


def _seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def _still(toy):
    """The first experience, with one step at the rate of a constant zero gradient."""
    from dataclasses import replace

    toy.recipe = replace(toy.recipe, optimizer="sgd", lr=1e-12, momentum=0.0)
    return replace(toy.stream()[0], steps=1)


def test_corda_starts_from_data_where_its_dependency_is():
    found = fit(partial(Peft, type="corda"), scenario("dg"))
    if not found.runs:
        assert "attrs" in found.reason
        pytest.skip(found.reason)
    make = partial(Peft, type="corda")
    for one in check.PAIR_CHECKS:
        finding = check.run(one, "corda", make, scenario("dg"))
        assert finding.status == "holds", (one.__name__, finding.reason)


@pytest.mark.parametrize("kind", ["vblora", "pissa"])
def test_what_an_adapter_adds_at_first_is_taken_off_the_weight(kind):
    toy = scenario("dg").toy()
    model, _ = prepared("dg", type=kind, roles=("fc1",))
    bare = toy.model()
    layers = [(n, m) for n, m in model.named_modules() if hasattr(m, "base_layer")]
    assert layers
    for path, layer in layers:
        update = layer.get_delta_weight("default").detach()
        assert update.abs().max() > 1e-4
        weight = bare.get_submodule(path).weight
        assert torch.allclose(layer.base_layer.weight + update, weight, atol=1e-6)


# --- names, keys and errors ---


def test_aliases_are_the_installed_library_s_types():
    aliases = registry.get("strategy", "peft").aliases
    if tuple(map(int, peft.__version__.split(".")[:2])) != (0, 21):
        pytest.skip(f"the aliases are those of peft 0.21, this is {peft.__version__}")
    assert dict(aliases) == {name: {"type": name} for name in TYPES}


def test_an_alias_is_the_strategy_with_its_type():
    (cell,), _ = resolve(["strategy=dora", "scenario=clip", "strategy.config.r=4"])
    (same,), _ = resolve(
        [
            "strategy=peft",
            "strategy.type=dora",
            "scenario=clip",
            "strategy.config={r:4}",
        ]
    )
    assert cell.key() == same.key()
    assert cell.name == "peft"
    assert cell.command() == same.command()
    assert "strategy.type=dora" in cell.command()
    assert compose.build(cell).type == "dora"


def test_own_strategies_keep_their_names():
    for name in ("lora", "olora"):
        assert registry.get("strategy", name).name == name
        assert registry.preset("strategy", name) == (name, {})
    assert registry.preset("strategy", "vera") == ("peft", {"type": "vera"})


def test_a_member_of_a_composition_may_be_an_alias():
    words = ["strategy=vera+ewc", "scenario=clip", "strategy.vera.config.r=16"]
    (cell,), _ = resolve(words)
    assert cell.name == "peft+ewc"
    assert cell.strategy[0].params["config"] == {"r": 16}
    again, _ = resolve(cell.command().replace("'", "").split()[2:])
    assert again[0].key() == cell.key()


def test_a_sweep_over_aliases():
    cells, _ = resolve(["strategy=dora,lora,vera", "scenario=clip"])
    assert [c.strategy[0].params.get("type") for c in cells] == ["dora", None, "vera"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["strategy=dorra"], "nearest is 'dora'"),
        (["strategy=dora", "strategy.type=vera"], "unknown key 'strategy.type'"),
        (["strategy=dora+vera"], "has 'peft' twice"),
        (["strategy=peft", "strategy.confg.r=8"], "nearest is 'config'"),
        (["strategy=lora", "strategy.config.r=8"], "'config' is no member"),
        (["strategy=dora", "strategy.config=8"], "should be an object"),
    ],
)
def test_a_wrong_key_is_refused_on_the_command_line(words, message):
    with pytest.raises(InputError, match=message):
        resolve([*words, "scenario=clip"])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"type": "rndlora"}, "no adapter of peft .* nearest is 'randlora'"),
        (
            {"type": "lora", "config": {"rr": 8}},
            "unknown key 'strategy.config.rr': .* 'strategy.config.r'",
        ),
        ({"type": "dora", "config": {"use_dora": False}}, "leave it out"),
        ({"type": "lora", "config": {"r": "many"}}, "cannot put 'lora'"),
        ({"type": "adalora", "config": {"tinit": 99}}, "peft .* refuses"),
        ({"type": "lora", "roles": ("merge",)}, "has none of these"),
        (
            # So large a start that a shifted weight does not give it back in float32.
            {"type": "fourierft", "config": {"init_weights": False}},
            "changes what the model computes when it is put in: layer",
        ),
    ],
)
def test_what_cannot_be_is_one_clear_line(settings, message):
    toy = scenario("dg").toy()
    with pytest.raises(InputError, match=message) as caught:
        Peft(**settings).prepare(toy.model(), view(toy))
    assert "\n" not in str(caught.value)


def test_a_clash_with_an_alias_is_refused(tmp_path, monkeypatch):
    (tmp_path / "dora.py").write_text('"""Another."""\n')
    monkeypatch.setenv(places.VARIABLE, str(tmp_path))
    with pytest.raises(InputError, match=r"strategy=dora: .*alias of peft"):
        registry.find("strategy")


def test_packed_attention_is_for_lora_alone(blobs):
    class Packed(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
            self.head = nn.Linear(8, 3)

        def forward(self, batch):
            x = batch["x"].repeat(1, 2)[:, None]
            return self.head(self.attention(x, x, x)[0][:, 0])

    from clbench.models.roles import layers

    def make(self):
        torch.manual_seed(self.seed)
        return Packed()

    kind = type(
        "PackedBlobs",
        (blobs,),
        {"model": make, "adaptable": lambda self, model: layers(model)},
    )
    assert fit(partial(Peft, type="lora"), kind).runs
    found = fit(partial(Peft, type="vera"), kind)
    assert "packed attention: leave q, k and v out" in found.reason
