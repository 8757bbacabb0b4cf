"""How a step is computed: what moves its rounding, and not what is learned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from clbench.contract import Count

Precision = Literal["fp32", "bf16", "fp16"]
"""What models compute in; weights, losses and optimizers stay in float32."""


@dataclass(frozen=True, kw_only=True)
class Execution:
    """How a step is computed. What is not default is a part of the cell.

    Attributes:
        accumulate: Parts in which the examples of a step go through the model, one
            after another: the memory of one part, a second forward pass, and the loss
            of the whole minibatch.
        precision: What the model computes in; weights, losses and optimizer stay in
            float32. `fp16` scales gradients by itself.
        compile: Whether torch.compile makes the model faster; it takes a minute first.
        gradient_checkpointing: Whether blocks of the model are computed again in the
            backward pass instead of being kept.
    """

    accumulate: Count = 1
    precision: Precision = "fp32"
    compile: bool = False
    gradient_checkpointing: bool = False

    def chosen(self) -> dict[str, Any]:
        """What is not default, by its key on the command line."""
        usual = vars(Execution())
        return {name: v for name, v in vars(self).items() if v != usual[name]}

    @classmethod
    def of(cls, chosen: Mapping[str, Any]) -> Execution:
        """The one that gives `chosen`."""
        return cls(**chosen)
