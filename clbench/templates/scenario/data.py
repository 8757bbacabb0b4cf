"""Training and test data: here points that are drawn, one cloud for each class."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from clbench.contract import Batch, Data

SIDES = 4
"""Numbers that describe a point."""


class Clouds(Data):
    """Labelled points of one task.

    Args:
        task: Number of the task: it has centres of its own.
        examples: Number of points.
        classes: Number of classes.
        batch: Points in a minibatch.
        seed: Of the points; the centres do not depend on it.
    """

    def __init__(
        self, task: int, examples: int, classes: int, batch: int, seed: int
    ) -> None:
        centres = torch.Generator().manual_seed(task)
        places = 2 * torch.randn(classes, SIDES, generator=centres)
        generator = torch.Generator().manual_seed(1000 * seed + task)
        self.label = torch.randint(classes, (examples,), generator=generator)
        noise = torch.randn(examples, SIDES, generator=generator)
        self.point = places[self.label] + noise
        self.batch = batch

    def __len__(self) -> int:
        """Number of points."""
        return len(self.label)

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        """A whole minibatch, on the CPU, before `augment`."""
        rows = torch.as_tensor(indices)
        return {"point": self.point[rows], "label": self.label[rows]}

    def batches(self, seed: int, steps: int) -> Iterator[Sequence[int]]:
        """Indices of `steps` minibatches; they may depend on `seed` alone."""
        generator = torch.Generator().manual_seed(seed)
        for _ in range(steps):
            yield torch.randint(len(self), (self.batch,), generator=generator).tolist()
