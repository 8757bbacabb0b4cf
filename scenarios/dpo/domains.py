"""The domains of a stream: the embedded world's, files, folders, data sets by name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from clbench.contract import InputError
from clbench.pocket.views import dpo as pocket

from .files import ENDINGS, HUB, read_files, read_hub
from .pairs import TEST_SHARE, VALIDATION_SHARE, Pair, Pairs, split

Wins = Callable[[str, str, str], float]
"""Prompt, response and other response -> 1 if the first wins, 0.5 if neither does."""


@dataclass(frozen=True)
class Domain:
    """One domain of the stream.

    Attributes:
        name: Column of the matrix.
        train: Pairs that are learned from.
        test: Pairs that judge; none has a prompt of `train`.
        dropped: Why pairs of the source were left out -> how many.
        wins: Judges any two responses exactly; None where nobody can.
    """

    name: str
    train: Sequence[Pair]
    test: Sequence[Pair]
    dropped: Mapping[str, int]
    wins: Wins | None = None

    @property
    def fingerprint(self) -> str:
        """Hash of all pairs."""
        digest = hashlib.sha256()
        for part in (self.train, self.test):
            for pair in part:
                text = json.dumps([pair.prompt, pair.chosen, pair.rejected])
                digest.update(text.encode() + b"\n")
            digest.update(b"\0")
        return digest.hexdigest()


def names(specs: Sequence[str]) -> tuple[str, ...]:
    """A name for each of `specs`: the embedded domain's, or the stem of its path.

    Raises:
        InputError: Two have the same.
    """
    found: list[str] = []
    for spec in specs:
        plain = spec.removeprefix(HUB)
        if spec.startswith(HUB):
            plain = plain.partition(":")[0].partition("@")[0]
        name = Path(plain).name
        for ending in reversed(ENDINGS):
            name = name.removesuffix(ending)
        if name in found:
            raise InputError(
                f"scenario.domains=[{','.join(specs)}]: two domains are called "
                f"'{name}': a domain has the name of its file or folder, each its own"
            )
        found.append(name)
    return tuple(found)


def read(
    spec: str,
    name: str,
    root: Path | None,
    *,
    train_pairs: int | None,
    test_pairs: int | None,
    validation: bool,
) -> Domain:
    """The domain that `spec` stands for.

    Args:
        spec: A domain of the embedded world, a path, or `hub:NAME[:SPLIT]`.
        name: Of the domain.
        root: Folder that paths start from.
        train_pairs: Pairs to learn from at the most, the first of the source.
        test_pairs: Pairs that judge at the most.
        validation: Whether pairs held out of those to learn from judge.

    Raises:
        InputError: The data are not there, are damaged, or are too few.
    """
    wins: Wins | None = None
    dropped: Mapping[str, int] = {}
    if spec in pocket.DOMAINS:
        train, test = (
            [Pair(p.prompt, p.chosen, p.rejected) for p in pocket.pairs(spec, part)]
            for part in ("train", "test")
        )
        wins = partial(pocket.wins, spec)
    else:
        pairs = _source(spec, root)
        dropped = dict(pairs.dropped)
        train, test = split(pairs.found, "test", TEST_SHARE)
    if validation:
        train, test = split(train, "validation", VALIDATION_SHARE)
    for side, part in (("to learn from", train), ("to judge", test)):
        if not part:
            raise InputError(
                f"scenario.domains: '{spec}' has no pair {side}: of {len(train)} + "
                f"{len(test)} pairs one prompt of {TEST_SHARE} judges, by its hash; "
                f"give more pairs"
            )
    return Domain(name, train[:train_pairs], test[:test_pairs], dropped, wins)


def _source(spec: str, root: Path | None) -> Pairs:
    if spec.startswith(HUB):
        return read_hub(spec)
    path = Path(spec).expanduser()
    place = path if root is None else root / path
    if not place.exists():
        raise InputError(
            f"scenario.domains: '{spec}' is no file or folder here, and no domain of "
            f"the embedded world ({', '.join(pocket.DOMAINS)}); a data set by its name "
            f"is {HUB}NAME"
        )
    return read_files(place, spec)
