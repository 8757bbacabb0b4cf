"""Tasks of a Ray cluster: one that is there, or one on this machine."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from clbench.contract import InputError, nearest
from clbench.places import VARIABLE
from clbench.sweep import letters
from clbench.sweep.job import Ending
from clbench.sweep.letters import Letter
from clbench.sweep.processors import THREADS

KEYS = ("address", "num_cpus", "num_gpus", "memory", "resources")
"""`ray.address` is the cluster; the others are what a cell needs of it."""


class Ray:
    """Has tasks run.

    Args:
        workers: Cells at a time, where Ray is started for them.
        threads: Of each cell.
        gpus: Of each cell.
        given: What `ray.` keys say.

    Raises:
        InputError: There is no Ray or no such cluster, or a key is none.
    """

    def __init__(
        self, workers: int, threads: int, gpus: int, given: Mapping[str, Any]
    ) -> None:
        for name in given:
            if name not in KEYS:
                raise InputError(f"unknown key 'ray.{name}'{nearest(name, KEYS)}")
        # It would report how it is used, over the network.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        try:
            import ray
        except ImportError as error:
            raise InputError(
                "executor=ray needs Ray: pip install 'clbench[ray]'"
            ) from error
        self.threads = threads
        self._ray = ray
        self._needs = {"num_cpus": threads, "num_gpus": gpus, **given}
        address = self._needs.pop("address", None) or os.environ.get("RAY_ADDRESS")
        self._connect(address, workers)
        nodes = len(ray.nodes())
        self.place = f"Ray, {nodes} machine{'s' if nodes > 1 else ''}"
        self._tasks: dict[Path, Any] = {}

    def submit(self, letters_: Sequence[Letter]) -> None:
        """Have a task run for each."""
        variables = dict.fromkeys(THREADS, str(self.threads))
        if (plugins := os.environ.get(VARIABLE)) is not None:
            variables[VARIABLE] = plugins
        task = self._ray.remote(letters.answer).options(
            max_retries=0, runtime_env={"env_vars": variables}, **self._needs
        )
        for letter in letters_:
            self._tasks[letter.path] = task.remote(letter.text, str(letter.path))

    def gone(self, letter: Letter) -> Ending | None:
        """What became of a task that runs no more; None where it waits or runs."""
        task = self._tasks[letter.path]
        ready, _ = self._ray.wait([task], timeout=0)
        if not ready:
            return None
        known = self._ray.exceptions
        try:
            self._ray.get(task)
        except (known.WorkerCrashedError, known.OutOfMemoryError) as error:
            why = type(error).__name__
            text = f"its worker was killed ({why}), as when memory is short"
            return Ending("killed", text)
        except known.RayError as error:
            said = str(error).strip().splitlines()
            return Ending("lost", said[-1] if said else type(error).__name__)
        return Ending("lost", "its letter has no end")

    def end(self, letter: Letter) -> None:
        """End a task at once, or take it back."""
        self._ray.cancel(self._tasks[letter.path], force=True)

    def close(self, lost: Collection[Path]) -> None:
        """Leave the cluster; one that was started for the sweep ends."""
        self._ray.shutdown()

    def _connect(self, address: str | None, workers: int) -> None:
        common: dict[str, Any] = {
            "logging_level": logging.ERROR,
            "log_to_driver": False,
            "configure_logging": False,
        }
        try:
            self._ray.init(address=address or "auto", **common)
        except (ConnectionError, ValueError, RuntimeError) as error:
            if address is not None:
                said = " ".join(str(error).split())
                raise InputError(
                    f"there is no Ray at ray.address={address}: {said}"
                ) from error
            self._ray.init(
                address="local",
                num_cpus=workers * self.threads,
                include_dashboard=False,
                **common,
            )
