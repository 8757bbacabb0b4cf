"""Tasks in GLUE's format: tab-separated files without quoting, one folder for each.

`test.tsv` has no labels, so `dev.tsv` judges.
"""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

import numpy as np

from clbench.contract import InputError

from .parts import Part, Texts
from .tasks import TASKS, Columns, Task


def read(name: str, root: Path) -> Texts:
    """The task `name` from its folder in `root`.

    Raises:
        InputError: A file is missing, or a row of it is broken: one line with both.
    """
    task = TASKS[name]
    columns = task.columns
    assert columns is not None
    folder = root / columns.folder
    if not folder.is_dir():
        there = {p.name.lower(): p.name for p in root.iterdir() if p.is_dir()}
        near = get_close_matches(columns.folder.lower(), there, n=1, cutoff=0.5)
        hint = f"; there is '{there[near[0]]}'" if near else ""
        raise InputError(
            f"scenario.root={root}: no folder '{columns.folder}' for the task "
            f"'{name}'{hint}"
        )
    train, test = (read_file(folder / f"{part}.tsv", task) for part in ("train", "dev"))
    return Texts(train, test)


def read_file(path: Path, task: Task) -> Part:
    """One file of `task`.

    Raises:
        InputError: It is missing or not UTF-8, a row has another number of columns, an
            empty text or a label that the task does not have.
    """
    columns = task.columns
    assert columns is not None
    try:
        # Only a line feed ends a row: texts hold other marks that end lines.
        rows = path.read_bytes().decode("utf-8-sig").split("\n")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 ({error.reason})") from error
    start = 0
    if columns.header:
        _check_header(path, rows[0].removesuffix("\r").split("\t"), columns)
        start = 1
    first, second, labels = [], [], []
    for number, row in enumerate(rows[start:], start + 1):
        if not row.strip() and number == len(rows):
            continue
        fields = row.removesuffix("\r").split("\t")
        place = f"{path}:{number}"
        if len(fields) != columns.count:
            raise InputError(
                f"{place}: {len(fields)} columns instead of {columns.count}, separated "
                f"by tabs"
            )
        first.append(_text(fields[columns.first], place))
        if columns.second is not None:
            second.append(_text(fields[columns.second], place))
        labels.append(_label(fields[columns.label], task, place))
    if not labels:
        raise InputError(f"{path}: no rows in it")
    return Part(
        tuple(first),
        tuple(second) if columns.second is not None else None,
        np.array(labels, dtype=np.int64),
    )


def _check_header(path: Path, found: list[str], columns: Columns) -> None:
    if tuple(found) != columns.header:
        raise InputError(
            f"{path}:1: the columns are {', '.join(found)[:80]}; expected are "
            f"{', '.join(columns.header)}"
        )


def _text(field: str, place: str) -> str:
    if not field.strip():
        raise InputError(f"{place}: a text is empty")
    return field.strip()


def _label(field: str, task: Task, place: str) -> int:
    if field in task.labels:
        return task.labels.index(field)
    if field.isdecimal() and int(field) < len(task.labels):
        return int(field)
    raise InputError(
        f"{place}: label '{field[:40]}' is none of "
        f"{', '.join(map(str, range(len(task.labels))))} or {', '.join(task.labels)}"
    )
