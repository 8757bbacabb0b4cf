"""MTLoRA's mathematics: golden numbers, closed forms, counts, what stays apart."""

from __future__ import annotations

import importlib
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from timm.models.swin_transformer import SwinTransformer, swin_tiny_patch4_window7_224
from torch import nn
from torch.testing import assert_close

from clbench import registry
from clbench.contract import InputError, Route
from clbench.models.pyramid import SwinPyramid
from clbench.models.roles import layers
from clbench.problem import view

layer = importlib.import_module("clbench.strategies.mtlora.layer")
schedule = importlib.import_module("clbench.strategies.mtlora.schedule")
mtl = importlib.import_module("clbench.scenarios.mtl")
model_module = importlib.import_module("clbench.scenarios.mtl.model")
losses = importlib.import_module("clbench.scenarios.mtl.losses")
tasks = importlib.import_module("clbench.scenarios.mtl.tasks")

DOUBLE = {"rtol": 1e-12, "atol": 1e-12}


def strategy(**given):
    return registry.load("strategy", "mtlora")(**given)


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def golden(shared, name: str) -> dict[str, torch.Tensor]:
    path = shared / "golden" / "mtlora" / f"{name}.npz"
    if not path.is_file():
        pytest.skip(f"{path.name} is not among the golden numbers")
    content = np.load(path)
    return {key: torch.from_numpy(content[key]) for key in content.files}


# --- one linear map ---


def adapted(z, mode: str, *, rank: int = 3, opens: bool = True) -> nn.Module:
    """The layer of the golden vectors, in double precision."""
    base = nn.Linear(5, 7).double()
    with torch.no_grad():
        base.weight.copy_(z["W"])
        base.bias.copy_(z["b"])
    made = layer.TaskLowRank(
        base, roles=("fc1",), rank=rank, scale=float(z["s_shared"]), dropout=0.0,
        ranks=[2, 1], scales=[float(z["s_ta"]), float(z["s_tb"])], mode=mode,
        opens=opens, generator=generator(),
    )  # fmt: skip
    with torch.no_grad():
        made.A.copy_(z["A_sh"][None])
        made.B.copy_(z["B_sh"][None])
        for A, B, name in zip(made.task_A, made.task_B, ("ta", "tb"), strict=True):
            A.copy_(z[f"A_{name}"][None])
            B.copy_(z[f"B_{name}"][None])
        if made.norm is not None:
            made.norm.weight.copy_(z["ln_gamma"])
            made.norm.bias.copy_(z["ln_beta"])
    base.requires_grad_(True)
    return made


@pytest.mark.parametrize(
    "prefix",
    ["matrix_noxt", "matrix_xt", "matrixv2_noxt", "matrixv2_xt", "addition_xt"],
)
def test_the_golden_modes_and_their_gradients(shared, prefix):
    z = golden(shared, "linear_modes")
    mode, _, given = prefix.partition("_")
    made = adapted(z, mode, opens=given == "noxt")
    x = z["x"].clone().requires_grad_(True)
    own = {t: z[f"x_{t}"].clone().requires_grad_(True) for t in ("ta", "tb")}
    rows = x if given == "noxt" else torch.cat([x, own["ta"], own["tb"]])
    y, ta, tb = made(rows).split(len(x))
    loss = sum(
        (z[f"cot_{n}"] * v).sum() for n, v in (("shared", y), ("ta", ta), ("tb", tb))
    )
    loss.backward()
    assert_close(loss.detach(), z[f"{prefix}__loss"], **DOUBLE)
    for name, value in (("shared", y), ("ta", ta), ("tb", tb)):
        assert_close(value.detach(), z[f"{prefix}__y_{name}"], **DOUBLE)
    grads = {
        "linear_weight": made.base.weight.grad,
        "linear_bias": made.base.bias.grad,
        "x": x.grad,
        "lora_shared_A": None if made.A.grad is None else made.A.grad[0],
        "lora_shared_B": None if made.B.grad is None else made.B.grad[0],
        "x_ta": own["ta"].grad,
        "x_tb": own["tb"].grad,
        "lora_norm_weight": None if made.norm is None else made.norm.weight.grad,
        "lora_norm_bias": None if made.norm is None else made.norm.bias.grad,
    }
    for number, name in enumerate(("ta", "tb")):
        grads[f"lora_tasks_A_{name}"] = made.task_A[number].grad[0]
        grads[f"lora_tasks_B_{name}"] = made.task_B[number].grad[0]
    recorded = {k for k in z if k.startswith(f"{prefix}__grad_")}
    compared = 0
    for name, value in grads.items():
        key = f"{prefix}__grad_{name}"
        if key in recorded:
            assert_close(value, z[key], **DOUBLE)
            compared += 1
    assert compared == len(recorded)


