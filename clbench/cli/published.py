"""Commands about records that others made, or are to see: `verify` and `submit`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console


def verify(
    words: Annotated[
        list[str], typer.Argument(metavar="RECORD... [scenario.root=DIR] [device=]")
    ],
    quick: Annotated[
        bool, typer.Option("--quick", help="Run the first part only: a few rows.")
    ] = False,
    within: Annotated[
        float,
        typer.Option("--within", min=0, help="Difference that counts as equal."),
    ] = 0.0,
    quiet: Annotated[
        bool, typer.Option("--quiet", help="Show no progress, the verdicts only.")
    ] = False,
) -> None:
    """Run the cells of records again and say `equal`, or where they differ.

    A record is never touched. It runs with its own parameters and as many threads as it
    had; where its data lie is given again. Keys: scenario.root= device= threads=
    plugins=. Exit code: 0 all are equal, 1 one differs, 2 one cannot be run here.

    Example: clbench verify runs/dg/*.json --quick
    """
    from clbench.cli import verifying

    code = verifying.verify(
        words, quick=quick, within=within, silent=quiet, console=Console()
    )
    raise typer.Exit(code)


def submit(
    records: Annotated[list[Path], typer.Argument(metavar="RECORD...")],
    into: Annotated[
        Path, typer.Option("--into", metavar="DIR", help="Folder of the boards.")
    ] = Path("leaderboards"),
    allow_dirty: Annotated[
        bool,
        typer.Option("--allow-dirty", help="Take records of a changed checkout too."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Look at the records, copy nothing.")
    ] = False,
) -> None:
    """Look at records and copy those that may join the published ones.

    A damaged or edited record, a failed cell, another budget, unknown versions, and
    other numbers than the published ones are refused, each with its reason. Exit code:
    0 all records are published, 2 one was refused.

    Example: clbench submit runs/dg/*.json
    """
    from clbench.cli import submitting

    code = submitting.submit(
        records, into, allow_dirty=allow_dirty, dry_run=dry_run, console=Console()
    )
    raise typer.Exit(code)
