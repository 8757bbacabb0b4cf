"""What the streams of tasks cost in MTLoRA, side by side.

A forward and backward pass of a Swin with updates of each task's own, against the same
model with shared updates alone. What the streams add may cost no more than, for each
task and stage, the output projection and MLP of the last block as they are: those are
measured beside it. The tasks' updates run as one batched product, and as a loop over
tasks.

    python benchmarks/mtlora.py --rounds 20
    python benchmarks/mtlora.py --image_size 448 --batch 1 --rounds 5
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from timm.models.swin_transformer import swin_tiny_patch4_window7_224
from torch import Tensor, nn

from clbench import registry
from clbench.contract import Scenario
from clbench.models.pyramid import SwinPyramid
from clbench.problem import view

OUTPUTS = {"semseg": 21, "human_parts": 7, "sal": 1, "normals": 3}
"""Channels of the four tasks of PASCAL."""

ALLOWED = 1.2
"""Of the streams, in parts of the bare projections and MLPs."""

Pass = Callable[[], None]


def dense(image_size: int) -> Scenario:
    """`mtl` on a Swin-T with random weights and the decoders of MTLoRA."""

    def body() -> SwinPyramid:
        swin = swin_tiny_patch4_window7_224(
            pretrained=False, img_size=image_size, num_classes=0
        )
        return SwinPyramid(swin)

    scenario: Any = registry.load("scenario", "mtl").toy()
    scenario.decoder, scenario._build = "hrnet", body
    scenario._begin(OUTPUTS)
    made: Scenario = scenario
    return made


def labelled(batch: int, size: int) -> dict[str, Tensor]:
    """Random pictures and labels of every task."""
    drawn = torch.Generator().manual_seed(1)

    def integers(high: int, *shape: int) -> Tensor:
        return torch.randint(high, shape, generator=drawn)

    normals = torch.randn(batch, 3, size, size, generator=drawn)
    return {
        "image": integers(256, batch, size, size, 3).byte(),
        "semseg": integers(21, batch, size, size),
        "human_parts": integers(7, batch, size, size),
        "sal": integers(2, batch, 1, size, size).float(),
        "normals": nn.functional.normalize(normals, dim=1),
    }


def whole(
    scenario: Scenario, batch: Mapping[str, Tensor], **given: Any
) -> tuple[Pass, nn.Module]:
    """A forward and backward pass of MTLoRA with parameters `given`, and its model."""
    torch.manual_seed(0)
    model = scenario.model()
    registry.load("strategy", "mtlora")(**given).prepare(model, view(scenario))
    model.train()

    def step() -> None:
        model.zero_grad()
        scenario.loss(model(batch), batch).backward()

    return step, model


def looped(model: nn.Module) -> None:
    """Let the tasks' updates of `model` run one after another."""

    def one_by_one(layer: Any) -> Callable[[Tensor, Tensor], Tensor]:
        def tasks(ground: Tensor, own: Tensor) -> Tensor:
            made = []
            for t in range(layer.tasks):
                A, B = layer.factors(t)
                made.append(ground + layer.task_scale[t] * (own[t] @ A.T @ B.T))
            return torch.stack(made)

        return tasks

    for module in model.modules():
        if hasattr(module, "task_A"):
            module._tasks = one_by_one(module)  # type: ignore[assignment]


def bare(scenario: Scenario, batch: int, image_size: int) -> Pass:
    """Output projection and MLP of each stage's last block, forward and backward."""
    pyramid = scenario.model().pyramid
    parts, inputs = [], []
    for number, path in enumerate(pyramid.branches()):
        block = pyramid.get_submodule(path).block.requires_grad_(False)
        side = image_size // (4 * 2**number)
        shape = (batch, side * side, block.dim)
        parts.append(nn.Sequential(block.attn.proj, block.mlp))
        inputs.append(torch.randn(shape, requires_grad=True))

    def step() -> None:
        for part, x in zip(parts, inputs, strict=True):
            x.grad = None
            part(x).sum().backward()

    return step


def medians(passes: Mapping[str, Pass], rounds: int) -> dict[str, float]:
    """Median seconds of each pass; they alternate, in turn from both ends."""
    seconds: dict[str, list[float]] = {name: [] for name in passes}
    for number in range(rounds + 1):
        order = list(passes) if number % 2 else list(reversed(passes))
        for name in order:
            start = time.perf_counter()
            passes[name]()
            if number:  # The first warms up.
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--image_size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=20)
    chosen = parser.parse_args()
    scenario = dense(chosen.image_size)
    batch = labelled(chosen.batch, chosen.image_size)
    alone, _ = whole(scenario, batch, rank=chosen.rank, mode="lora_only")
    batched, _ = whole(scenario, batch, rank=chosen.rank)
    loop, model = whole(scenario, batch, rank=chosen.rank)
    looped(model)
    passes = {
        "shared updates alone": alone,
        "and own ones, batched": batched,
        "and own ones, in a loop": loop,
        "bare projections and MLPs": bare(scenario, chosen.batch, chosen.image_size),
    }
    spent = medians(passes, chosen.rounds)
    T = len(OUTPUTS)
    print(
        f"Swin-T at {chosen.image_size}, batch {chosen.batch}, rank {chosen.rank}, "
        f"{T} tasks, {chosen.rounds} passes each, {torch.get_num_threads()} threads"
    )
    for name, value in spent.items():
        print(f"{name:28} {1e3 * value:9.1f} ms")
    first, one, two, unit = spent.values()
    extra, allowed = one - first, ALLOWED * T * unit
    word = "holds" if extra <= allowed else "DOES NOT HOLD"
    print(f"added by streams {1e3 * extra:.1f} ms, allowed {1e3 * allowed:.1f}: {word}")
    print(
        f"loop / batched, whole pass {two / one:.3f}, added {(two - first) / extra:.3f}"
    )


if __name__ == "__main__":
    main()
