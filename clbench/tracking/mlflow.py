"""`track=mlflow`: the server in MLFLOW_TRACKING_URI, or files."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from mlflow import MlflowClient
from mlflow.entities import Metric, Param

from clbench.tracking.base import PROJECT, Description, Point, Tracker

T = TypeVar("T")

SERVER = "MLFLOW_TRACKING_URI"
FILES = "MLFLOW_ALLOW_FILE_STORE"

_REFUSED = re.compile(r"[^\w./ :-]")
"""Characters that MLflow takes in no name."""

MOST_METRICS, MOST_PARAMS = 1000, 100
"""What MLflow takes at once."""


class Mlflow(Tracker):
    """A run in the experiment `clbench`.

    The client is used without MLflow's fluent interface, which would note the user, the
    host's files and the command line.
    """

    def begin(self, description: Description, folder: Path) -> None:
        place = os.environ.get(SERVER) or (folder / "mlflow").as_uri()
        self._files = place.startswith("file:")
        with self._open():
            self._client = MlflowClient(tracking_uri=place)
            known = self._client.get_experiment_by_name(PROJECT)
            experiment = (
                known.experiment_id
                if known is not None
                else self._client.create_experiment(PROJECT)
            )
            run = self._client.create_run(
                experiment,
                run_name=description.name,
                tags={"scenario": description.group},
            )
        self._run, self._place = run.info.run_id, place
        self._metrics: list[Metric] = []
        params = [Param(k, str(v)) for k, v in description.config.items()]
        for part in _parts(params, MOST_PARAMS):
            with self._open():
                self._client.log_batch(self._run, params=part)

    def log(self, point: Point) -> None:
        self._add(point.values, point.at)

    def end(self, summary: Mapping[str, float]) -> str:
        self._add(summary, 0)
        with self._open():
            for part in _parts(self._metrics, MOST_METRICS):
                self._client.log_batch(self._run, metrics=part)
            self._client.set_terminated(self._run)
        return f"{self._place} (run {self._run})"

    def _add(self, values: Mapping[str, float], step: int) -> None:
        now = int(1000 * time.time())
        self._metrics += [
            Metric(_REFUSED.sub("_", k), v, now, step) for k, v in values.items()
        ]

    @contextmanager
    def _open(self) -> Iterator[None]:
        """Within, MLflow writes files, which it otherwise wants a database for."""
        before = os.environ.get(FILES)
        if self._files:
            os.environ[FILES] = "true"
        try:
            yield
        finally:
            if before is None:
                os.environ.pop(FILES, None)
            else:
                os.environ[FILES] = before


def _parts(values: Sequence[T], most: int) -> Iterator[Sequence[T]]:
    """`values` in parts of `most` at the most."""
    for start in range(0, len(values), most):
        yield values[start : start + most]
