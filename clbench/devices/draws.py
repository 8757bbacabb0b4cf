"""Random draws of layers, alike whatever part of a minibatch is computed.

Where some rows of a minibatch are computed by themselves, a layer such as dropout would
draw for these alone. Here it draws for all rows and takes what belongs to its own, so
that numbers do not depend on how rows are divided.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd
from torch.utils._python_dispatch import TorchDispatchMode


class Draws(TorchDispatchMode):
    """Within, whatever draws at random draws for all rows of a minibatch.

    A tensor is of these rows if it has as many as are computed, or a multiple: then
    equally many of each example, one after another.

    Args:
        rows: Of the whole minibatch.
        own: Those that are computed here.
    """

    def __init__(self, rows: int, own: range) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._rows, self._own = rows, own

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Let `func` compute; on whole rows where it draws."""
        kwargs = kwargs or {}
        if torch.Tag.nondeterministic_seeded not in func.tags:
            return func(*args, **kwargs)
        if "attention" in str(func):
            if _drops(func, args, kwargs):
                raise NotImplementedError(
                    f"{func} drops at random within one kernel, which cannot be drawn "
                    f"row by row: no dropout in attention, or one device and "
                    f"accumulate=1"
                )
            return func(*args, **kwargs)
        if args and isinstance(args[0], Tensor):
            return self._drawn(func, args, kwargs)
        if args and isinstance(args[0], list | tuple) and self._of_rows(args[0]):
            size, *others = args
            whole = [size[0] // len(self._own) * self._rows, *size[1:]]
            return self._part(func(whole, *others, **kwargs))
        return func(*args, **kwargs)

    def _drawn(self, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        first = args[0]
        if not self._of_rows(first.shape):
            return func(*args, **kwargs)
        given = [self._whole(each) for each in args]
        made = func(*given, **kwargs)
        if func._schema.is_mutable:
            return first.copy_(self._part(given[0]))
        if isinstance(made, tuple | list):
            return type(made)(map(self._part, made))
        return self._part(made)

    def _of_rows(self, shape: Sequence[int]) -> bool:
        return len(shape) > 0 and shape[0] > 0 and shape[0] % len(self._own) == 0

    def _whole(self, value: Any) -> Any:
        """A tensor of own rows as one of all rows; others hold nothing."""
        if not isinstance(value, Tensor) or not self._of_rows(value.shape):
            return value
        each = len(value) // len(self._own)
        shape = [each * self._rows, *value.shape[1:]]
        # Laid out alike, since draws fill memory in its order.
        strides = value.stride()
        order = sorted(range(value.dim()), key=lambda axis: -strides[axis])
        whole = torch.empty_permuted(
            shape, order, dtype=value.dtype, device=value.device
        ).zero_()
        whole[each * self._own.start : each * self._own.stop] = value
        return whole

    def _part(self, value: Any) -> Any:
        if not isinstance(value, Tensor) or not value.dim():
            return value
        each = len(value) // self._rows
        return value[each * self._own.start : each * self._own.stop].clone()


def drops(model: nn.Module) -> bool:
    """Whether a module of `model` has a dropout above 0, as most of them name it."""
    return any(
        isinstance(value, float) and value > 0
        for module in model.modules()
        for value in (
            getattr(module, "dropout", None),
            getattr(module, "drop_prob", None),
            module.p if isinstance(module, _DropoutNd) else None,
        )
    )


def _drops(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Whether a fused attention is given a dropout above 0."""
    for place, argument in enumerate(func._schema.arguments):
        if argument.name == "dropout_p":
            value = kwargs.get("dropout_p", argument.default_value)
            return bool(args[place] if place < len(args) else value)
    return False
