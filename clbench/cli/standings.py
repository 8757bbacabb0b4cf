"""Commands about how strategies stand: `board` and `compare`."""

# ruff: noqa: UP045 - typer reads `Optional` at run time
from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer
from rich.console import Console


def board(
    words: Annotated[
        Optional[list[str]],
        typer.Argument(metavar="[SCENARIO...] [runs=DIR] [out=DIR]"),
    ] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", help="Write the boards, print their paths only.")
    ] = False,
    check: Annotated[
        bool,
        typer.Option("--check", help="Write nothing; exit code 1 if a board differs."),
    ] = False,
    no_page: Annotated[
        bool, typer.Option("--no-page", help="Leave index.html as it is.")
    ] = False,
    into: Annotated[
        Optional[Path],
        typer.Option(
            "--into", metavar="FILE", help="Write the heads of all boards there too."
        ),
    ] = None,
    missing: Annotated[
        bool,
        typer.Option(
            "--missing", help="Print the commands of cells that the boards lack."
        ),
    ] = False,
) -> None:
    """Compute the board of each scenario from its records.

    Writes SCENARIO.md, .csv and .json, and all boards there as one page, index.html.
    plan.yaml beside them says which cells they are to hold; --missing writes nothing.
    With --check: say which board was edited by hand and which published record does
    not count, a line each. Records in runs= are looked at only if it is given.
    Examples: clbench board · clbench board dg runs=runs out=leaderboards ·
    clbench board --missing · clbench board --check
    """
    from clbench.cli import boards

    if check:
        raise typer.Exit(boards.check(words or [], not no_page))
    if missing:
        boards.missing(words or [])
    else:
        boards.write(words or [], quiet, not no_page, into)


def compare(
    words: Annotated[
        Optional[list[str]],
        typer.Argument(metavar="A B scenario=NAME [runs=DIR] [out=DIR]"),
    ] = None,
    board: Annotated[
        Optional[list[str]],
        typer.Option("--board", metavar="ID", help="Permanent name of the board."),
    ] = None,
    boards: Annotated[
        bool,
        typer.Option("--boards", help="Rank what several boards have in common."),
    ] = False,
    test: Annotated[
        str, typer.Option("--test", metavar="nemenyi|wilcoxon", help="Of --boards.")
    ] = "nemenyi",
    plot: Annotated[
        Optional[Path],
        typer.Option("--plot", metavar="FILE.svg|FILE.png", help="Draw --boards."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare two rows of a board: difference, interval, p, and on which tasks.

    With --boards: mean ranks over the fullest board of each scenario, or over those
    that --board names, and a critical-difference diagram. Examples:
    clbench compare pego lora scenario=dg · clbench compare 'lora rank=8' lora
    scenario=clip · clbench compare --boards dg clip --plot ranks.svg
    """
    from clbench.cli import comparing

    console = Console()
    if boards:
        comparing.several(words or [], board or [], test, plot, json, console)
    else:
        comparing.two(words or [], board or [], json, console)
