"""`track=trackio`: Trackio's folder on this machine, or the Space it is told of."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import trackio

from clbench.tracking.base import PROJECT, Description, Point, Tracker


class Trackio(Tracker):
    """A run in the project `clbench`, grouped by scenario.

    Trackio itself decides by TRACKIO_DIR where its database lies.
    """

    def begin(self, description: Description, folder: Path) -> None:
        trackio.init(
            project=PROJECT,
            name=description.name,
            group=description.group,
            config=dict(description.config),
            embed=False,
            auto_log_gpu=False,
            auto_log_cpu=False,
        )
        self._last = 0

    def log(self, point: Point) -> None:
        trackio.log({point.axis: point.at, **point.values}, step=point.at)
        self._last = max(self._last, point.at)

    def end(self, summary: Mapping[str, float]) -> str:
        trackio.log(dict(summary), step=self._last)
        # Not the run by itself, which would be finished again when Python ends.
        trackio.finish()
        return f'(trackio show --project "{PROJECT}")'
