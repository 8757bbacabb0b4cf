"""`clbench explain` and `clbench conformance`: what a number means, and who differs."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from clbench.contract import InputError, nearest
from clbench.metrics import conformance
from clbench.metrics.continual import Array
from clbench.metrics.definitions import DEFINITIONS, Definition, families
from clbench.metrics.meanings import MEANINGS, WHERE


@dataclass(frozen=True)
class Given:
    """A matrix to compute on.

    Attributes:
        R: (T, T).
        baseline: (T,) accuracies before any training, if they are known.
    """

    R: Array
    baseline: Array | None


def explain(name: str | None, matrix: str | None) -> Iterator[RenderableType]:
    """A definition, or all of a family, with values on `matrix` where there is one.

    Raises:
        InputError: There is no such definition, or no such matrix.
    """
    if name is None:
        yield _overview()
        return
    if name in MEANINGS:
        yield from _meaning(name, matrix)
        return
    wanted = _wanted(name)
    given = None if matrix is None else read(matrix)
    head = wanted[0]
    yield Text(head.family, style="bold")
    for title, value in (
        ("definition", f"{head.name}: {head.formula}"),
        ("where", "R[i, j] accuracy on task j after experience i; T of each"),
        ("source", head.source),
        ("computed by", head.users or "-"),
        ("undefined", head.undefined or "never"),
    ):
        yield Text.assemble((f"{title:12}", "dim"), value)
    if len(wanted) > 1 or given is not None:
        yield Text()
        yield _table(wanted, given)


def _meaning(name: str, matrix: str | None) -> Iterator[RenderableType]:
    """A number that no matrix of accuracies holds."""
    meaning = MEANINGS[name]
    if matrix is not None:
        raise InputError(
            f"{name} is computed from {meaning.family}, not from {matrix}: a record's "
            f"rows and the outcomes beside it have it"
        )
    yield Text(meaning.family, style="bold")
    for title, value in (
        ("definition", f"{name}: {meaning.formula}"),
        ("where", WHERE[meaning.family]),
        ("source", meaning.source),
        ("undefined", meaning.undefined or "never"),
    ):
        yield Text.assemble((f"{title:12}", "dim"), value)


def print_conformance() -> None:
    """The conformance table, as JSON."""
    sys.stdout.write(conformance.text())


def read(matrix: str) -> Given:
    """The matrix of a record, of `FILE.npz:NAME`, or of a file of comma-separated rows.

    Raises:
        InputError: It cannot be read, or has not one task for each experience.
    """
    place, _, key = matrix.partition(".npz")
    path = Path(f"{place}.npz" if key or matrix.endswith(".npz") else matrix)
    if not path.is_file():
        raise InputError(f"{path}: there is no such file")
    if path.suffix == ".json":
        given = _of_record(path)
    elif path.suffix == ".npz":
        given = Given(_of_npz(path, key.removeprefix(":")), None)
    else:
        try:
            given = Given(np.loadtxt(path, delimiter=",", ndmin=2), None)
        except ValueError as error:
            raise InputError(
                f"{path} is neither a record, nor an .npz file, nor comma-separated "
                f"rows of numbers: {error}"
            ) from error
    if given.R.ndim != 2 or given.R.shape[0] != given.R.shape[1]:
        raise InputError(
            f"{matrix} has shape {given.R.shape}: one row for each experience and one "
            f"column for each task are needed, and as many of the one as of the other"
        )
    return given


def _of_record(path: Path) -> Given:
    from clbench import record

    found = record.read(path).matrix()
    order = sorted(found.tasks, key=lambda task: found.learned.get(task, math.inf))
    columns = [found.tasks.index(task) for task in order]
    rows = found.array()[:, columns]
    return Given(rows[1:], rows[0])


def _of_npz(path: Path, key: str) -> Array:
    try:
        with np.load(path, allow_pickle=False) as file:
            if key not in file.files:
                near = nearest(key, file.files)
                raise InputError(
                    f"{path} holds no array '{key}'{near}; it holds "
                    f"{', '.join(file.files)}: name one as {path}:{file.files[0]}"
                )
            found: Array = file[key].astype(float)
            return found
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is no .npz file of arrays: {error}") from error


def _wanted(name: str) -> list[Definition]:
    """The family `name`, or the one definition of that name first and its family."""
    spoken = name.replace("_", " ").lower()
    for family in families():
        if spoken == family:
            return [entry for entry in DEFINITIONS if entry.family == family]
    for entry in DEFINITIONS:
        if name == entry.name:
            others = [e for e in DEFINITIONS if e.family == entry.family and e != entry]
            return [entry, *others]
    known = [f.replace(" ", "_") for f in families()]
    known += [*(e.name for e in DEFINITIONS), *MEANINGS]
    raise InputError(
        f"unknown metric '{name}'{nearest(name, known)} (all: clbench explain)"
    )


def _table(entries: list[Definition], given: Given | None) -> Table:
    table = Table("name", box=None, padding=(0, 2, 0, 0))
    if given is not None:
        table.add_column("value", justify="right")
    for title in ("formula", "computed by"):
        table.add_column(title)
    for entry in entries:
        cells = [entry.name]
        if given is not None:
            value = entry.value(given.R, given.baseline)
            cells.append("-" if math.isnan(value) else f"{value:.4g}")
        # As texts: brackets of a formula are no markup.
        cells += [entry.formula, entry.users or "-"]
        table.add_row(*map(Text, cells))
    return table


def _overview() -> Table:
    table = Table("metric", "definitions", box=None, padding=(0, 2, 0, 0))
    for family in families():
        names = [entry.name for entry in DEFINITIONS if entry.family == family]
        table.add_row(family, ", ".join(names))
    for about in WHERE:
        names = [name for name, m in MEANINGS.items() if m.family == about]
        table.add_row(about, ", ".join(names))
    return table
