"""The commands that run cells. What they do is imported when they are called."""

# ruff: noqa: UP045 - typer reads `Optional` at run time
from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

Overrides = Annotated[
    Optional[list[str]], typer.Argument(metavar="KEY=VALUE...", show_default=False)
]
Force = Annotated[bool, typer.Option("--force", help="Run again what has a record.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Show no progress and no tables.")]
Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON object a cell, nothing else.")
]
Deterministic = Annotated[
    bool,
    typer.Option(
        "--deterministic",
        help="Take deterministic kernels alone (deterministic=true); fail without.",
    ),
]
Offline = Annotated[
    bool,
    typer.Option(
        "--offline",
        help="Ask no network (offline=true); list at once what is missing.",
    ),
]

RUN_HELP = """Run cells: every combination of the values given.

\b
[bold]Examples[/]
  clbench run strategy=pego scenario=dg
  clbench run strategy=pego,lora scenario=dg seed=0,1,2
  clbench run strategy=pego strategy.rank=8 scenario=dg scenario.target=sketch
  clbench run strategy=a+b strategy.a.rank=8 scenario=dg recipe.lr=1e-3
  clbench run +experiment=saved.yaml 'seed=range(3)' device=cuda

\b
[bold]Keys[/]
  strategy=NAME           A,B is a sweep; A+B learn together
  strategy.KEY=VALUE      of A+B: strategy.A.KEY (clbench show strategy=NAME)
  scenario=NAME           (clbench list)
  scenario.KEY=VALUE      (clbench show scenario=NAME)
  seed=NUMBER             0 unless given
  recipe.KEY=VALUE        the optimizer (clbench show recipe)
  precision= accumulate= compile= gradient_checkpointing=
                          how steps are computed (clbench show execution)
  device= out= plugins= tuned= threads= track= checkpoint.every= deterministic=
  offline= lock= trust_remote_code=
                          (clbench show options)
  +experiment=FILE        what --config printed; keys beside it go above it

\b
[bold]Values[/], in Hydra's override grammar (quote them for your shell)
  0,1,2                   a sweep, one cell for each; also range(3), choice(0,1)
  \\[a,b]                   one list
  'a,b'                   one text
  null true false 1e-3    no value, truth values, numbers

A cell whose record exists is not run again; one that was stopped goes on from its
checkpoint. Exit code: 0 done (a cell that is
unsupported says why), 1 a cell failed, 2 bad input, 130 interrupted.
"""

SWEEP_HELP = """Run cells as `clbench run` does, several at a time.

\b
[bold]Examples[/]
  clbench sweep strategy=pego,lora,codyra scenario=dg,clip seed=0,1,2
  clbench sweep strategy=pego scenario=dg seed=0,1,2 workers=2 threads=1
  clbench sweep strategy=lora scenario=dg device=cuda executor=slurm \\
      slurm.partition=gpu slurm.time=120
  clbench sweep strategy=lora scenario=dg executor=ray ray.address=auto
  clbench sweep strategy=pego,lora scenario=dg,clip seed=0,1,2 --plan

\b
[bold]Keys[/], beside those of `clbench run`
  executor=local          worker processes here; also slurm, ray, submitit-local
  workers=NUMBER          cells at a time; unless given as many as there are GPUs, or
                          else processors
  threads=NUMBER          of each worker; unless given they share the processors
  retries=1               how often a cell that failed is tried again
  slurm.KEY=VALUE         an option of sbatch for each job
  ray.KEY=VALUE           address, or what a cell needs: num_cpus, num_gpus, memory

A cell whose record exists is not run again, one that was stopped goes on from its
checkpoint, one that another process runs is left to it. The first Ctrl-C lets cells
write a checkpoint, the second ends them. Exit code: as of `clbench run`.
"""


def run(
    overrides: Overrides = None,
    force: Force = False,
    quiet: Quiet = False,
    json: Json = False,
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="Short for scenario.cache=false.")
    ] = False,
    deterministic: Deterministic = False,
    offline: Offline = False,
    config: Annotated[
        bool,
        typer.Option("--config", help="Print the resolved configuration; run nothing."),
    ] = False,
) -> None:
    """Run cells. See `RUN_HELP`."""
    from clbench.cli import running

    words = [*(overrides or []), *(["scenario.cache=false"] if no_cache else [])]
    words += _asked(deterministic=deterministic, offline=offline)
    if config:
        raise typer.Exit(running.configure(words))
    raise typer.Exit(running.run(words, force=force, quiet=quiet, json=json))


def sweep(
    overrides: Overrides = None,
    force: Force = False,
    quiet: Quiet = False,
    json: Json = False,
    deterministic: Deterministic = False,
    offline: Offline = False,
    plan: Annotated[
        bool,
        typer.Option(
            "--plan", help="Print cells, steps, hours, disk and memory; run nothing."
        ),
    ] = False,
) -> None:
    """Run many cells at once. See `SWEEP_HELP`."""
    from clbench.cli import sweeping

    words = overrides or []
    words = [*words, *_asked(deterministic=deterministic, offline=offline)]
    raise typer.Exit(
        sweeping.sweep(words, force=force, quiet=quiet, json=json, plan=plan)
    )


def _asked(**flags: bool) -> list[str]:
    """The words that options stand for."""
    return [f"{name}=true" for name, given in flags.items() if given]


def resume(
    place: Annotated[Path, typer.Argument(metavar="RUN|FOLDER")],
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Go on with cells that were stopped, each from its newest checkpoint.

    RUN is a checkpoint or the record beside it, FOLDER has any number of them. The
    command that ran a cell goes on with it as well.
    Examples: clbench resume runs · clbench resume runs/dg/pego--1a2b3c4d5e6f.json
    """
    from clbench.cli import running

    raise typer.Exit(running.resume(place, quiet=quiet, json=json))
