"""The trained model beside its record, as weights of the model it was trained from.

Kept where `keep=true` asks for it: for every parameter of the scenario's bare model the
value that the trained model computes with, updates of any kind merged in. No strategy
is needed to use it again.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path

import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from safetensors.torch import load_file, save
from torch import Tensor, nn

from clbench import atomic
from clbench.contract import Batch, InputError
from clbench.devices.rows import tensors
from clbench.lowrank import Adapter

TOLERANCE = 1e-3
"""How far the merged model's output may be from the trained one's, of its size."""


def write(path: Path, trained: nn.Module, bare: nn.Module, batch: Batch) -> None:
    """Keep what `trained` has become, less what is still as in `bare`.

    Args:
        path: Of the file.
        trained: After its last experience, in any mode.
        bare: A fresh model of the scenario.
        batch: On which the merged model must answer as the trained one does.

    Raises:
        InputError: No plain model computes what `trained` does.
    """
    before = dict(bare.state_dict())
    after = plain(trained, bare)
    changed = {
        name: value.detach().cpu().contiguous()
        for name, value in after.items()
        if not torch.equal(value.detach().cpu(), before[name])
    }
    bare.load_state_dict(changed, strict=False)
    if (gap := difference(trained, bare, batch)) > TOLERANCE:
        raise InputError(
            f"keep=true: the trained model is no plain model: merged, its answers move "
            f"by {gap:.1e} of their size (a part of it is for one task alone)"
        )
    atomic.write(path, save(changed))


def read(path: Path) -> dict[str, Tensor]:
    """What `write` kept: parameters of the bare model that are to be replaced.

    Raises:
        InputError: There is no such file.
    """
    if not path.is_file():
        raise InputError(
            f"{path} is missing: run the cell again with keep=true, which keeps the "
            f"trained model beside its record"
        )
    return load_file(path)


@torch.no_grad()
def plain(trained: nn.Module, bare: nn.Module) -> dict[str, Tensor]:
    """For each name in `bare.state_dict()` what `trained` computes with there."""
    found: dict[str, Tensor] = {}
    wrapped: list[str] = []
    for path, module in trained.named_modules():
        if any(path.startswith(f"{outer}.") for outer in wrapped):
            continue
        values = _merged(module)
        if values is not None:
            wrapped.append(path)
            found |= {f"{path}.{name}": value for name, value in values.items()}
    own = trained.state_dict()
    names = bare.state_dict()
    return {
        n: found[n] if n in found else own[n] for n in names if n in found or n in own
    }


def _merged(module: nn.Module) -> Mapping[str, Tensor] | None:
    """Parameters of the layer that a wrapper amounts to; None of what wraps nothing."""
    if isinstance(module, Adapter):
        values = getattr(module, "plain", None)
        if values is not None:
            return dict(values)
        base = module.get_submodule("base")
        return {**dict(base.state_dict()), "in_proj_weight": module.effective()}
    if isinstance(module, BaseTunerLayer):
        copied = copy.deepcopy(module)
        copied.merge()
        return dict(copied.get_base_layer().state_dict())
    return None


@torch.no_grad()
def difference(one: nn.Module, other: nn.Module, batch: Batch) -> float:
    """Largest gap between the answers of two models, of their largest entry."""
    device = next(one.parameters()).device
    modes = one.training, other.training
    outputs = []
    for model in (one.eval(), other.to(device).eval()):
        given = {
            k: v.to(device) if isinstance(v, Tensor) else v for k, v in batch.items()
        }
        outputs.append([t for t in tensors(model(given)) if t.is_floating_point()])
    one.train(modes[0])
    other.train(modes[1])
    gaps = [
        float((a - b).abs().max() / b.abs().max().clamp(min=1e-6))
        for a, b in zip(*outputs, strict=True)
        if a.numel()
    ]
    return max(gaps, default=0.0)
