"""Pictures with dense labels, and batches of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from clbench.contract import Batch, Data
from clbench.data.cache import Album

from .augment import augment
from .layout import Layout


@dataclass(frozen=True)
class Examples:
    """Pictures of one part of a dataset.

    Attributes:
        album: (N, S, S, C) bytes.
        layout: What they are.
        rows: Those that count.
    """

    album: Album
    layout: Layout
    rows: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)

    def batch(self, positions: Sequence[int] | NDArray[np.int64]) -> Batch:
        """The examples at `positions` among `rows`, as `Layout.unpack` gives them."""
        rows = self.rows[np.asarray(positions)]
        return self.layout.unpack(self.album.pictures[rows])

    def split(self, every: int) -> tuple[Examples, Examples]:
        """All but each `every`-th, and those."""
        last = np.arange(len(self)) % every == every - 1
        return (
            Examples(self.album, self.layout, self.rows[~last]),
            Examples(self.album, self.layout, self.rows[last]),
        )


class Scenes(Data):
    """Training pictures with the labels of some tasks, in shuffled epochs.

    Args:
        examples: Those that are learned from.
        tasks: Whose labels a batch has.
        batch: Pictures in a step.
        vary: Whether they are augmented.
    """

    def __init__(
        self, examples: Examples, tasks: Sequence[str], *, batch: int, vary: bool
    ) -> None:
        self._examples, self._tasks = examples, tuple(tasks)
        self._batch, self._vary = batch, vary

    def __len__(self) -> int:
        return len(self._examples)

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        """`image` and the labels of the tasks, as `Layout.unpack` gives them."""
        whole = self._examples.batch(indices)
        return {name: whole[name] for name in ("image", *self._tasks)}

    def batches(self, seed: int, steps: int) -> Iterator[Sequence[int]]:
        """Epoch after epoch, each in an order of its own; a batch may span two."""
        waiting: list[int] = []
        epoch = 0
        for _ in range(steps):
            while len(waiting) < self._batch:
                rng = np.random.Generator(np.random.Philox(key=seed, counter=epoch))
                waiting += rng.permutation(len(self)).tolist()
                epoch += 1
            yield waiting[: self._batch]
            del waiting[: self._batch]

    def augment(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Mirrored, scaled and turned, where that is asked for."""
        return augment(batch, generator) if self._vary else batch