def test_the_golden_shared_update_and_its_merge(shared):
    z = golden(shared, "linear_modes")
    base = nn.Linear(5, 7).double()
    with torch.no_grad():
        base.weight.copy_(z["W"])
        base.bias.copy_(z["b"])
    made = layer.Shared(
        base, roles=("fc1",), rank=3, scale=4.0, dropout=0.0, generator=generator()
    )
    with torch.no_grad():
        made.A.copy_(z["A_sh"][None])
        made.B.copy_(z["B_sh"][None])
    assert_close(made(z["x"]), z["shared_only__y_shared"], **DOUBLE)
    made.merge()
    assert_close(made.base.weight.detach(), z["W_merged_shared"], **DOUBLE)
    assert_close(made(z["x"]), z["shared_only__y_shared"], **DOUBLE)
    made.unmerge()
    assert_close(made.base.weight.detach(), z["W"], rtol=0, atol=0)


def random_layer(mode="matrix", *, ranks=(2, 2, 2), opens=True, **more) -> nn.Module:
    base = nn.Linear(6, 8).double()
    made = layer.TaskLowRank(
        base, roles=("fc1",), rank=3, scale=4.0, dropout=more.pop("dropout", 0.0),
        ranks=ranks, scales=[4.0] * len(ranks), mode=mode, opens=opens,
        generator=generator(), **more,
    )  # fmt: skip
    drawn = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in (*made.task_B, made.B):
            parameter.normal_(generator=drawn)
    return made


@pytest.mark.parametrize("ranks", [(2, 2, 2), (1, 3, 1), (3, 2, 1)])
@pytest.mark.parametrize("mode", ["matrix", "matrixv2", "addition"])
def test_batched_tasks_are_the_tasks_one_by_one(mode, ranks):
    made = random_layer(mode, ranks=ranks, opens=False)
    x = torch.randn(4, 5, 6, generator=generator(), dtype=torch.float64)
    out = made(x).split(1)
    P = made.base(x[:1])
    shared = P + 4 * x[:1] @ made.A[0].T @ made.B[0].T
    for task, row in enumerate(x.split(1)[1:]):
        A, B = made.factors(task)
        ground = shared if mode == "matrixv2" else P
        assert_close(out[1 + task], ground + 4 * row @ A.T @ B.T)
    if mode != "addition":
        assert_close(out[0], shared)


def test_a_merged_layer_keeps_every_stream():
    x = torch.randn(8, 5, 6, generator=generator(), dtype=torch.float64)
    for mode in ("matrix", "matrixv2"):
        for opens in (True, False):
            made = random_layer(mode, opens=opens)
            before = made(x)
            made.merge()
            assert_close(made(x), before)


def test_an_own_map_is_one_weight_only_where_the_input_is_shared():
    x = torch.randn(2, 5, 6, generator=generator(), dtype=torch.float64)
    opening = random_layer(opens=True)
    own = opening(x).view(4, 2, 5, 8)[2]
    assert_close(own, x @ opening.task_weight(1).T + opening.base.bias)
    later = random_layer(opens=False)
    streams = torch.randn(8, 5, 6, generator=generator(), dtype=torch.float64)
    own = later(streams).view(4, 2, 5, 8)[2]
    merged = streams.view(4, 2, 5, 6)[2] @ later.task_weight(1).T + later.base.bias
    assert (own - merged).abs().max() > 0.1


