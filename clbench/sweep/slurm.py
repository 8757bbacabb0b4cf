"""Jobs of a SLURM cluster, by submitit; or processes here, as submitit would run them.

submitit hands a job over in a file of its own, which is a pickle of two texts and of
the name of a function. The way back is a letter: nothing here reads a pickle.
"""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clbench.contract import InputError, nearest
from clbench.sweep import letters
from clbench.sweep.job import Ending
from clbench.sweep.letters import Letter
from clbench.sweep.processors import THREADS

if TYPE_CHECKING:
    from submitit import Executor, Job

MINUTES = 240
"""Of a job, unless `slurm.time` is given. A longer cell goes on in another job."""

LOOK = 3.0
"""Seconds between two questions of whether jobs run."""

LAST = 3.0
"""Seconds for jobs to end whose letters are answered, and for submitit to say so."""


class Slurm:
    """Submits jobs.

    Args:
        folder: For submitit's files: there on every machine.
        threads: Of each cell.
        gpus: Of each cell.
        here: Whether jobs are processes of this machine.
        given: What `slurm.` keys say: parameters of `sbatch`.

    Raises:
        InputError: There is no submitit or no SLURM, or a key is none.
    """

    def __init__(
        self,
        folder: Path,
        threads: int,
        gpus: int,
        here: bool,
        given: Mapping[str, Any],
    ) -> None:
        try:
            import submitit
        except ImportError as error:
            raise InputError(
                "executor=slurm needs submitit: pip install 'clbench[slurm]'"
            ) from error
        self.threads = threads
        self.place = "submitit's local jobs" if here else "jobs of SLURM"
        self._folder, self._here = folder, here
        self._jobs: dict[Path, Job[None]] = {}
        self._asked: dict[Path, float] = {}
        kind = submitit.LocalExecutor if here else submitit.SlurmExecutor
        try:
            self._executor: Executor = kind(folder)
        except RuntimeError as error:
            raise InputError(
                "executor=slurm: there is no `srun` here, so this is no machine of a "
                "SLURM cluster; executor=local runs cells on this one"
            ) from error
        self._configure(gpus, given)

    def submit(self, letters_: Sequence[Letter]) -> None:
        """Submit a job for each; several are one array.

        Raises:
            InputError: SLURM does not take them.
        """
        try:
            with _threads(self.threads), self._executor.batch():
                jobs = [
                    self._executor.submit(answer, letter.text, str(letter.path))
                    for letter in letters_
                ]
        except Exception as error:
            # Whatever `sbatch` says: of a partition, an account, a limit.
            said = " ".join(str(error).split())
            raise InputError(f"SLURM does not take the jobs: {said}") from error
        self._jobs |= {each.path: job for each, job in zip(letters_, jobs, strict=True)}

    def gone(self, letter: Letter) -> Ending | None:
        """What became of a job that runs no more; None where it waits or runs."""
        now = time.monotonic()
        if now - self._asked.get(letter.path, -LOOK) < LOOK:
            return None
        self._asked[letter.path] = now
        job = self._jobs[letter.path]
        if not job.done():
            return None
        return Ending(
            "killed",
            f"its job {job.job_id} ended without a word ({job.state}), as when memory "
            f"is short; its log: {job.paths.stderr}",
        )

    def end(self, letter: Letter) -> None:
        """End a job at once, or take it back."""
        job = self._jobs[letter.path]
        if self._here:
            # Its controller passes SIGTERM on to the cell, which stops, and ends then.
            with suppress(ProcessLookupError):
                os.kill(int(job.job_id), signal.SIGTERM)
        else:
            job.cancel(check=False)

    def close(self, lost: Collection[Path]) -> None:
        """Remove submitit's files, but for those of jobs that were lost."""
        done = {path: job for path, job in self._jobs.items() if path not in lost}
        end = time.monotonic() + LAST
        while time.monotonic() < end and not all(job.done() for job in done.values()):
            time.sleep(0.1)
        for job in done.values():
            for file in self._folder.glob(f"{job.job_id}_*"):
                file.unlink(missing_ok=True)
        # Names that submitit had given to scripts before their job had a number.
        for link in self._folder.glob(".submission_file_*"):
            if not link.exists():
                link.unlink(missing_ok=True)
        with suppress(OSError):
            self._folder.rmdir()

    def _configure(self, gpus: int, given: Mapping[str, Any]) -> None:
        """Tell submitit what each job needs.

        Raises:
            InputError: A key is none.
        """
        if self._here:
            self._executor.update_parameters(timeout_min=MINUTES, gpus_per_node=gpus)
            return
        known = {"time": MINUTES, "job_name": "clbench", "cpus_per_task": self.threads}
        if gpus:
            known["gpus_per_node"] = gpus
        try:
            self._executor.update_parameters(**{**known, **given})
        except ValueError as error:
            names = re.findall(r"^  - (\w+) ", str(error), re.M)
            wrong = [name for name in given if name not in names]
            if not (names and wrong):
                raise InputError(f"slurm: {' '.join(str(error).split())}") from error
            raise InputError(
                f"unknown key 'slurm.{wrong[0]}'{nearest(wrong[0], names)} "
                f"(the options of sbatch, with _ for -)"
            ) from error


def answer(text: str, path: str) -> None:
    """Run a job on a machine of the cluster; see `letters.answer`.

    Shortly before its time is over, or when it has to make way, SLURM sends a signal:
    the cell stops with a checkpoint, and the sweep submits it again.
    """

    def stop(number: int, frame: object) -> None:
        signal.raise_signal(signal.SIGINT)

    for each in (signal.SIGUSR2, signal.SIGTERM):
        signal.signal(each, stop)
    letters.answer(text, path)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Within, processes that are started are told how many threads to use."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, str(count)))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
