"""What a low-rank layer costs over the frozen linear it wraps, here and in PEFT.

Forward and backward of one layer on the CPU; the three variants alternate within one
process and medians are compared, so that whatever else the machine does falls on all
alike. Backward is that of a layer in the middle of a network: its input wants a
gradient, its frozen weight does not.

    python benchmarks/lowrank.py --repeats 2000 --threads 1
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from peft import LoraConfig, inject_adapter_in_model
from torch import Tensor, nn

from clbench.lowrank import LowRank

SHAPES = ((17, 128, 128), (16 * 17, 128, 128), (16 * 17, 128, 384), (197, 768, 768))


def frozen(d_in: int, d_out: int) -> nn.Linear:
    """A frozen linear map."""
    torch.manual_seed(0)
    return nn.Linear(d_in, d_out).requires_grad_(False)


def ours(d_in: int, d_out: int, rank: int) -> nn.Module:
    """It, wrapped by clbench."""
    generator = torch.Generator().manual_seed(0)
    return LowRank(
        frozen(d_in, d_out), roles=["q"], rank=rank, generator=generator, name="map"
    )


def theirs(d_in: int, d_out: int, rank: int) -> nn.Module:
    """It, wrapped by PEFT."""
    model = nn.Sequential(frozen(d_in, d_out))
    config = LoraConfig(r=rank, lora_alpha=rank, target_modules=["0"], lora_dropout=0.0)
    return inject_adapter_in_model(config, model)[0]


def seconds(layer: Callable[[Tensor], Tensor], x: Tensor, gradient: Tensor) -> float:
    """One forward and backward pass."""
    start = time.perf_counter()
    layer(x).backward(gradient)
    return time.perf_counter() - start


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=2000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rank", type=int, default=4)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"rank {options.rank}, {options.threads} thread(s), microseconds (median)")
    print("tokens  d_in d_out   linear  clbench     peft | overhead: clbench  peft")
    for tokens, d_in, d_out in SHAPES:
        layers = {
            "linear": frozen(d_in, d_out),
            "clbench": ours(d_in, d_out, options.rank),
            "peft": theirs(d_in, d_out, options.rank),
        }
        x = torch.randn(tokens, d_in, requires_grad=True)
        gradient = torch.randn(tokens, d_out)
        times: dict[str, list[float]] = {name: [] for name in layers}
        for repeat in range(options.repeats + 50):
            for name, layer in layers.items():
                spent = seconds(layer, x, gradient)
                if repeat >= 50:
                    times[name].append(1e6 * spent)
        plain, our, their = (statistics.median(times[name]) for name in layers)
        print(
            f"{tokens:6} {d_in:5} {d_out:5} {plain:8.1f} {our:8.1f} {their:8.1f} "
            f"| {our - plain:17.1f} {their - plain:5.1f}"
        )


if __name__ == "__main__":
    main()