def test_dropout_spares_streams_of_their_own():
    torch.manual_seed(0)
    made = random_layer(opens=False, dropout=0.5).train()
    x = torch.randn(8, 50, 6, dtype=torch.float64)
    one, two = made(x), made(x)
    assert not torch.equal(one[:2], two[:2])
    assert torch.equal(one[2:], two[2:])
    opening = random_layer(opens=True, dropout=0.5).train()
    one, two = opening(x), opening(x)
    assert not torch.equal(one[8:], two[8:])
    assert torch.equal(made.eval()(x), made(x))


def test_updates_are_not_divided_by_the_rank():
    for rank in (1, 4):
        base = nn.Linear(6, 8)
        made = layer.Shared(
            base, roles=("fc1",), rank=rank, scale=4.0, dropout=0.0,
            generator=generator(),
        )  # fmt: skip
        with torch.no_grad():
            made.B.fill_(1.0)
        expected = base.weight + 4 * made.B[0] @ made.A[0]
        assert_close(made.weight, expected)


def test_a_learned_scale_is_trained():
    made = random_layer(learn_scale=True)
    x = torch.randn(2, 5, 6, generator=generator(), dtype=torch.float64)
    made(x).square().sum().backward()
    assert made.scale.grad.abs() > 0
    assert (made.task_scale.grad.abs() > 0).all()


# --- one task for each example ---


def test_an_example_takes_the_path_of_its_task():
    route = Route()
    made = random_layer(ranks=(2, 1, 2), route=route)
    x = torch.randn(4, 5, 6, generator=generator(), dtype=torch.float64)
    P = made.base(x)
    unknown = P + 4 * x @ made.A[0].T @ made.B[0].T
    assert_close(made(x), unknown)
    with route.of(torch.tensor([1, -1, 2, 0])):
        out = made(x)
        # Two rows of each example, as windows are.
        windows = made(x.repeat_interleave(2, 0))
    assert_close(windows, out.repeat_interleave(2, 0))
    for row, task in enumerate((1, None, 2, 0)):
        if task is None:
            assert_close(out[row], unknown[row])
            continue
        A, B = made.factors(task)
        assert_close(out[row], P[row] + 4 * x[row] @ A.T @ B.T)
        with route.of(torch.full((4,), task)):
            assert_close(made(x)[row], out[row])
            weight = made.plain["weight"]
        assert_close(out[row], x[row] @ weight.T + made.base.bias)


# --- the whole encoder ---


def golden_swin(z, *, plus: bool) -> tuple[SwinPyramid, dict[str, nn.Parameter]]:
    """The golden encoder, its updates injected by the strategy itself."""
    body = SwinTransformer(
        img_size=32, patch_size=4, embed_dim=8, depths=(2, 2), num_heads=(2, 4),
        window_size=4, num_classes=0, drop_path_rate=0.0,
    )  # fmt: skip
    pyramid = SwinPyramid(body).double()
    owner = nn.Module()
    owner.pyramid = pyramid
    owner.branches = lambda: {f"pyramid.{p}": ("ta", "tb") for p in pyramid.branches()}
    problem = SimpleNamespace(
        adaptable=lambda model: layers(model.pyramid, "pyramid"),
        heads=lambda model: iter(()),
        tasks=("ta", "tb"),
        seed=0,
    )
    made = strategy(rank=3, task_ranks=(2, 1), dropout=0.0, downsampler=plus)
    made.prepare(owner, problem)
    named: dict[str, nn.Parameter] = {}
    parameters = dict(pyramid.named_parameters())
    for name in {k.removeprefix("param__") for k in z if k.startswith("param__")}:
        path = name.replace("blocks.1.", "blocks.1.block.")
        # timm merges patches at the beginning of the next stage.
        path = path.replace("layers.0.downsample", "layers.1.downsample")
        head, _, last = path.rpartition(".")
        if last in ("lora_shared_A", "lora_shared_B"):
            value = parameters[f"{head}.{last[-1]}"]
        elif "lora_tasks_" in path:
            place, kind = path.split(".lora_tasks_")
            number = ("ta", "tb").index(last)
            value = parameters[f"{place}.task_{kind[0]}.{number}"]
        else:
            path = path.replace(".linear.", ".base.")
            value = parameters.get(path)
            if value is None:
                value = parameters[path.replace(".base.", ".")]
        with torch.no_grad():
            value.copy_(z[f"param__{name}"].view(value.shape))
        named[name] = value
    for module in pyramid.modules():
        if isinstance(module, layer.TaskLowRank):
            module.task_scale.copy_(torch.tensor([4.0, 2.0]))
    return pyramid.eval(), named


