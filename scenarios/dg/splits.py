"""DomainBed's split of each domain into what is trained on and what is held out."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Split:
    """Rows of one domain.

    Attributes:
        train: What a source domain trains on, and a target domain is scored on.
        holdout: What selects a model.
    """

    train: NDArray[np.int64]
    holdout: NDArray[np.int64]


def seed_of(trial: int, domain: int) -> int:
    """The seed of a split: the MD5 of the text `(trial, domain)`, modulo 2^31."""
    text = str((trial, domain)).encode()
    digest = hashlib.md5(text, usedforsecurity=False).hexdigest()
    return int(digest, 16) % 2**31


def split(count: int, fraction: float, *, trial: int, domain: int) -> Split:
    """The rows of a domain of `count` examples, as DomainBed splits them.

    Args:
        count: Examples in the domain.
        fraction: Part that is held out, rounded down.
        trial: Number of the trial: the cell's seed.
        domain: Position of the domain among all, targets included, sorted by name.
    """
    keys = np.arange(count)
    np.random.RandomState(seed_of(trial, domain)).shuffle(keys)
    held = int(count * fraction)
    return Split(train=keys[held:], holdout=keys[:held])
