"""Pairs of every domain as tokens, and batches of like length to learn from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from clbench.contract import Batch, Data

from .domains import Domain
from .tokens import Ids, Tokenized, Tokens

WINDOW = 16
"""Batches that are drawn together, and cut apart by length."""


@dataclass(frozen=True)
class Sides:
    """The pairs of every domain as tokens.

    Attributes:
        train: What is learned from.
        test: What judges.
        prompts: Texts of the first of those that judge.
        counts: What tokenizing did -> how often.
    """

    train: tuple[Tokens, ...]
    test: tuple[Tokens, ...]
    prompts: tuple[list[str], ...]
    counts: Mapping[str, int]

    @classmethod
    def of(cls, domains: Sequence[Domain], make: Tokenized, *, prompts: int) -> Sides:
        """The pairs of `domains`, and texts of the first `prompts` of each."""
        train, test, texts = [], [], []
        for domain in domains:
            train.append(make(domain.train, domain.name)[0])
            tokens, kept = make(domain.test, domain.name)
            test.append(tokens)
            texts.append([str(pair.prompt) for pair in kept[:prompts]])
        return cls(tuple(train), tuple(test), tuple(texts), make.counts)


class Preferences(Data):
    """Pairs of some domains, with the reference's log-probabilities.

    Args:
        parts: Tokens of each domain.
        numbers: Number of each in the stream.
        reference: Number of a domain -> (N, 2), asked for when a batch is.
        batch: Pairs in a step.
        length: L, tokens that all batches are padded to: a memory of examples may then
            join those of several domains. The model cuts what a batch has too much.
    """

    def __init__(
        self,
        parts: Sequence[Tokens],
        numbers: Sequence[int],
        reference: Callable[[int], Tensor],
        *,
        batch: int,
        length: int,
    ) -> None:
        self._parts, self._numbers, self._reference = parts, numbers, reference
        self._batch, self._length = batch, length
        self._starts = np.cumsum([0, *map(len, parts)])
        self._lengths = np.concatenate([part.lengths for part in parts])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        """`Tokens.batch`, `reference` (B, 2) and `task` (B,)."""
        wanted = np.asarray(indices)
        owner = np.searchsorted(self._starts, wanted, side="right") - 1
        order = np.argsort(owner, kind="stable")
        found: dict[str, list[Tensor]] = {}
        for position in np.unique(owner):
            rows = wanted[owner == position] - self._starts[position]
            number = self._numbers[position]
            made = {
                **self._parts[position].batch(rows, self._length),
                "reference": self._reference(number)[torch.from_numpy(rows)],
                "task": torch.full((len(rows),), number),
            }
            for name, value in made.items():
                found.setdefault(name, []).append(value)
        back = torch.from_numpy(np.argsort(order, kind="stable"))
        return {name: torch.cat(values)[back] for name, values in found.items()}

    def batches(self, seed: int, steps: int) -> Iterator[Sequence[int]]:
        """Epoch after epoch in an order of its own, pairs of like length together."""
        epochs = self._epochs(seed)
        for _ in range(steps):
            yield next(epochs)

    def _epochs(self, seed: int) -> Iterator[Sequence[int]]:
        batch = self._batch
        waiting: Ids = np.zeros(0, dtype=np.int64)
        epoch = 0
        while True:
            rng = np.random.default_rng((seed, epoch))
            epoch += 1
            order = np.concatenate([waiting, rng.permutation(len(self))])
            whole = len(order) // batch * batch
            for start in range(0, whole, batch * WINDOW):
                window = order[start : min(start + batch * WINDOW, whole)]
                alike = window[np.argsort(self._lengths[window], kind="stable")]
                parts = alike.reshape(-1, batch)
                yield from parts[rng.permutation(len(parts))].tolist()
            waiting = order[whole:]