@pytest.mark.parametrize("plus", [False, True])
def test_the_golden_encoder_and_its_gradients(shared, plus):
    z = golden(shared, "swin2stage_mtlora" + ("_plus" if plus else ""))
    pyramid, named = golden_swin(z, plus=plus)
    scales = pyramid(z["image"])
    loss = torch.zeros((), dtype=torch.float64)
    for stage, scale in enumerate(scales):
        parts = dict(zip(("shared", "ta", "tb"), scale.split(1), strict=True))
        for name, value in parts.items():
            wanted = z[f"stage{stage}_{name}"]
            found = value.flatten(2).mT if wanted.dim() == 3 else value
            assert_close(found.detach(), wanted, rtol=1e-9, atol=1e-10)
            if name != "shared":
                loss = loss + (z[f"cot_stage{stage}_{name}"] * found).sum()
    assert_close(loss.detach(), z["loss_on_task_features_only"], rtol=1e-9, atol=1e-10)
    for value in named.values():
        value.requires_grad_(True)
    loss = torch.zeros((), dtype=torch.float64)
    for stage, scale in enumerate(pyramid(z["image"])):
        _, ta, tb = scale.flatten(2).mT.split(1)
        loss = loss + (z[f"cot_stage{stage}_ta"] * ta).sum()
        loss = loss + (z[f"cot_stage{stage}_tb"] * tb).sum()
    loss.backward()
    for name, value in named.items():
        key = f"grad__{name}"
        if key in z:
            grad = z[key].view(value.shape)
            assert_close(value.grad, grad, rtol=1e-7, atol=1e-9)
        else:
            # The shared update of the very last map feeds nothing.
            assert "layers.1.blocks.1.mlp.fc2.lora_shared" in name
            assert value.grad is None or not value.grad.any()


def test_without_factors_all_streams_are_the_bare_encoder(shared):
    z = golden(shared, "swin2stage_mtlora")
    pyramid, named = golden_swin(z, plus=False)
    with torch.no_grad():
        for name, value in named.items():
            if name.endswith("lora_shared_B") or ".lora_tasks_B." in name:
                value.zero_()
    for stage, scale in enumerate(pyramid(z["image"])):
        wanted = z[f"zeroB_stage{stage}_shared"]
        for part in scale.split(1):
            assert_close(part.flatten(2).mT.detach(), wanted, rtol=1e-9, atol=1e-10)


# --- counts ---


class Pascal:
    """What the strategy sees of the four tasks of PASCAL on a Swin-T."""

    OUTPUTS = {"semseg": 21, "human_parts": 7, "sal": 1, "normals": 3}  # noqa: RUF012

    def __init__(self) -> None:
        body = swin_tiny_patch4_window7_224(
            pretrained=False, img_size=448, num_classes=0
        )
        self.model = model_module.DenseModel(
            SwinPyramid(body), self.OUTPUTS, kind="hrnet"
        )
        self.tasks, self.seed = tuple(self.OUTPUTS), 0

    def adaptable(self, model):
        return layers(model.pyramid, "pyramid")

    def heads(self, model):
        return model.decoders.parameters()


@pytest.mark.parametrize(
    ("given", "count"),
    [
        ({"rank": 16}, 4_953_146),
        ({"rank": 32}, 6_083_642),
        ({"rank": 64}, 8_344_634),
        ({"rank": 4, "downsampler": True}, 2_573_114),
        ({"rank": 8, "task_rank": 8, "downsampler": True}, 3_148_346),
        ({"rank": 16, "task_rank": 16, "downsampler": True}, 4_298_810),
        ({"rank": 16, "downsampler": True}, 3_469_370),
        ({"rank": 32, "downsampler": True}, 4_664_378),
        ({"rank": 64, "downsampler": True}, 7_054_394),
    ],
    ids=str,
)
def test_published_parameter_counts(given, count):
    problem = Pascal()
    strategy(**given).prepare(problem.model, problem)
    trained = [p for p in problem.model.parameters() if p.requires_grad]
    assert sum(p.numel() for p in trained) == count


