"""What the pocket models are pre-trained on: other seeds, other styles."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from clbench.pocket.render import render
from clbench.pocket.scene import Scenes, generator, single
from clbench.pocket.style import draw
from clbench.pocket.things import KINDS

VERSION = 1
"""Raised whenever a pixel of the corpus could change."""

CHUNK = 1000
"""Pictures drawn from one seed; a chunk can be made again without the others."""


@dataclass(frozen=True)
class Corpus:
    """Pictures of single things and what is known of them.

    Attributes:
        images: (N, size, size, 3) uint8.
        scenes: N scenes of one thing.
    """

    images: NDArray[np.uint8]
    scenes: list[Scenes]

    def factor(self, name: str) -> NDArray[np.generic]:
        """(N,) or (N, K) values of one attribute of the things."""
        return np.concatenate([getattr(s, name)[:, 0] for s in self.scenes])


def chunk(number: int, *, size: int) -> tuple[NDArray[np.uint8], Scenes]:
    """`CHUNK` pictures, every one in a style of its own, all kinds equally often."""
    rng = generator("corpus", VERSION, number)
    kinds = rng.permutation(np.arange(CHUNK) % len(KINDS))
    scenes = single(kinds, rng)
    styles = [draw(rng) for _ in range(CHUNK)]
    return render(scenes, styles, size=size, rng=rng).image, scenes


def corpus(chunks: int, *, size: int, first: int = 0) -> Corpus:
    """Chunks `first` to `first + chunks`, with a progress bar."""
    drawn = [
        chunk(number, size=size)
        for number in tqdm(
            range(first, first + chunks), desc="draw", unit="k pictures", leave=False
        )
    ]
    return Corpus(np.concatenate([i for i, _ in drawn]), [s for _, s in drawn])


def digest(images: NDArray[np.uint8]) -> str:
    """SHA-256 of pictures: their shape and their pixels."""
    content = hashlib.sha256(str(images.shape).encode())
    content.update(np.ascontiguousarray(images).tobytes())
    return content.hexdigest()


SKETCHED = 100
"""Pictures whose means are recorded beside the hash of a chunk."""


def traits(images: NDArray[np.uint8]) -> dict[str, Any]:
    """What is recorded of a chunk: its hash, and the mean grey of its first pictures.

    A pixel in a thousand may be off by one from what a model was trained on, where it
    was drawn with other roundings: `same` tells that from another corpus.
    """
    means = images[:SKETCHED].mean(axis=(1, 2, 3))
    return {
        "first_chunk_sha256": digest(images),
        "first_chunk_means": means.round(2).tolist(),
    }


def same(images: NDArray[np.uint8], recorded: Mapping[str, Any]) -> bool:
    """Whether a chunk is the one whose `traits` are recorded, but for rounding."""
    if digest(images) == recorded["first_chunk_sha256"]:
        return True
    means = images[:SKETCHED].mean(axis=(1, 2, 3))
    gaps = np.abs(means - np.array(recorded["first_chunk_means"]))
    return bool(gaps.max() < 0.1)
