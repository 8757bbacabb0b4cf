"""The linear maps of a model and the role of each, found by structure.

Known are timm's attention (fused `qkv`) and MLP, transformers' attention (separate
projections, GPT-2's fused one) and MLPs, gated ones too, torch's own
`nn.MultiheadAttention` (packed) and feed-forward, and the patch merging of Swin.
Nothing depends on the name of an architecture.
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from clbench.contract import Layer, Role

_SEPARATE: dict[str, Role] = {
    "q_proj": "q",
    "k_proj": "k",
    "v_proj": "v",
    "out_proj": "out",
    "o_proj": "out",
}

_FEED_FORWARD: tuple[dict[str, Role], ...] = (
    {"fc1": "fc1", "fc2": "fc2"},
    {"linear1": "fc1", "linear2": "fc2"},
    # Llama and its kin: both maps that widen are fc1.
    {"gate_proj": "fc1", "up_proj": "fc1", "down_proj": "fc2"},
    {"c_fc": "fc1", "c_proj": "fc2"},
    {"fc_in": "fc1", "fc_out": "fc2"},
    {"dense_h_to_4h": "fc1", "dense_4h_to_h": "fc2"},
)

_FUSED: dict[str, str] = {"qkv": "proj", "c_attn": "c_proj"}
"""Projection that gives q, k and v, in this order -> the one behind the attention."""


def layers(model: nn.Module, prefix: str = "") -> Iterator[Layer]:
    """Every linear map of `model` that has a role, in the order of its modules.

    Args:
        model: Any module.
        prefix: Put before each path, with a dot, where `model` is a part of another.
    """
    for name, module in model.named_modules():
        path = ".".join(part for part in (prefix, name) if part)
        yield from _of(module, path)


def _of(module: nn.Module, path: str) -> Iterator[Layer]:
    children = dict(module.named_children())
    if isinstance(module, nn.MultiheadAttention):
        if module.in_proj_weight is not None:
            yield from _fused(path, module.embed_dim)
        yield Layer(path=_join(path, "out_proj"), role="out")
        return
    for name, behind in _FUSED.items():
        if isinstance(fused := children.get(name), nn.Linear):
            yield from _fused(_join(path, name), fused.out_features // 3)
            if isinstance(children.get(behind), nn.Linear):
                yield Layer(path=_join(path, behind), role="out")
    # GPT-NeoX: rows of q, k and v alternate head by head, which is no slice of rows.
    if {"query_key_value", "dense"} <= children.keys():
        yield Layer(path=_join(path, "dense"), role="out")
    if {"q_proj", "k_proj", "v_proj"} <= children.keys():
        for name, role in _SEPARATE.items():
            if isinstance(children.get(name), nn.Linear):
                yield Layer(path=_join(path, name), role=role)
    for names in _FEED_FORWARD:
        if all(isinstance(children.get(name), nn.Linear) for name in names):
            for name, role in names.items():
                yield Layer(path=_join(path, name), role=role)
    if isinstance(children.get("reduction"), nn.Linear):
        yield Layer(path=_join(path, "reduction"), role="merge")


def _fused(path: str, width: int) -> Iterator[Layer]:
    roles: tuple[Role, ...] = ("q", "k", "v")
    for number, role in enumerate(roles):
        rows = (number * width, (number + 1) * width)
        yield Layer(path=path, role=role, rows=rows)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