def test_the_parts_of_the_count_of_rank_64():
    problem = Pascal()
    model = problem.model
    strategy(rank=64).prepare(model, problem)
    heads = {id(p) for p in model.decoders.parameters()}
    found = {"shared": 0, "own": 0, "heads": 0, "other": 0}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            kind = "other"
            if id(parameter) in heads:
                kind = "heads"
            elif ".task_" in name:
                kind = "own"
            elif name.endswith((".A", ".B")):
                kind = "shared"
            found[kind] += parameter.numel()
    assert found == {
        "shared": 4_521_984,
        "own": 276_480,
        "heads": 1_946_624,
        "other": 1_599_546,
    }
    frozen = [n for n, p in model.named_parameters() if not p.requires_grad]
    assert all(".base." in n or n.endswith(("proj.weight", "bias")) for n in frozen)


# --- on the toy ---


def toy_model(**given):
    toy = mtl.DenseMultiTask.toy()
    model = toy.model()
    made = strategy(**given)
    made.prepare(model, view(toy))
    return toy, model.eval()


def test_what_is_a_tasks_own_moves_its_stage_alone():
    _, model = toy_model()
    images = torch.randn(2, 3, 16, 16, generator=generator())
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, layer.TaskLowRank):
                for B in module.task_B:
                    B.normal_(std=0.1, generator=generator())
        before = [s.clone() for s in model.pyramid(images)]
        first = model.get_submodule("pyramid.layers.0.blocks.0.block.mlp.fc2")
        first.task_B[0][1] += 0.5
        after = model.pyramid(images)
    moved = [
        [
            not torch.allclose(old, new, atol=1e-7)
            for old, new in zip(one.split(2), other.split(2), strict=True)
        ]
        for one, other in zip(before, after, strict=True)
    ]
    assert moved == [[False, False, True, False], [False] * 4]


def test_rank_0_leaves_no_streams():
    _, model = toy_model(rank=0)
    scales = model.pyramid(torch.randn(2, 3, 16, 16))
    assert [len(scale) for scale in scales] == [2, 2]


def test_frozen_maps_get_no_gradient():
    toy, model = toy_model()
    batch = toy.stream()[0].train.__getitems__([0, 1])
    toy.loss(model(batch), batch).backward()
    for name, parameter in model.named_parameters():
        if ".base." in name:
            assert parameter.grad is None, name


def test_as_many_ranks_as_tasks():
    with pytest.raises(InputError, match="names 2 ranks, there are 3 tasks"):
        toy_model(task_ranks=(2, 1))


# --- losses, metrics, the learning rate ---


def test_the_golden_losses(shared):
    z = golden(shared, "losses_metrics")
    total = torch.zeros((), dtype=torch.float64)
    for name in ("semseg", "human_parts", "sal", "normals", "depth"):
        label = z[f"gt_{name}"]
        if name in ("semseg", "human_parts"):
            label = label[:, 0].long()
        entry = tasks.TASKS[name]
        loss = entry.loss(z[f"pred_{name}"], label)
        # The original takes one step in single precision.
        close = {"rtol": 1e-8, "atol": 1e-8} if name == "sal" else DOUBLE
        assert_close(loss, z[f"loss_{name}"], **close)
        if name != "depth":
            assert entry.weight == float(z[f"w_{name}"])
            total = total + entry.weight * loss
    assert_close(total, z["loss_total"], rtol=1e-8, atol=1e-7)
    edge = losses.edges(z["pred_sal"], z["gt_sal"])
    assert_close(edge, z["loss_edge_form_on_sal"], **DOUBLE)


def test_the_golden_learning_rate(shared):
    z = golden(shared, "schedule_and_delta")
    each = int(z["iters_per_epoch"])
    factor = schedule.cosine(int(z["epochs"]) * each, int(z["warmup_epochs"]) * each)
    base = float(z["base_lr"])
    assert base * factor(0) == pytest.approx(float(z["lr_first_step"]), rel=1e-12)
    for index, rate in zip(
        z["lr_update_index"].tolist(), z["lr_after_update"].tolist(), strict=True
    ):
        assert base * factor(index + 1) == pytest.approx(rate, rel=1e-9)
