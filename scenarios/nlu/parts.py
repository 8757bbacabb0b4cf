"""Texts and labels of a task, how they are held out, and what they are as tokens."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from clbench.models.encoder import Encoder

HELD = 0.2
"""Part of the training texts that judges where settings are chosen."""

SPLIT_SEED = 42
"""Seed of that split."""


@dataclass(frozen=True)
class Part:
    """What is learned from, or what judges.

    Attributes:
        first: N texts.
        second: N texts beside them; None where the task is about single ones.
        labels: (N,) positions in the task's labels.
    """

    first: tuple[str, ...]
    second: tuple[str, ...] | None
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.first)

    def __getitem__(self, rows: NDArray[np.int64]) -> Part:
        """Those at `rows`."""
        chosen = rows.tolist()
        second = self.second
        return Part(
            tuple(self.first[row] for row in chosen),
            None if second is None else tuple(second[row] for row in chosen),
            self.labels[rows],
        )

    @property
    def fingerprint(self) -> str:
        """Hash of texts and labels."""
        lines = [self.first, self.second or ("",) * len(self), self.labels.tolist()]
        digest = hashlib.sha256()
        for row in zip(*lines, strict=True):
            digest.update("\t".join(map(str, row)).encode() + b"\n")
        return digest.hexdigest()


@dataclass(frozen=True)
class Texts:
    """The texts of a task.

    Attributes:
        train: What is learned from.
        test: What judges.
    """

    train: Part
    test: Part

    def held_out(self) -> Texts:
        """Of the training texts alone: a fifth of each label judges."""
        rng = np.random.default_rng(SPLIT_SEED)
        labels = self.train.labels
        held = np.zeros(len(labels), dtype=bool)
        for label in np.unique(labels):
            rows = rng.permutation(np.flatnonzero(labels == label))
            held[rows[: max(1, round(HELD * len(rows)))]] = True
        return Texts(
            self.train[np.flatnonzero(~held)], self.train[np.flatnonzero(held)]
        )


@dataclass(frozen=True)
class Tokens:
    """Texts as an encoder reads them.

    Attributes:
        inputs: Name -> (N, L), padded on the right; `attention_mask` among them.
        label: (N,).
        cut: How many texts were longer than allowed.
    """

    inputs: dict[str, Tensor]
    label: Tensor
    cut: int

    def __len__(self) -> int:
        return len(self.label)

    @property
    def lengths(self) -> Tensor:
        """(N,) tokens of each text."""
        return self.inputs["attention_mask"].sum(1)


def tokenize(
    parts: Sequence[Part], encoder: Encoder, longest: int
) -> tuple[Tokens, ...]:
    """Every part as tokens, all padded to one length, so that batches can be joined."""
    given = [encoder.tokenize(p.first, p.second, longest) for p in parts]
    L = max(len(row) for rows in given for row in rows["input_ids"])
    pad = {"input_ids": encoder.tokenizer.pad_token_id or 0}
    return tuple(
        Tokens(
            {name: _table(lists, L, pad.get(name, 0)) for name, lists in rows.items()},
            torch.from_numpy(part.labels),
            sum(len(row) == longest for row in rows["input_ids"]),
        )
        for part, rows in zip(parts, given, strict=True)
    )


def _table(rows: Sequence[Sequence[int]], length: int, filled: int) -> Tensor:
    table = torch.full((len(rows), length), filled)
    for number, row in enumerate(rows):
        table[number, : len(row)] = torch.tensor(row)
    return table
