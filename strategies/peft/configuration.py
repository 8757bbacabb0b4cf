"""PEFT's configuration for one model: the user's entries, and defaults that fit."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import peft
from torch import nn

from clbench.contract import InputError, Layer, Problem, Role, nearest

from .library import Adapter

ZERO_START = ("c3a", "fourierft", "waveft")
"""Types that begin at the model's function when `init_weights` is true."""


@dataclass(frozen=True)
class Target:
    """A module that is wrapped.

    Attributes:
        path: Its dotted name.
        roles: Of the maps it holds: three for a fused projection.
    """

    path: str
    roles: tuple[Role, ...]


def targets(
    adapter: Adapter, model: nn.Module, problem: Problem, roles: Sequence[Role]
) -> list[Target]:
    """The modules that `adapter` is put on, in the order of the model.

    A fused projection is one module and is wrapped as a whole. `ln_tuning` is put on
    normalisations, `trainable_tokens` on tables of tokens, all others on projections.

    Raises:
        InputError: The model has none, or one that PEFT cannot wrap.
    """
    if adapter.name == "ln_tuning":
        own = {id(p) for p in problem.heads(model)}
        return [
            Target(path, ())
            for path, module in model.named_modules()
            if isinstance(module, nn.LayerNorm)
            and not any(id(p) in own for p in module.parameters())
        ]
    if adapter.name == "trainable_tokens":
        return [Target(path, ()) for path in _tables(model)]
    found: dict[str, list[Role]] = {}
    known: list[Layer] = list(problem.adaptable(model))
    for layer in known:
        if layer.role in roles:
            found.setdefault(layer.path, []).append(layer.role)
    if not found:
        there = ", ".join(dict.fromkeys(layer.role for layer in known))
        raise InputError(
            f"strategy.roles=[{','.join(roles)}]: the model has none of these; it has "
            f"{there}"
        )
    packed = [p for p in found if not isinstance(model.get_submodule(p), nn.Linear)]
    if packed and adapter.config is not peft.LoraConfig:
        raise InputError(
            f"strategy.type={adapter.name} wraps linear layers, '{packed[0]}' is a "
            f"packed attention: leave q, k and v out of strategy.roles, or take "
            f"strategy.type=lora"
        )
    # PEFT's wrapped attention updates its output projection too.
    inner = {f"{path}.out_proj" for path in packed}
    return [Target(p, tuple(r)) for p, r in found.items() if p not in inner]


def _named(adapter: Adapter, given: Mapping[str, Any], model: nn.Module) -> None:
    """Ask for the tokens that `trainable_tokens` is to train.

    Raises:
        InputError: They are not given, or the model has no table of tokens.
    """
    tables = _tables(model)
    if not (tables or given.get("target_modules")):
        raise InputError(
            f"strategy.type={adapter.name} trains rows of a table of tokens, and this "
            f"model has none"
        )
    if not given.get("token_indices"):
        raise InputError(
            f"strategy.type={adapter.name} needs the numbers of the tokens that it "
            f"trains: strategy.config.token_indices=[1,2,3], of {', '.join(tables)}"
        )


def configure(
    adapter: Adapter,
    given: Mapping[str, Any],
    chosen: Sequence[Target],
    model: nn.Module,
    steps: int,
) -> Any:
    """PEFT's configuration of `adapter` for `model`.

    The user's entries stand as they are. Of PEFT's defaults those are replaced that do
    not fit the shapes of the layers, or that it asks to be given.

    Args:
        adapter: The type.
        given: The user's entries.
        chosen: Modules that are wrapped.
        model: Before they are.
        steps: Optimizer steps of the whole stream.

    Raises:
        InputError: An entry is unknown, or PEFT refuses it.
    """
    known = adapter.fields
    if adapter.name == "trainable_tokens":
        _named(adapter, given, model)
    for name in given:
        if name not in known:
            key = "strategy.config."
            near = nearest(key + name, [key + entry for entry in known])
            raise InputError(
                f"unknown key '{key}{name}'{near}, of {adapter.config.__name__}"
            )
        if name in adapter.preset and not isinstance(adapter.preset[name], dict):
            raise InputError(
                f"strategy.config.{name} is what strategy.type={adapter.name} sets: "
                f"leave it out"
            )
    entries = {
        **_fitting(adapter, chosen, model),
        **adapter.preset,
        **_asked(adapter, chosen, steps),
        **given,
    }
    if "target_r" in known and "target_r" not in given:
        # PEFT's 8 of 12, of whatever ranks it begins with.
        entries["target_r"] = max(1, 2 * entries["init_r"] // 3)
    try:
        return adapter.config(**{k: v for k, v in entries.items() if k in known})
    except (TypeError, ValueError, ImportError) as error:
        line = " ".join(str(error).split())
        raise InputError(
            f"peft {peft.__version__} refuses strategy.config of {adapter.name}: {line}"
        ) from error


def _fitting(
    adapter: Adapter, chosen: Sequence[Target], model: nn.Module
) -> dict[str, Any]:
    """Defaults of sizes, made to fit the smallest layer and to divide all widths."""
    shapes = [
        (module.out_features, module.in_features)
        for target in chosen
        if isinstance(module := model.get_submodule(target.path), nn.Linear)
    ]
    if not shapes:
        return {}
    common = math.gcd(*(side for shape in shapes for side in shape))
    smallest = min(side for shape in shapes for side in shape)
    area = min(rows * columns for rows, columns in shapes)
    found: dict[str, Any] = {}
    for name, default in adapter.fields.items():
        if not isinstance(default, int) or isinstance(default, bool):
            continue
        if name in ("block_size", "group_size", "vector_length"):
            found[name] = math.gcd(default, common)
        elif name == "n_frequency":
            found[name] = min(default, area)
        elif name in ("r", "init_r"):
            # Half, as some types keep r (rows + columns) <= rows x columns.
            found[name] = min(default, max(1, smallest // 2))
    return found


def _asked(adapter: Adapter, chosen: Sequence[Target], steps: int) -> dict[str, Any]:
    """What PEFT has no default for, or none that keeps the model's function."""
    entries: dict[str, Any] = {"target_modules": [t.path for t in chosen]}
    entries["progressbar"] = False
    if "feedforward_modules" in adapter.fields:
        entries["feedforward_modules"] = list(_with(chosen, ("fc2",)))
    if "total_step" in adapter.fields:
        entries["total_step"] = steps
    if adapter.name in ZERO_START:
        entries["init_weights"] = True
    if adapter.name == "bdlora":
        entries["use_bdlora"] = {
            "target_modules_bd_a": list(_with(chosen, ("out", "fc2"))),
            "target_modules_bd_b": list(_with(chosen, ("q", "k", "v", "fc1"))),
            "match_strict": False,
        }
    if adapter.name == "eva":
        entries["eva_config"] = {"rho": 1.0}
    return entries


def _with(chosen: Iterable[Target], roles: Sequence[Role]) -> Iterable[str]:
    return (t.path for t in chosen if any(role in roles for role in t.roles))


def _tables(model: nn.Module) -> list[str]:
    """Paths of tables of tokens: what a transformers model calls input embeddings."""
    tables = set()
    for module in model.modules():
        asked = getattr(module, "get_input_embeddings", None)
        if callable(asked):
            try:
                tables.add(id(asked()))
            except NotImplementedError:
                continue
    return [
        path
        for path, module in model.named_modules()
        if isinstance(module, nn.Embedding) and id(module) in tables
    ]
