"""What PEGO costs over one plain LoRA of the same total rank, side by side.

A PEGO step, both penalties included, against a step of a LoRA whose rank is members x
rank on the same projections. For time the two alternate within one process and medians
are compared; for memory each runs in a process of its own, and what counts is the
growth of its peak over what was there before the model was made.

    python benchmarks/pego.py --backbone vit_base_patch16_224 --batch 32 --rounds 5
    python benchmarks/pego.py --backbone pocket --batch 48 --rounds 100
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import torch

from clbench import registry
from clbench.contract import Scenario
from clbench.metrics.cost import PeakMemory
from clbench.optim import Groups
from clbench.problem import view
from clbench.session import Session

RANK, MEMBERS = 4, 4
VARIANTS = {
    "pego": {"rank": RANK, "members": MEMBERS},
    "lora": {"rank": RANK * MEMBERS},
}


def scenario_with(backbone: str) -> Scenario:
    """`dg` with a backbone: random weights of timm's architecture, or `pocket`."""
    kind = registry.load("scenario", "dg")
    if backbone == "pocket":
        return kind(target="sketch")
    import timm

    with tempfile.TemporaryDirectory() as folder:
        model = timm.create_model(backbone, pretrained=False, num_classes=0)
        timm.models.save_for_hf(model, folder, safe_serialization=True)
        made = kind(target="sketch", backbone=folder)
        made.model()  # Reads the folder, which is about to go.
    return made


def stepper(name: str, scenario: Scenario, batch: int) -> Callable[[], None]:
    """One training step of strategy `name` on random images."""
    torch.manual_seed(0)
    strategy = registry.load("strategy", name)(**VARIANTS[name])
    model, problem = scenario.model(), view(scenario)
    strategy.prepare(model, problem)
    session = Session(model, problem, torch.device("cpu"), lambda *_: None)
    groups = strategy.groups(model, scenario.recipe)
    optimizer = Groups(groups, scenario.recipe, 1000).optimizer
    strategy.before_experience(session, None)
    size = model.backbone.image_size
    examples = {
        "image": torch.randint(256, (batch, size, size, 3), dtype=torch.uint8),
        "label": torch.randint(7, (batch,)),
    }

    def step() -> None:
        optimizer.zero_grad()
        output = model(examples)
        loss = scenario.loss(output, examples)
        penalty = strategy.penalty(session, output, examples)
        (loss if penalty is None else loss + penalty).backward()
        optimizer.step()

    return step


def times(backbone: str, batch: int, rounds: int) -> dict[str, float]:
    """Median seconds of a step of each variant."""
    scenario = scenario_with(backbone)
    steps = {name: stepper(name, scenario, batch) for name in VARIANTS}
    seconds: dict[str, list[float]] = {name: [] for name in VARIANTS}
    for round_ in range(rounds + 1):
        order = list(VARIANTS) if round_ % 2 else list(reversed(VARIANTS))
        for name in order:
            start = time.perf_counter()
            steps[name]()
            if round_:  # The first warms up.
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def memory(name: str, backbone: str, batch: int) -> int:
    """Bytes that the process grows by, at the most, in three steps."""
    scenario = scenario_with(backbone)
    peak = PeakMemory(torch.device("cpu"))
    before = peak.bytes
    step = stepper(name, scenario, batch)
    for _ in range(3):
        step()
    return peak.bytes - before


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backbone", default="vit_base_patch16_224")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory", choices=VARIANTS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory:
        print(json.dumps(memory(options.memory, options.backbone, options.batch)))
        return
    grown = {}
    for name in VARIANTS:
        words = [sys.executable, __file__, "--memory", name]
        words += ["--backbone", options.backbone, "--batch", str(options.batch)]
        done = subprocess.run(words, check=True, capture_output=True, text=True)
        grown[name] = json.loads(done.stdout.splitlines()[-1])
    seconds = times(options.backbone, options.batch, options.rounds)
    print(
        f"{options.backbone}, batch {options.batch}, {options.rounds} steps each, "
        f"{torch.get_num_threads()} threads; {MEMBERS} x rank {RANK} against LoRA of "
        f"rank {RANK * MEMBERS}"
    )
    for name in VARIANTS:
        print(f"{name}  {1e3 * seconds[name]:10.1f} ms  {grown[name] / 2**20:8.0f} MiB")
    print(
        f"ratio {seconds['pego'] / seconds['lora']:9.3f}     "
        f"{grown['pego'] / grown['lora']:8.3f}"
    )


if __name__ == "__main__":
    main()
