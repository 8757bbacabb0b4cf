"""What both ways share: batches from Avalanche's examples, networks over them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from clbench.classification import Classification
from clbench.contract import Batch, Data, Layer
from clbench.models.roles import layers

INNER = "network"
"""Where a network that takes tensors lies within the model that takes batches."""


class OverBatches(nn.Module):
    """A network over tensors, as a model over batches.

    Args:
        network: `network(x) -> logits`.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, batch: Batch) -> Tensor:
        """(B, classes) logits of `batch["x"]`."""
        logits: Tensor = self.network(batch["x"])
        return logits


class Examples(Data):
    """A dataset of Avalanche's: examples are `(x, y, ...)`.

    Args:
        dataset: Indexed one example at a time.
        batch: Examples in a minibatch.
    """

    def __init__(self, dataset: Any, batch: int) -> None:
        self.dataset, self.batch = dataset, batch

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        """`x` (B, ...) and `label` (B,)."""
        examples = [self.dataset[int(index)] for index in indices]
        return {
            "x": torch.stack([torch.as_tensor(example[0]) for example in examples]),
            "label": torch.tensor([int(example[1]) for example in examples]),
        }

    def batches(self, seed: int, steps: int) -> Iterator[Sequence[int]]:
        """Every example once, in a new order each time round; batches are full."""
        generator = torch.Generator().manual_seed(seed)
        left: list[int] = []
        for _ in range(steps):
            while len(left) < self.batch:
                left += torch.randperm(len(self), generator=generator).tolist()
            yield left[: self.batch]
            left = left[self.batch :]


class Logits(Classification):
    """Classification by a network whose linear maps show their roles."""

    def adaptable(self, model: nn.Module) -> Iterator[Layer]:
        """Linear maps whose roles are found by structure."""
        yield from layers(model)
