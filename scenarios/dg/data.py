"""Training data of several domains, and the model that learns from them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from clbench.contract import Batch, Data, Route
from clbench.data.augment import augment, to_float

from .datasets import Domain


class Sources(Data):
    """Domain-balanced minibatches: equally many examples of each domain.

    Args:
        domains: Those that are trained on.
        rows: Which rows of each are.
        numbers: Number of each among the problem's tasks.
        batch: Examples of a minibatch in all; a multiple of the number of domains.
        vary: Whether images are augmented.
    """

    def __init__(
        self,
        domains: Sequence[Domain],
        rows: Sequence[NDArray[np.int64]],
        numbers: Sequence[int],
        *,
        batch: int,
        vary: bool,
    ) -> None:
        self._domains, self._rows, self._numbers = domains, rows, numbers
        self._each = batch // len(domains)
        self._vary = vary
        self._starts = np.cumsum([0, *(len(chosen) for chosen in rows)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        """`image` (B, S, S, 3) uint8, `label` and `domain` (B,) int64."""
        wanted = np.asarray(indices)
        owner = np.searchsorted(self._starts, wanted, side="right") - 1
        images, labels, numbers = [], [], []
        # Sorted by domain, as `batches` gives them; one read for each.
        for position in np.unique(owner):
            domain = self._domains[position]
            here = wanted[owner == position] - self._starts[position]
            rows = self._rows[position][here]
            images.append(domain.pictures[rows])
            labels.append(domain.labels[rows])
            numbers.append(np.full(len(rows), self._numbers[position]))
        return {
            "image": torch.from_numpy(np.concatenate(images)),
            "label": torch.from_numpy(np.concatenate(labels)),
            "domain": torch.from_numpy(np.concatenate(numbers)),
        }

    def batches(self, seed: int, steps: int) -> Iterator[Sequence[int]]:
        """Equally many rows of each domain, drawn with replacement.

        Each step has a generator of its own, so that any step's batch can be had
        without those before it.
        """
        sizes = np.diff(self._starts)[:, None]
        for step in range(steps):
            rng = np.random.Generator(np.random.Philox(key=seed, counter=step << 64))
            drawn = rng.random((len(sizes), self._each)) * sizes
            rows = np.minimum(drawn.astype(np.int64), sizes - 1)
            yield (rows + self._starts[:-1, None]).ravel().tolist()

    def augment(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Crops, flips and colours varied, where that is asked for."""
        if not self._vary:
            return batch
        return {**batch, "image": augment(to_float(batch["image"]), generator)}


class Classifier(nn.Module):
    """A backbone and a linear head on its features.

    Its `route` tells domains apart where the batch names them.

    Args:
        backbone: Normalised pixels -> (B, W) features; has `width`.
        classes: Number of classes.
        mean: What pixels in [0, 1] are shifted by.
        std: What they are divided by.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        backbone: Any,
        *,
        classes: int,
        mean: tuple[float, float, float],
        std: tuple[float, float, float],
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(backbone.width, classes)
        self.route = Route()
        self.register_buffer("mean", torch.tensor(mean)[:, None, None], False)
        self.register_buffer("std", torch.tensor(std)[:, None, None], False)

    def forward(self, batch: Batch) -> Tensor:
        """`image`, uint8 (B, S, S, 3) or float (B, 3, S, S) in [0, 1] -> logits.

        `domain` (B,), positions among the sources, where they are known.
        """
        images = (to_float(batch["image"]) - self.mean) / self.std
        with self.route.of(batch.get("domain")):
            logits: Tensor = self.head(self.backbone(images))
        return logits
