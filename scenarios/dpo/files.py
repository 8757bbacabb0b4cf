"""Pairs from files of JSON lines, and from data sets of the Hugging Face hub."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from clbench.assets import door
from clbench.assets.hub import DATA, Hub, split
from clbench.contract import InputError

from .pairs import Pairs

ENDINGS = (".jsonl", ".jsonl.gz")

HUB = "hub:"
"""Begins the name of a data set that the `datasets` library loads."""


def read_files(place: Path, spoken: str) -> Pairs:
    """The pairs of a file, or of all such files in a folder and below it.

    Args:
        place: `*.jsonl` or `*.jsonl.gz`, or a folder.
        spoken: What the user wrote.

    Raises:
        InputError: There is no such file, or a line is damaged.
    """
    files = [place]
    if place.is_dir():
        files = sorted(f for f in place.rglob("*") if f.name.endswith(ENDINGS))
        if not files:
            raise InputError(
                f"scenario.domains: no {' or '.join(f'*{e}' for e in ENDINGS)} in the "
                f"folder {spoken}"
            )
    pairs = Pairs()
    for file in files:
        for number, row in _rows(file):
            pairs.add(row, f"{file}:{number}")
    return pairs


def _rows(file: Path) -> Iterator[tuple[int, Any]]:
    """Number, from 1, and content of every line that is not blank."""
    try:
        with _opened(file) as lines:
            number = 0
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                try:
                    yield number, json.loads(line)
                except json.JSONDecodeError as error:
                    raise InputError(
                        f"{file}:{number}: no JSON ({error.msg} at column "
                        f"{error.colno}); each line is one object"
                    ) from error
    except (OSError, EOFError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{file} cannot be read: {reason}") from error


def _opened(file: Path) -> TextIO:
    if file.suffix == ".gz":
        return gzip.open(file, "rt", encoding="utf-8")
    return file.open(encoding="utf-8")


def read_hub(spoken: str) -> Pairs:
    """The pairs of a data set that `datasets` loads.

    Args:
        spoken: `hub:NAME`, or `hub:NAME:SPLIT`; the split is `train` unless it is
            named. NAME is one on the hub, a revision after `@` allowed, or a folder
            that `datasets` can read.

    Raises:
        InputError: The library is missing, or the data set cannot be had.
    """
    name, _, part = spoken.removeprefix(HUB).partition(":")
    part = part or "train"
    try:
        from datasets import load_dataset
    except ImportError as error:
        raise InputError(
            f"scenario.domains: {spoken} needs the library `datasets` (pip install "
            f"'clbench[datasets]'); a file of JSON lines needs nothing"
        ) from error
    found = of_hub(spoken)
    place = name if found is None else str(door.current().open(found))
    try:
        rows = load_dataset(place, split=part)
    except Exception as error:  # Of the network, of parsing, of splits that are not.
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(
            f"scenario.domains: {spoken} cannot be had ({reason[:160]}); name a file "
            f"of JSON lines instead"
        ) from error
    pairs = Pairs()
    for number, row in enumerate(rows, 1):
        pairs.add(row, f"{name}[{part}]:{number}")
    return pairs


def of_hub(spoken: str) -> Hub | None:
    """The data set that `hub:NAME[@REVISION][:SPLIT]` names; None: NAME is a folder."""
    name = spoken.removeprefix(HUB).partition(":")[0]
    if Path(name).expanduser().is_dir():
        return None
    repository, pin = split(name)
    return Hub(
        kind="data",
        name=repository,
        key="scenario.domains",
        home=f"https://huggingface.co/datasets/{repository}",
        repository=repository,
        pin=pin,
        type="dataset",
        wanted=DATA,
    )
