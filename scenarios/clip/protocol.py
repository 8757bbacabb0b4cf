"""Protocols: which tasks, in which order, with which prompts; kept as data files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from clbench.contract import InputError
from clbench.seeding import derive

FOLDER = Path(__file__).parent / "protocols"

Labels = Literal["own", "union"]
Objective = Literal["image", "symmetric", "balanced"]

TEMPLATE = "a photo of a {}."
"""The prompt of a class of which nothing else is known."""


class SplitFile(BaseModel):
    """Where a dataset's split of its images lies, below the folder of the data.

    Attributes:
        file: JSON with lists `train` and `test` of path, label and name of the class.
        images: Folder that the paths are relative to.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str
    images: str


class TaskSpec(BaseModel):
    """One task as a protocol states it.

    Attributes:
        source: Class of torchvision that reads it; `pocket` is the embedded world,
            `folder` a folder of classes, and `split` a file that lists the images.
        split: That file.
        templates: Prompts with `{}` for the class; the first one is trained with.
        classes: Names in the order of the labels; None takes the data's own, with
            spaces for underscores.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str
    split: SplitFile | None = None
    templates: tuple[str, ...]
    classes: tuple[str, ...] | None = None


class Protocol(BaseModel):
    """What a stream of tasks is and how it is scored.

    Attributes:
        title: What it is and where it comes from.
        version: Raised whenever a prompt or a name changes.
        labels: `own` scores a task among its own classes (its identity is known at
            test); `union` among those of all tasks, at every stage.
        ensemble: Whether all templates are averaged at test; else the first counts.
        objective: Loss, where the user does not choose one.
        label_smoothing: Of that loss.
        shots: Training images of each class; None is all of them.
        steps_per_task: Optimizer steps on each task.
        batch_size: Images in a step.
        tasks: By their names.
        orders: Named orders of the tasks; the first is the default.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str
    version: int
    labels: Labels
    ensemble: bool
    objective: Objective
    label_smoothing: float
    shots: int | None
    steps_per_task: int
    batch_size: int
    tasks: Mapping[str, TaskSpec]
    orders: Mapping[str, tuple[str, ...]]

    @property
    def sha256(self) -> str:
        """Hash of all that it says."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def order(self, name: str | None, shuffle: int | None) -> tuple[str, ...]:
        """Tasks in the order `name`, or shuffled by the seed `shuffle`.

        Raises:
            InputError: There is no such order.
        """
        known = list(self.orders)
        chosen = known[0] if name is None else name
        if chosen not in self.orders:
            raise InputError(
                f"scenario.order={chosen} is no order of this protocol; it has "
                f"{', '.join(known)}, and scenario.order_seed=0,1,2 shuffles"
            )
        tasks = self.orders[chosen]
        if shuffle is None:
            return tasks
        rng = np.random.default_rng(derive(shuffle, "order of tasks"))
        return tuple(tasks[i] for i in rng.permutation(len(tasks)))


def read(name: str) -> Protocol:
    """The protocol `name`, one of the files in `protocols`."""
    text = (FOLDER / f"{name}.json").read_text(encoding="utf-8")
    return Protocol.model_validate_json(text)


def of_folders(names: Sequence[str]) -> Protocol:
    """A stream of folders, each a task of its own; embedded budget and one prompt.

    Raises:
        InputError: No folder is named, or one is named twice.
    """
    twice = sorted({name for name in names if list(names).count(name) > 1})
    if not names or twice:
        what = f"names '{twice[0]}' twice" if twice else "is empty"
        raise InputError(
            f"scenario.datasets {what}; name folders in scenario.root, in the order of "
            f"the stream, as in scenario.datasets=[caltech101,dtd]"
        )
    spec = TaskSpec(source="folder", templates=(TEMPLATE,))
    pocket = read("pocket")
    return pocket.model_copy(
        update={
            "title": "Folders of images, each a task",
            "tasks": dict.fromkeys(names, spec),
            "orders": {"given": tuple(names)},
        }
    )
