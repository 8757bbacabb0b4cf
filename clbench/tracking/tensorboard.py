"""`track=tensorboard`: event files, one folder for each cell."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from clbench.tracking.base import Description, Point, Tracker


class Tensorboard(Tracker):
    """Writes to `tracking/tensorboard/<scenario>/<strategy>--<key>/`."""

    def begin(self, description: Description, folder: Path) -> None:
        self._config = dict(description.config)
        self._place = folder / "tensorboard" / description.group / description.name
        self._writer = SummaryWriter(str(self._place))

    def log(self, point: Point) -> None:
        for name, value in point.values.items():
            self._writer.add_scalar(name, value, point.at)

    def end(self, summary: Mapping[str, float]) -> str:
        self._writer.add_hparams(self._config, dict(summary), run_name=".")
        self._writer.close()
        return str(self._place)
