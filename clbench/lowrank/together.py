"""One forward pass for all updates of a model: a batch that is repeated for each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from clbench.contract import Batch
from clbench.devices import divides
from clbench.lowrank.several import Turn


def separable(model: nn.Module) -> bool:
    """Whether parts of a batch may go through `model` side by side.

    Not where normalisation is over the batch, nor where a packed attention reads
    weights instead of calling layers.
    """
    return not any(
        isinstance(module, _BatchNorm | nn.MultiheadAttention)
        for module in model.modules()
    )


class Together:
    """Lets a model in training compute with all its updates at once.

    What calls the model gets the output of the update whose turn it is, as it would
    without this; the others' are kept until they are asked for. Without gradients or in
    evaluation only that one computes.

    Args:
        model: Its outputs are example-first, and no example depends on another; see
            `Problem.per_example`.
        turn: That of its layers.
        updates: M, their number.
    """

    def __init__(self, model: nn.Module, turn: Turn, updates: int) -> None:
        self._turn, self._updates = turn, updates
        self._kept: list[Any] = []
        # Functions, not methods: a copy of the model, such as a teacher, shall not copy
        # what is kept here.
        model.register_forward_pre_hook(lambda module, args: self._enter(module, args))
        model.register_forward_hook(
            lambda module, args, output: self._leave(output), always_call=True
        )

    def outputs(self, output: Any) -> list[Any] | None:
        """The outputs of all updates, of the pass that gave `output`; kept no longer.

        None where that pass was not the last one, or not for all.
        """
        kept, self._kept = self._kept, []
        return kept if any(part is output for part in kept) else None

    def _enter(self, module: nn.Module, args: tuple[Batch]) -> tuple[Batch] | None:
        if not (module.training and torch.is_grad_enabled()) or divides(module):
            # Rows that are computed apart would not be equally many of each update.
            return None
        (batch,) = args
        self._turn.split = True
        return ({name: self._repeat(value) for name, value in batch.items()},)

    def _leave(self, output: Any) -> Any:
        if not self._turn.split:
            return None
        self._turn.split = False
        if output is None:  # The model raised.
            return None
        self._kept = [_part(output, m, self._updates) for m in range(self._updates)]
        return self._kept[self._turn.lead]

    def _repeat(self, value: Any) -> Any:
        return torch.cat([value] * self._updates) if _is_rows(value) else value


def _is_rows(value: Any) -> bool:
    return isinstance(value, Tensor) and value.dim() > 0


def _part(output: Any, number: int, parts: int) -> Any:
    """Part `number` of every tensor within `output` along its first axis."""
    if isinstance(output, Tensor):
        return output.chunk(parts)[number] if output.dim() else output
    if isinstance(output, Mapping):
        return {name: _part(value, number, parts) for name, value in output.items()}
    if isinstance(output, list | tuple):
        return type(output)(_part(value, number, parts) for value in output)
    return output
