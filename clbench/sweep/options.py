"""How a sweep is run: its keys on the command line, beside those of its cells."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_types import Ge

from clbench import grammar, schema
from clbench.contract import Count, InputError
from clbench.sweep import distant, processors

if TYPE_CHECKING:
    from clbench.options import Options
    from clbench.sweep.executor import Executor

CLUSTERS = ("slurm", "ray")
"""What has keys of its own: `slurm.partition=gpu`."""


@dataclass(frozen=True, kw_only=True)
class SweepOptions:
    """How a sweep is run; none of it changes a number.

    Attributes:
        executor: What runs cells: processes here, jobs of SLURM, jobs of SLURM as they
            would be but here, or a Ray cluster.
        workers: Cells at a time; null is as many as there are GPUs or else processors,
            and on a cluster all of them.
        retries: How often a cell that failed is tried again.
    """

    executor: Literal["local", "slurm", "submitit-local", "ray"] = "local"
    workers: Count | None = None
    retries: Annotated[int, Ge(0)] = 1


@dataclass(frozen=True)
class Asked:
    """What a command line says of a sweep.

    Attributes:
        words: The rest: those that say what the cells are.
        options: How it is run.
        cluster: Keys of `slurm.` or `ray.`, without that.
    """

    words: Sequence[str]
    options: SweepOptions
    cluster: Mapping[str, Any] = field(default_factory=dict)


def read(words: Sequence[str]) -> Asked:
    """Part `words` into those of the sweep and those of its cells.

    Raises:
        InputError: One of the sweep's has no such value.
    """
    known = schema.parameters(SweepOptions)
    rest, values, cluster = [], {}, {}
    for word in words:
        setting = grammar.parse(word)
        first, _, name = setting.key.partition(".")
        if setting.key in known:
            values[setting.key] = schema.check(
                known, setting.key, setting.value, key=setting.key, see=SEE
            )
        elif first in CLUSTERS and name:
            cluster[first, name] = setting.value
        else:
            rest.append(word)
    options = SweepOptions(**values)
    mine = "ray" if options.executor == "ray" else "slurm"
    for first, name in cluster:
        if first != mine or options.executor == "local":
            raise InputError(
                f"{first}.{name} is for executor={first}, and this is "
                f"executor={options.executor} ({SEE})"
            )
    return Asked(rest, options, {name: value for (_, name), value in cluster.items()})


SEE = "clbench sweep --help"

KEYS = ("executor", "workers", "retries", "slurm.KEY", "ray.KEY")
"""Those of a sweep, for messages about keys that are none."""


def launched() -> None:
    """Refuse to be one of several processes of one cell.

    Raises:
        InputError: Something such as `accelerate launch` has started this process as
            one of several.
    """
    if os.environ.get("WORLD_SIZE", "1") not in ("", "1"):
        raise InputError(
            "a sweep starts its own processes and cannot be launched as several: "
            "clbench sweep for many cells, accelerate launch -m clbench run for one "
            "cell on several devices"
        )


def choose(asked: Asked, options: Options, cells: int) -> Executor:
    """What is to run `cells` cells.

    Raises:
        InputError: It cannot be had here, or a key of the cluster is none.
    """
    wanted, given = asked.options, asked.cluster
    if wanted.executor == "local":
        from clbench.sweep import local

        devices = processors.gpus(options.device)
        workers = _workers(wanted, len(devices), cells)
        return local.Local(workers, _threads(options, workers), devices)
    gpus = int(options.device == "cuda")
    if wanted.executor == "ray":
        from clbench.sweep import on_ray

        workers = _workers(wanted, 0, cells)
        ray = on_ray.Ray(workers, _threads(options, workers), gpus, given)
        return distant.Distant(ray, workers, options.out)
    from clbench.sweep import slurm

    here = wanted.executor == "submitit-local"
    workers = _workers(wanted, 0, cells) if here else wanted.workers or cells
    threads = _threads(options, workers) if here else options.threads or 1
    folder = (options.out / distant.FOLDER / "jobs").resolve()
    jobs = slurm.Slurm(folder, threads, gpus, here, given)
    return distant.Distant(jobs, workers, options.out)


def _workers(wanted: SweepOptions, gpus: int, cells: int) -> int:
    """Cells at a time on this machine."""
    return max(1, min(wanted.workers or gpus or processors.cores(), cells))


def _threads(options: Options, workers: int) -> int:
    """Threads of each of them."""
    return options.threads or max(1, processors.cores() // workers)
