"""Which files a cell of `nlu` reads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clbench.assets.need import Local, Need
from clbench.models.needs import transformers_needs

from .tasks import TASKS


def need(task: str, root: Path | None) -> Local:
    """The files of one task of GLUE."""
    columns = TASKS[task].columns
    assert columns is not None
    return Local(
        kind="data",
        name=f"nlu/{task}",
        key="scenario.root",
        home="https://gluebenchmark.com/tasks",
        licence="see there",
        ask="scenario.root=DIR",
        place=root,
        patterns=tuple(f"{columns.folder}/{part}.tsv" for part in ("train", "dev")),
    )


SOURCES: tuple[Local, ...] = tuple(
    need(name, None) for name, task in TASKS.items() if task.columns is not None
)


def needs(params: Mapping[str, Any]) -> tuple[Need, ...]:
    """The files of the tasks, and the encoder's weights."""
    found = transformers_needs(params["backbone"], "encoder")
    if params["root"] is None:
        return found
    root = Path(params["root"]).expanduser()
    glue = [name for name, task in TASKS.items() if task.columns is not None]
    tasks = params["tasks"] or glue
    return (*(need(name, root) for name in tasks if name in glue), *found)
