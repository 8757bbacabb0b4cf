"""A kept model for other programs: an adapter of PEFT, or a plain model's folder."""

from __future__ import annotations

import copy
import dataclasses
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn

from clbench import kept, machine, record
from clbench.building import build_scenario
from clbench.contract import InputError
from clbench.minibatches import loader
from clbench.record import Record
from clbench.resolved import Cell

Form = Literal["peft", "merged"]


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        folder: Where.
        layers: Path of each layer that has a low-rank update, with its rank.
        whole: Paths of modules that are saved as they are.
        lost: Largest part of an update's norm that its low-rank form leaves out.
        gap: Largest difference between the answers of what was exported, read again,
            and of the trained model, of their size.
    """

    folder: Path
    layers: dict[str, int]
    whole: tuple[str, ...]
    lost: float
    gap: float


def export(path: Path, form: Form, folder: Path, rank: int | None = None) -> Exported:
    """Write the model that was kept beside the record at `path` into `folder`.

    Args:
        path: Of the record.
        form: `peft`, for `peft.PeftModel.from_pretrained` on the scenario's bare model;
            or `merged`.
        folder: Made where it does not exist.
        rank: Largest rank of an update; None takes as much as each of them has.

    Raises:
        InputError: Nothing was kept, the form cannot hold it, or it cannot be written;
            what was in `folder` is then as it was.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{folder.name}."
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=prefix) as made:
        place = Path(made)
        try:
            exported = _export(path, form, place, rank)
        except SafetensorError as error:
            reason = machine.line(error)
            raise InputError(f"{folder} cannot be written: {reason}") from error
        for file in sorted(p for p in place.rglob("*") if p.is_file()):
            target = folder / file.relative_to(place)
            target.parent.mkdir(parents=True, exist_ok=True)
            file.replace(target)
    return dataclasses.replace(exported, folder=folder)


def _export(path: Path, form: Form, folder: Path, rank: int | None) -> Exported:
    """Write it into an empty folder."""
    found = record.read(path)
    changed = kept.read(record.model_path(path))
    scenario = build_scenario(Cell.from_record(found))
    batch = next(iter(loader(scenario.stream()[0], scenario.seed)))
    trained = scenario.model()
    trained.load_state_dict(changed, strict=False)
    if form == "merged":
        _write_plain(trained, found, folder)
        return Exported(folder, {}, (), 0.0, 0.0)
    bare = scenario.model()
    heads = {id(p) for p in scenario.heads(bare)}
    updates, whole = _parts(bare, changed, heads)
    factors, lost = _factors(updates, rank)
    if not factors:
        raise InputError(
            f"{path}: no linear layer was changed, there is no adapter to export "
            f"(--to merged writes the model)"
        )
    adapted = _wrap(copy.deepcopy(bare), trained, factors, whole)
    adapted.save_pretrained(str(folder))
    again = PeftModel.from_pretrained(bare, str(folder))
    return Exported(
        folder,
        {name: len(A) for name, (A, _) in factors.items()},
        whole,
        lost,
        kept.difference(again, trained, batch),
    )


def _parts(
    bare: nn.Module, changed: dict[str, Tensor], heads: set[int]
) -> tuple[dict[str, tuple[Tensor, Tensor]], tuple[str, ...]]:
    """Changed weights of linear layers (before, after), and other changed modules."""
    names: dict[str, list[str]] = {}
    for name in changed:
        path, _, last = name.rpartition(".")
        names.setdefault(path, []).append(last)
    updates, whole = {}, []
    for path, own in names.items():
        module = bare.get_submodule(path)
        weight = module.weight if isinstance(module, nn.Linear) else None
        if own == ["weight"] and weight is not None and id(weight) not in heads:
            updates[path] = (weight.detach(), changed[f"{path}.weight"])
            continue
        if list(module.children()):
            raise InputError(
                f"'{path}.{own[0]}' was trained and belongs to no layer of its own: "
                f"PEFT has no place for it (--to merged has)"
            )
        whole.append(path)
    return updates, tuple(whole)


def _factors(
    updates: dict[str, tuple[Tensor, Tensor]], rank: int | None
) -> tuple[dict[str, tuple[Tensor, Tensor]], float]:
    """A (r, d_in) and B (d_out, r) of each update, and the largest part left out.

    Of the singular values those are kept that rounding of the weight cannot make up.
    """
    found, lost = {}, 0.0
    for path, (before, after) in updates.items():
        delta = after.double() - before.double()
        U, S, Vh = torch.linalg.svd(delta, full_matrices=False)
        # Spectral norm of a matrix of rounding errors, each of half a unit, doubled.
        size = before.double().square().mean().sqrt()
        floor = 2 * torch.finfo(before.dtype).eps * size * max(before.shape) ** 0.5
        r = max(1, int((floor < S).sum()))
        r = r if rank is None else min(r, rank)
        lost = max(lost, float(S[r:].norm() / S.norm().clamp(min=1e-30)))
        root = S[:r].sqrt()
        found[path] = (root[:, None] * Vh[:r], U[:, :r] * root)
    return found, lost


def _wrap(
    model: nn.Module,
    trained: nn.Module,
    factors: dict[str, tuple[Tensor, Tensor]],
    whole: tuple[str, ...],
) -> Any:
    """`model` as PEFT wraps it, with these factors and modules."""
    ranks = {path: len(A) for path, (A, _) in factors.items()}
    config = LoraConfig(
        r=max(ranks.values()),
        lora_alpha=max(ranks.values()),
        target_modules=list(factors),
        rank_pattern=ranks,
        alpha_pattern=ranks,
        modules_to_save=list(whole) or None,
    )
    adapted = get_peft_model(model, config)
    inner = adapted.base_model.model
    with torch.no_grad():
        for path, (A, B) in factors.items():
            layer = inner.get_submodule(path)
            layer.lora_A["default"].weight.copy_(A)
            layer.lora_B["default"].weight.copy_(B)
        for path in whole:
            state = trained.get_submodule(path).state_dict()
            copied = inner.get_submodule(path).modules_to_save["default"]
            copied.load_state_dict(state)
    return adapted


def _write_plain(model: nn.Module, found: Record, folder: Path) -> None:
    """All weights in one file, and each model of transformers within in its own folder.

    `clbench.json` says what they are weights of.
    """
    from transformers import PreTrainedModel

    folder.mkdir(parents=True, exist_ok=True)
    state = {k: v.detach().contiguous() for k, v in model.state_dict().items()}
    save_file(_untied(state), folder / "weights.safetensors")
    facts = {
        "record": found.key,
        "strategy": found.strategy.name,
        "scenario": found.scenario.name,
        "params": found.scenario.params,
        "seed": found.seed,
    }
    (folder / "clbench.json").write_text(json.dumps(facts, indent=1) + "\n")
    outer: list[str] = []
    for path, module in model.named_modules():
        if isinstance(module, PreTrainedModel) and not any(
            path.startswith(f"{o}.") for o in outer
        ):
            outer.append(path)
            module.save_pretrained(str(folder / (path or "model")))


def _untied(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """`state` without shared memory, which safetensors refuses."""
    seen: set[int] = set()
    found = {}
    for name, value in state.items():
        found[name] = value.clone() if value.data_ptr() in seen else value
        seen.add(value.data_ptr())
    return found
