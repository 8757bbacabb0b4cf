"""The command line. What needs time to import is imported by the command it serves."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Optional

import typer
from rich.console import Console

from clbench import __version__, machine
from clbench.cli.cells import RUN_HELP, SWEEP_HELP, resume, run, sweep
from clbench.cli.complaint import complain
from clbench.cli.data import data
from clbench.cli.ending import REFUSED
from clbench.cli.published import submit, verify
from clbench.cli.standings import board, compare
from clbench.cli.tuning import TUNE_HELP, tune
from clbench.contract import InputError

app = typer.Typer(
    name="clbench",
    help="Compare strategies on scenarios: one strategy on one scenario is a cell, a "
    "cell leaves a record, boards are computed from records.",
    epilog="Begin with: clbench list · clbench run strategy=pego scenario=dg · "
    "clbench board",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Run the command line; bad input or a full disk is one line and exit code 2."""
    try:
        app()
    except (InputError, OSError, MemoryError) as error:
        if not (isinstance(error, InputError) or machine.at_fault(error)):
            raise
        text = str(error) if isinstance(error, InputError) else machine.line(error)
        complain(text)
        sys.exit(REFUSED)


def _version(asked: bool) -> None:
    if asked:
        sys.stdout.write(f"clbench {__version__}\n")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_version, is_eager=True, help="Show the version."
        ),
    ] = False,
) -> None:
    """Options that belong to no command."""


app.command(help=RUN_HELP)(run)
app.command(help=SWEEP_HELP)(sweep)
app.command()(resume)
app.command(help=TUNE_HELP)(tune)


app.add_typer(data, name="data")


@app.command("list")
def list_(
    what: Annotated[
        str,
        typer.Argument(
            metavar="[strategies|scenarios|adapters|all]", show_default=False
        ),
    ] = "all",
) -> None:
    """Name every strategy and scenario that is found, and where it comes from.

    Plugins come with clbench, from installed packages (entry points), and from the
    folders in CLBENCH_PATH. `clbench list adapters` tries every adapter of the PEFT
    library on every scenario's toy; what it finds is kept in the cache.
    """
    from clbench.cli import listing

    console = Console()
    for table in listing.tables(what):
        console.print(table)


@app.command()
def grid(
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the table in markdown.")
    ] = False,
    into: Annotated[
        Optional[Path],  # noqa: UP045 - typer reads this at run time
        typer.Option(
            "--into", metavar="FILE", help="Write it between the marks in a document."
        ),
    ] = None,
) -> None:
    """Say which strategy runs on which scenario, and why the others do not.

    Each is prepared on the scenario's toy; what was found is kept in the cache until a
    source changes. `clbench check` holds a strategy to the whole contract.
    """
    from clbench.cli import gridding, marked

    found = gridding.compute()
    if into is not None:
        marked.write_into(into, "grid", gridding.markdown(found))
    elif markdown:
        sys.stdout.write(gridding.markdown(found))
    else:
        console = Console()
        for part in gridding.tables(found):
            console.print(part)


@app.command()
def show(
    what: Annotated[
        str,
        typer.Argument(metavar="strategy=NAME|scenario=NAME|recipe|options"),
    ],
) -> None:
    """Explain a plugin: parameters with meaning, type, range and default; citation.

    Examples: clbench show strategy=pego · clbench show scenario=dg ·
    clbench show recipe · clbench show options
    """
    from clbench import show as pages

    console = Console()
    for part in pages.show(what):
        console.print(part, highlight=False)


app.command()(board)
app.command()(compare)
app.command()(verify)
app.command()(submit)


@app.command()
def plot(
    records: Annotated[list[Path], typer.Argument(metavar="RECORD...")],
    out: Annotated[
        Optional[Path],  # noqa: UP045 - typer reads this at run time
        typer.Option("--out", help="Folder of the pictures; else beside the record."),
    ] = None,
) -> None:
    """Draw records: the matrix, accuracy over the stream, ranks by layer if logged.

    Writes PNG and SVG. Example: clbench plot runs/clip/codyra--1a2b3c4d5e6f.json
    """
    from clbench.cli import plotting

    plotting.draw(records, out)


@app.command()
def explain(
    name: Annotated[
        Optional[str],  # noqa: UP045 - typer reads this at run time
        typer.Argument(metavar="[METRIC]", show_default=False),
    ] = None,
    matrix: Annotated[
        Optional[str],  # noqa: UP045 - typer reads this at run time
        typer.Argument(metavar="[RECORD|FILE.npz:NAME|FILE.csv]", show_default=False),
    ] = None,
) -> None:
    """Say what a metric is, by which formula, and who computes it otherwise.

    With a matrix, every variant's value on it. Examples: clbench explain ·
    clbench explain forgetting · clbench explain forgetting runs/clip/lora--1a2b.json
    """
    from clbench.cli import explaining

    console = Console()
    for part in explaining.explain(name, matrix):
        console.print(part, highlight=False)


@app.command()
def conformance() -> None:
    """Print matrices and what every definition gives on them, as JSON.

    For any project to test its own metrics against; null is undefined.
    """
    from clbench.cli import explaining

    explaining.print_conformance()


@app.command()
def check(
    what: Annotated[
        str,
        typer.Argument(metavar="strategy=NAME|scenario=NAME", show_default=False),
    ],
) -> None:
    """Hold a plugin to the contract, on the toy of every plugin of the other kind.

    Exit code: 0 the contract holds, 1 it is broken somewhere.
    """
    from clbench.cli import checking

    raise typer.Exit(checking.report(what, Console()))


@app.command()
def new(
    kind: Annotated[str, typer.Argument(metavar="strategy|scenario")],
    name: Annotated[str, typer.Argument(metavar="NAME")],
    folder: Annotated[
        Path, typer.Option("--folder", metavar="DIR", help="Folder of plugins.")
    ] = Path("mine"),
) -> None:
    """Write a commented plugin that already passes `clbench check`.

    A strategy is one file, a scenario a folder with a toy. Change it from there.
    """
    from clbench.cli import creating

    for line in creating.create(kind, name, folder):
        Console().print(line, highlight=False, markup=False, soft_wrap=True)


@app.command()
def export(
    record: Annotated[Path, typer.Argument(metavar="RECORD.json")],
    to: Annotated[str, typer.Option("--to", metavar="peft|merged")] = "peft",
    out: Annotated[
        Optional[Path],  # noqa: UP045 - typer reads this at run time
        typer.Option("--out", metavar="DIR", help="Beside the record unless given."),
    ] = None,
    rank: Annotated[
        Optional[int],  # noqa: UP045 - typer reads this at run time
        typer.Option("--rank", min=1, help="Largest rank of an update."),
    ] = None,
) -> None:
    """Write what a cell learned for other programs; the cell ran with keep=true.

    `peft` is an adapter that peft.PeftModel.from_pretrained loads onto the scenario's
    model, `merged` the model itself.
    """
    from clbench.cli import exporting

    for line in exporting.export(record, to, out, rank):
        Console().print(line, highlight=False, markup=False, soft_wrap=True)


@app.command()
def doctor(
    out: Annotated[Path, typer.Option("--out", help="Folder of the records.")] = Path(
        "runs"
    ),
) -> None:
    """Look at versions, devices, plugins, data and disks, and say what is broken.

    Exit code: 0 fit to run cells, 1 something is broken.
    """
    from clbench.cli import diagnosis

    raise typer.Exit(diagnosis.diagnose(out, Console()))
