"""What happened to every example, beside a record: a few bytes each.

With them calibration, paired tests and new scores need no rerun. They are arrays of one
length for each task and row; what is equal in all rows (labels) is kept once.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clbench.contract import InputError

Outcomes = Sequence[Mapping[str, Mapping[str, NDArray[Any]]]]
"""Row -> task -> name -> one value for each of the task's examples."""

Pictures = Mapping[str, Mapping[str, NDArray[np.uint8]]]
"""Task -> name -> (N, S, S, 3): a few examples to look at."""

_EVERY = "every"


def small(
    row: Mapping[str, Mapping[str, NDArray[Any]]],
) -> dict[str, dict[str, NDArray[Any]]]:
    """One row as it is kept: the fewest bytes for whole numbers, float16 for others.

    Raises:
        TypeError: An array holds something else than numbers.
    """
    return {
        task: {name: _small(values) for name, values in arrays.items()}
        for task, arrays in row.items()
    }


def pack(outcomes: Outcomes) -> bytes:
    """`outcomes` as the content of a safetensors file, each row made `small`."""
    from safetensors.numpy import save

    kept: dict[tuple[str, str], list[NDArray[Any]]] = {}
    for row in outcomes:
        for task, arrays in small(row).items():
            for name, values in arrays.items():
                kept.setdefault((task, name), []).append(values)
    tensors: dict[str, NDArray[Any]] = {}
    for (task, name), rows in kept.items():
        if len(rows) == len(outcomes) and all(np.array_equal(r, rows[0]) for r in rows):
            tensors[f"{_EVERY}/{task}/{name}"] = rows[0]
        else:
            for number, values in enumerate(rows):
                tensors[f"{number}/{task}/{name}"] = values
    return save(tensors, metadata={"rows": str(len(outcomes))})


def read(path: Path) -> list[dict[str, dict[str, NDArray[Any]]]]:
    """The outcomes at `path`: row -> task -> name -> values.

    Raises:
        InputError: It is no such file.
    """
    with _opened(path) as file:
        rows = [{} for _ in range(int(file.metadata()["rows"]))]  # type: ignore[var-annotated]
        for key in file.keys():  # noqa: SIM118
            row, task, name = key.split("/", 2)
            values = file.get_tensor(key)
            for number, content in enumerate(rows):
                if row in (_EVERY, str(number)):
                    content.setdefault(task, {})[name] = values
    return rows


def pack_pictures(pictures: Pictures) -> bytes:
    """`pictures` as the content of a safetensors file, in their order."""
    from safetensors.numpy import save

    order = [[task, name] for task, arrays in pictures.items() for name in arrays]
    tensors = {
        f"{task}/{name}": np.ascontiguousarray(pictures[task][name])
        for task, name in order
    }
    return save(tensors, metadata={"order": json.dumps(order)})


def read_pictures(path: Path) -> dict[str, dict[str, NDArray[np.uint8]]]:
    """The pictures at `path`: task -> name -> (N, S, S, 3).

    Raises:
        InputError: It is no such file.
    """
    found: dict[str, dict[str, NDArray[np.uint8]]] = {}
    with _opened(path) as file:
        for task, name in json.loads(file.metadata()["order"]):
            found.setdefault(task, {})[name] = file.get_tensor(f"{task}/{name}")
    return found


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            yield file
    except SafetensorError as error:
        raise InputError(f"{path}: damaged ({error})") from error


def _small(values: NDArray[Any]) -> NDArray[Any]:
    values = np.ascontiguousarray(values)
    if values.dtype.kind not in "biuf":
        raise TypeError(f"an outcome is an array of {values.dtype}, not of numbers")
    if values.dtype.kind == "f":
        return values.astype(np.float16)
    if values.dtype.kind in "iu" and values.size:
        low, high = int(values.min()), int(values.max())
        for kind in (np.uint8, np.int8, np.uint16, np.int16, np.int32):
            if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
                return values.astype(kind)
    return values
