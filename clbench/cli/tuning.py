"""`clbench tune`: settings of a strategy, searched on held-out training data."""

# ruff: noqa: UP045 - typer reads `Optional` at run time
from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from clbench.cli.cells import Overrides, Quiet

TUNE_HELP = """Search the settings of a strategy for a scenario, and keep the best.

Trials are compared by a number of held-out training data that the scenario names;
the search is handed no test number. The winner becomes the strategy's tuned settings
for that scenario, which `clbench run` takes from then on.

\b
[bold]Examples[/]
  clbench tune strategy=pego scenario=dg
  clbench tune strategy=pego scenario=dg --trials 40 --print
  clbench tune strategy=pego scenario=clip --over recipe.lr recipe.lr=1e-3,3e-3,1e-2
  clbench tune strategy=ewc scenario=clip scenario.arrival=sequential

\b
[bold]Keys[/], beside those of `clbench run --help`
  recipe.lr=A,B,C         tries these and no others
  recipe.lr=A             stays A
  strategy.KEY=...        likewise; what is declared: clbench show strategy=NAME
  scenario.KEY=VALUE      the problem; what judges cannot be set
  seed=NUMBER             100 unless given; those below are for boards

Where every value is listed, all combinations are tried; else Optuna's TPE proposes,
after the default settings. Trials are cells with records below OUT/tuning: the same
command goes on where it was stopped, and a larger --trials goes on from there.
Exit code: 0 done, 1 no trial ended well, 2 bad input, 130 interrupted.
"""


def tune(
    overrides: Overrides = None,
    trials: Annotated[
        Optional[int],
        typer.Option(
            "--trials", min=1, help="Settings to try; 20, or all that are listed."
        ),
    ] = None,
    over: Annotated[
        Optional[list[str]],
        typer.Option("--over", metavar="KEY", help="Search this key only; repeatable."),
    ] = None,
    to: Annotated[
        Optional[Path],
        typer.Option(
            "--to",
            metavar="FILE|DIR",
            help="Where the winner is written; else beside the strategy's source.",
        ),
    ] = None,
    show: Annotated[
        bool,
        typer.Option("--print", "--dry-run", help="Search, write no settings."),
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Run trials again that have a record.")
    ] = False,
    retry: Annotated[
        bool, typer.Option("--retry", help="Run trials again that failed.")
    ] = False,
    quiet: Quiet = False,
    json: Annotated[
        bool,
        typer.Option("--json", help="Print one JSON object a trial, nothing else."),
    ] = False,
) -> None:
    """Search. See `TUNE_HELP`."""
    from clbench.cli import searching

    raise typer.Exit(
        searching.tune(
            overrides or [],
            trials=trials,
            over=over or [],
            to=to,
            show=show,
            force=force,
            retry=retry,
            quiet=quiet,
            json=json,
        )
    )
