"""Matrices and what every definition gives on them, for any project to test against.

The numbers are data, written down once (`conformance.json`); the tests hold the
definitions here to them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from clbench.metrics.continual import Array

FILE = Path(__file__).parent / "conformance.json"


@dataclass(frozen=True)
class Example:
    """A score matrix and the expected numbers.

    Attributes:
        name: What is special about it.
        R: (T, T) accuracies, R[i, j] on task j after experience i.
        baseline: (T,) accuracies before any training.
        joint: (T,) accuracies of a jointly trained model.
        expected: Definition -> value; NaN where it is not defined.
    """

    name: str
    R: Array
    baseline: Array
    joint: Array
    expected: Mapping[str, float]


def text() -> str:
    """The table as JSON, `null` for what is not defined."""
    return FILE.read_text(encoding="utf-8")


def examples() -> list[Example]:
    """The table, read."""
    return [
        Example(
            name=entry["name"],
            R=np.array(entry["R"], dtype=float),
            baseline=np.array(entry["baseline"], dtype=float),
            joint=np.array(entry["joint"], dtype=float),
            expected={
                name: float("nan") if value is None else value
                for name, value in entry["expected"].items()
            },
        )
        for entry in json.loads(text())["matrices"]
    ]
