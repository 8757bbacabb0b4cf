"""`track=wandb`: Weights & Biases; WANDB_MODE=offline keeps runs in a folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import wandb

from clbench.tracking.base import PROJECT, Description, Point, Tracker

SETTINGS = {
    "console": "off",
    "disable_git": True,
    "disable_code": True,
    "save_code": False,
    "disable_job_creation": True,
    "x_disable_meta": True,
    "x_disable_stats": True,
    "x_disable_machine_info": True,
    "x_save_requirements": False,
    "host": "",
    "silent": True,
}
"""Nothing is sent of the machine, its packages, the code, or what is printed."""


class Wandb(Tracker):
    """A run in the project `clbench`, grouped by scenario."""

    def begin(self, description: Description, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._run = wandb.init(
            project=PROJECT,
            name=description.name,
            group=description.group,
            config=dict(description.config),
            dir=str(folder),
            settings=wandb.Settings(**SETTINGS),
        )
        for axis, names in (
            ("experience", ("matrix",)),
            ("optimizer_step", ("evaluation", "train")),
        ):
            self._run.define_metric(axis)
            for name in names:
                self._run.define_metric(f"{name}/*", step_metric=axis)

    def log(self, point: Point) -> None:
        self._run.log({point.axis: point.at, **point.values})

    def end(self, summary: Mapping[str, float]) -> str:
        self._run.summary.update(dict(summary))
        place = self._run.url or self._run.settings.sync_dir
        self._run.finish()
        return str(place)
