"""What boards of many records cost: to compute, to write, and to open in a browser.

Makes records out of committed ones, in a temporary folder: further strategies, ranks
and seeds, jittered scores, valid hashes. Then, in a process of its own, computes every
board and the page, and prints seconds, the peak of its memory and the size of the page;
and, in Chromium, how soon the page is there and how long a click on a header of its
largest table takes. Exit code 1 if a bound is missed.

    python benchmarks/boards.py --records 10000
    python benchmarks/boards.py --records 1000 --keep build/boards
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from clbench.record import digest

PUBLISHED = Path(__file__).resolve().parents[1] / "leaderboards"
SEEDS = 5
MOST = {"seconds": 30.0, "gigabytes": 1.0, "open": 1.0, "sort": 1.0}
"""What may be needed for 10,000 records."""


def patterns() -> list[list[dict[str, Any]]]:
    """For each scenario, the committed records of one strategy and seed: every fold."""
    found = []
    for folder in sorted(PUBLISHED.glob("*/records")):
        documents = [json.loads(path.read_text()) for path in folder.glob("*.json")]
        cells: dict[str, list[dict[str, Any]]] = {}
        for document in sorted(documents, key=lambda d: str(d["key"])):
            if document["status"] == "ok" and document["seed"] == 0:
                params = document["scenario"]["params"]
                free = document["scenario"]["fold"]
                rest = {k: v for k, v in params.items() if k != free}
                way = json.dumps([document["strategy"], rest, document["recipe"]])
                cells.setdefault(way, []).append(document)
        complete = [c for c in cells.values() if len(c) == len(_folds(c[0]))]
        with_rank = [c for c in complete if "rank" in _params(c[0])]
        found.append(min(with_rank, key=lambda c: str(c[0]["key"])))
    return found


def _folds(document: dict[str, Any]) -> list[str]:
    return document["scenario"]["folds"] or [""]


def _params(document: dict[str, Any]) -> dict[str, Any]:
    params: dict[str, Any] = document["strategy"]["members"][0]["params"]
    return params


def variants(pattern: list[dict[str, Any]], drawn: random.Random) -> Iterator[str]:
    """Records like those of `pattern`, as JSON: ever further ranks, `SEEDS` each."""
    for rank in itertools.count(1):
        level = drawn.gauss(0, 0.1)
        for seed, document in itertools.product(range(SEEDS), pattern):
            made = json.loads(json.dumps(document))
            _params(made)["rank"] = rank
            made["origins"]["strategy.rank"] = "user"
            made["seed"] = seed
            made["key"] = f"{drawn.getrandbits(48):012x}"
            made["command"] += f" strategy.rank={rank}"
            made["cost"]["trainable"]["adapter"] *= rank
            made["cost"]["seconds"]["total"] *= drawn.uniform(0.5, 2)
            for row in made["rows"][1:]:
                for scores in row["scores"].values():
                    for name, value in scores.items():
                        if value is not None:
                            moved = value + level + drawn.gauss(0, 0.02)
                            scores[name] = min(max(moved, 0.0), 1.0)
            made["sha256"] = digest(made)
            yield json.dumps(made, indent=1, ensure_ascii=False) + "\n"


def fill(folder: Path, count: int) -> None:
    """Write `count` records: half of them of one scenario, the rest of the others."""
    drawn = random.Random(0)
    first, *others = patterns()
    shares = [count - len(others) * (count // (2 * len(others)))]
    shares += [count // (2 * len(others))] * len(others)
    for pattern, share in zip([first, *others], shares, strict=True):
        place = folder / pattern[0]["scenario"]["name"]
        place.mkdir(parents=True)
        for number, text in enumerate(
            itertools.islice(variants(pattern, drawn), share)
        ):
            (place / f"made--{number:05}.json").write_text(text)
