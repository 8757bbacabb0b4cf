"""The linear maps of a model and the role of each, found by structure.

Known are timm's attention (fused `qkv`) and MLP, transformers' attention (separate
projections, GPT-2's fused one, BERT's and its kin's) and MLPs, gated ones too, torch's
own `nn.MultiheadAttention` (packed) and feed-forward, and the patch merging of Swin.
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
    yield from _encoder(children, path)
    if isinstance(children.get("reduction"), nn.Linear):
        yield Layer(path=_join(path, "reduction"), role="merge")


_TRIPLES: dict[tuple[str, str, str], str] = {
    ("query", "key", "value"): "dense",
    ("query_proj", "key_proj", "value_proj"): "dense",
    ("q_lin", "k_lin", "v_lin"): "out_lin",
    ("q", "k", "v"): "o",
}
"""Further names of separate projections -> the one behind the attention, beside them.

BERT and its kin have that one in a module of its own; see `_encoder`.
"""

_WIDE: tuple[tuple[str, str], ...] = (("lin1", "lin2"), ("ffn", "ffn_output"))


def _encoder(children: dict[str, nn.Module], path: str) -> Iterator[Layer]:
    """Of BERT and its kin, whose `dense` maps lie in modules of their own."""

    def linear(name: str) -> bool:
        return isinstance(children.get(name), nn.Linear)

    roles: tuple[Role, ...] = ("q", "k", "v")
    for triple, behind in _TRIPLES.items():
        if all(map(linear, triple)):
            for name, role in zip(triple, roles, strict=True):
                yield Layer(path=_join(path, name), role=role)
            if linear(behind):
                yield Layer(path=_join(path, behind), role="out")
    output = dict(children.get("output", nn.Module()).named_children())
    if isinstance(output.get("dense"), nn.Linear):
        place = _join(path, "output.dense")
        wide = dict(children.get("intermediate", nn.Module()).named_children())
        if isinstance(wide.get("dense"), nn.Linear):
            yield Layer(path=_join(path, "intermediate.dense"), role="fc1")
            yield Layer(path=place, role="fc2")
        elif any(map(_attends, children.values())):
            yield Layer(path=place, role="out")
    for first, second in _WIDE:
        if linear(first) and linear(second):
            yield Layer(path=_join(path, first), role="fc1")
            yield Layer(path=_join(path, second), role="fc2")


def _attends(module: nn.Module) -> bool:
    """Whether `module` has separate projections of its own."""
    names = {name for name, _ in module.named_children()}
    return any(names.issuperset(triple) for triple in _TRIPLES)


def _fused(path: str, width: int) -> Iterator[Layer]:
    roles: tuple[Role, ...] = ("q", "k", "v")
    for number, role in enumerate(roles):
        rows = (number * width, (number + 1) * width)
        yield Layer(path=path, role=role, rows=rows)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
