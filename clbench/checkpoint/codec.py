"""Nested plain values and the tensors within them, as JSON and a flat mapping.

What JSON has no form for is an object with one key, `!`, that says what it is. Tensors
are named by where they stand, so that a file of them can be read by people.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

MARK = "!"
"""The key that tells an object of this module from a dictionary of the state."""

NATIVE = frozenset(
    {
        *(torch.float64, torch.float32, torch.float16, torch.bfloat16),
        *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool),
    }
)
"""Types that safetensors has in every version; others are kept as their bytes."""


def pack(value: Any) -> tuple[Any, dict[str, Tensor]]:
    """`value` as what JSON holds, and its tensors by name, on the CPU.

    Dictionaries with any plain keys, lists, tuples, None, truth values, numbers, texts,
    tensors and arrays. A tensor that stands in several places is kept once and is one
    tensor again; gradients and the class `Parameter` are not kept.

    Raises:
        TypeError: Something else is in it; the message says what and where.
    """
    packer = _Packer()
    return packer.pack(value, ()), packer.tensors


def unpack(tree: Any, tensors: Mapping[str, Tensor], device: torch.device) -> Any:
    """What was packed.

    Args:
        tree: The plain part.
        tensors: The tensors.
        device: For tensors that were not on the CPU.
    """
    return _Unpacker(tensors, device).unpack(tree)


class _Packer:
    """Packs one value; knows the tensors that it has met."""

    def __init__(self) -> None:
        self.tensors: dict[str, Tensor] = {}
        self._met: dict[Any, dict[str, Any]] = {}
        # Keeps them alive, so that no two have one address.
        self._alive: list[Any] = []

    def pack(self, value: Any, place: tuple[str, ...]) -> Any:
        if value is None or isinstance(value, bool | str):
            return value
        if isinstance(value, np.generic):
            return self.pack(value.item(), place)
        if isinstance(value, int):
            return int(value)
        if isinstance(value, float):
            finite = math.isfinite(value)
            return float(value) if finite else {MARK: "float", "is": repr(float(value))}
        if isinstance(value, Tensor):
            return self._tensor(value, place)
        if isinstance(value, np.ndarray):
            return self._array(value, place)
        if isinstance(value, list | tuple):
            items = [self.pack(v, (*place, str(i))) for i, v in enumerate(value)]
            return items if isinstance(value, list) else {MARK: "tuple", "of": items}
        if isinstance(value, Mapping):
            return self._mapping(value, place)
        raise TypeError(
            f"'{'.'.join(place)}' is a {type(value).__name__}: a state has tensors and "
            f"plain values (numbers, texts, lists, tuples, dictionaries)"
        )

    def _mapping(self, value: Mapping[Any, Any], place: tuple[str, ...]) -> Any:
        for key in value:
            if not (key is None or isinstance(key, bool | int | float | str | tuple)):
                raise TypeError(
                    f"'{'.'.join(place)}' has a {type(key).__name__} as a key: keys of "
                    f"a state are texts and numbers"
                )
        items = {key: self.pack(v, (*place, str(key))) for key, v in value.items()}
        if all(isinstance(key, str) for key in items) and MARK not in items:
            return items
        pairs = [[self.pack(key, place), item] for key, item in items.items()]
        return {MARK: "dict", "of": pairs}

    def _tensor(self, value: Tensor, place: tuple[str, ...]) -> dict[str, Any]:
        if value.layout is not torch.strided or value.is_quantized:
            raise TypeError(f"'{'.'.join(place)}' is a sparse or quantised tensor")
        where = (value.data_ptr(), value.shape, value.stride(), value.dtype)
        known = (value.device, *where) if value.numel() else id(value)
        if known not in self._met:
            self._alive.append(value)
            self._met[known] = self._new(value.detach(), place)
        return self._met[known]

    def _new(self, value: Tensor, place: tuple[str, ...]) -> dict[str, Any]:
        entry: dict[str, Any] = {MARK: "tensor"}
        if value.device.type != "cpu":
            entry["device"] = True
        # Axes from the widest stride to the narrowest: as they lie in memory.
        strides = value.stride()
        order = sorted(range(value.dim()), key=lambda axis: -strides[axis])
        if not value.is_contiguous() and value.permute(order).is_contiguous():
            value, entry["order"] = value.permute(order), order
        # Conjugates and negatives are made when somebody looks.
        value = value.resolve_conj().resolve_neg().cpu().contiguous()
        if value.dtype not in NATIVE:
            entry |= {"type": str(value.dtype).partition(".")[2]}
            entry |= {"shape": list(value.shape)}
            value = value.reshape(-1).view(torch.uint8)
        name = root = "/".join(place) or "value"
        number = 1
        while name in self.tensors:
            number += 1
            name = f"{root} ({number})"
        self.tensors[name] = value
        return {**entry, "name": name}

    def _array(self, value: np.ndarray[Any, Any], place: tuple[str, ...]) -> Any:
        if value.dtype.kind not in "biufc" or not value.dtype.isnative:
            raise TypeError(f"'{'.'.join(place)}' is an array of {value.dtype}")
        content = np.ascontiguousarray(value).reshape(-1).view(np.uint8)
        self._alive.append(content)
        return {
            MARK: "array",
            "of": self._tensor(torch.from_numpy(content.copy()), place),
            "type": value.dtype.str,
            "shape": list(value.shape),
        }


class _Unpacker:
    """Unpacks one value; a tensor that was one in several places is one again."""

    def __init__(self, tensors: Mapping[str, Tensor], device: torch.device) -> None:
        self._tensors, self._device = tensors, device
        self._made: dict[str, Tensor] = {}

    def unpack(self, tree: Any) -> Any:
        if isinstance(tree, list):
            return [self.unpack(item) for item in tree]
        if not isinstance(tree, dict):
            return tree
        if MARK not in tree:
            return {key: self.unpack(item) for key, item in tree.items()}
        makers: dict[str, Callable[[Any], Any]] = {
            "float": lambda tree: float(tree["is"]),
            "tuple": lambda tree: tuple(self.unpack(item) for item in tree["of"]),
            "dict": lambda tree: {
                self.unpack(k): self.unpack(v) for k, v in tree["of"]
            },
            "tensor": self._tensor,
            "array": self._array,
        }
        return makers[tree[MARK]](tree)

    def _tensor(self, entry: Mapping[str, Any]) -> Tensor:
        name = entry["name"]
        if name not in self._made:
            value = self._tensors[name]
            if "type" in entry:
                kind: torch.dtype = getattr(torch, entry["type"])
                value = value.view(kind).reshape(entry["shape"])
            if entry.get("device"):
                value = value.to(self._device)
            if (order := entry.get("order")) is not None:
                back = sorted(range(len(order)), key=order.__getitem__)
                value = value.permute(back)
            self._made[name] = value
        return self._made[name]

    def _array(self, entry: Mapping[str, Any]) -> Any:
        content = self._tensor(entry["of"]).numpy().view(np.dtype(entry["type"]))
        return content.reshape(entry["shape"])
