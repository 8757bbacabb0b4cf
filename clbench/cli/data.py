"""`clbench data`. What its commands do is imported when they are called."""

# ruff: noqa: UP045 - typer reads `Optional` at run time
from __future__ import annotations

import sys
from typing import Annotated, Optional

import typer
from rich.console import Console

Words = Annotated[
    Optional[list[str]],
    typer.Argument(metavar="[KEY=VALUE...]", show_default=False),
]

HELP = """Data and weights that cells read: list, prepare, lock, verify.

\b
[bold]Examples[/]
  clbench data list
  clbench data list strategy=pego scenario=dg scenario.dataset=pacs scenario.root=DIR
  clbench data prepare strategy=lora scenario=clip scenario.backbone=OWNER/MODEL@REV
  clbench data lock strategy=lora scenario=clip seed=0,1,2 lock=clbench.lock
  clbench data verify strategy=lora scenario=clip lock=clbench.lock
  clbench run strategy=lora scenario=clip lock=clbench.lock --offline

Words are those of `clbench run`: they name cells, and cells say what they read.
"""

data = typer.Typer(
    help=HELP,
    no_args_is_help=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


@data.command("list")
def list_(words: Words = None) -> None:
    """List data sets and weights: what there is, what is here, under which licence.

    With the words of cells, what these read and whether it is here. Nothing is fetched.
    """
    from clbench.cli import assets

    assets.show(words or [], Console())


@data.command()
def prepare(words: Words = None) -> None:
    """Fetch what the cells read and is not here, and verify it.

    Repositories of the hub and plain files; a download that stopped is gone on with.
    Exit code: 0 all is here, 1 something is not, and where it can be had.
    """
    from clbench.cli import assets

    raise typer.Exit(assets.prepare(words or [], Console()))


@data.command()
def lock(words: Words = None) -> None:
    """Write a lock file of what the cells read, each file with its SHA-256.

    To lock=FILE, or to the standard output. `clbench run lock=FILE` refuses what
    differs.
    """
    from clbench.cli import assets

    raise typer.Exit(assets.write(words or [], Console(file=sys.stderr)))


@data.command()
def verify(words: Words = None) -> None:
    """Read every file again, and say which are not what they were.

    Compares with lock=FILE, else with what was read before; RECORD.json is compared
    with what it says. Exit code: 0 as it was, 1 something differs.
    """
    from clbench.cli import assets

    raise typer.Exit(assets.verify(words or [], Console()))
