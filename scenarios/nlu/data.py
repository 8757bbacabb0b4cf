"""Batches of texts: those of one task, or as many of each of several."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from clbench.contract import Batch, Data

from .parts import Tokens


class TaskTexts(Data):
    """Training texts of some tasks, in shuffled epochs of each.

    A minibatch takes its examples from all tasks in turn, however many each has: every
    task gets as many steps as if it were learned by itself.

    Args:
        tasks: Texts of each.
        numbers: Number of each in the stream.
        batch: Texts in a step.
    """

    def __init__(
        self, tasks: Sequence[Tokens], numbers: Sequence[int], *, batch: int
    ) -> None:
        self._batch = batch
        self._starts = np.cumsum([0, *map(len, tasks)])
        self._inputs = {
            name: torch.cat([tokens.inputs[name] for tokens in tasks])
            for name in tasks[0].inputs
        }
        self._label = torch.cat([tokens.label for tokens in tasks])
        counts = torch.tensor([len(tokens) for tokens in tasks])
        self._task = torch.tensor(numbers).repeat_interleave(counts)

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        """What the encoder reads (B, L); `label` and `task` (B,)."""
        rows = torch.as_tensor(indices)
        return {
            **{name: values[rows] for name, values in self._inputs.items()},
            "label": self._label[rows],
            "task": self._task[rows],
        }

    def batches(self, seed: int, steps: int) -> Iterator[Sequence[int]]:
        """Epoch after epoch of each task; a batch may span two."""
        tasks = len(self._starts) - 1
        orders = [self._epochs(seed, task) for task in range(tasks)]
        turn = 0
        for _ in range(steps):
            yield [next(orders[(turn + i) % tasks]) for i in range(self._batch)]
            turn += self._batch

    def _epochs(self, seed: int, task: int) -> Iterator[int]:
        start, stop = self._starts[task], self._starts[task + 1]
        epoch = 0
        while True:
            rng = np.random.default_rng((seed, task, epoch))
            yield from (start + rng.permutation(stop - start)).tolist()
            epoch += 1
