"""`clbench grid`: which strategy runs on which scenario, and why the others do not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from clbench import registry
from clbench.fitting import Candidate, fits

if TYPE_CHECKING:
    from clbench.check.fit import Fit


@dataclass(frozen=True)
class Grid:
    """Strategies by scenarios.

    Attributes:
        strategies: Names of the rows.
        scenarios: Names of the columns.
        found: Of each pair whether it runs.
    """

    strategies: Sequence[str]
    scenarios: Sequence[str]
    found: Mapping[tuple[str, str], Fit]

    @property
    def reasons(self) -> dict[str, int]:
        """Every reason why a pair does not run, with its number."""
        found: dict[str, int] = {}
        for strategy in self.strategies:
            for scenario in self.scenarios:
                fit = self.found[strategy, scenario]
                if not fit.runs:
                    found.setdefault(fit.reason, len(found) + 1)
        return found

    def row(self, strategy: str) -> list[str]:
        """`runs`, or the number of the reason, for every scenario."""
        fits = [self.found[strategy, scenario] for scenario in self.scenarios]
        return ["runs" if f.runs else f"no ({self.reasons[f.reason]})" for f in fits]


def compute() -> Grid:
    """Try every strategy that is found on the toy of every scenario.

    Raises:
        InputError: Two plugins claim one name, or one cannot be used.
    """
    strategies = list(registry.find("strategy"))
    scenarios = list(registry.find("scenario"))
    candidates = [Candidate(name, name) for name in strategies]
    with Console(stderr=True).status("") as status:
        found = fits(candidates, scenarios, lambda text: status.update(escape(text)))
    return Grid(strategies, scenarios, found)


def tables(grid: Grid, title: str = "strategy") -> list[RenderableType]:
    """The grid as a table, with the reasons below it."""
    table = Table(title, *grid.scenarios, box=None, padding=(0, 2, 0, 0))
    for strategy in grid.strategies:
        cells = grid.row(strategy)
        marks = [c if c == "runs" else f"[yellow]{escape(c)}[/]" for c in cells]
        table.add_row(f"[cyan]{escape(strategy)}[/]", *marks)
    reasons = (Text(f"({n}) {reason}") for reason, n in grid.reasons.items())
    return [table, *reasons]


def markdown(grid: Grid) -> str:
    """The grid as a table in markdown, with the reasons below it."""
    lines = [
        f"| strategy | {' | '.join(f'`{name}`' for name in grid.scenarios)} |",
        f"| --- |{' :-: |' * len(grid.scenarios)}",
    ]
    lines += [f"| `{s}` | {' | '.join(grid.row(s))} |" for s in grid.strategies]
    notes = [f"({n}) {reason}" for reason, n in grid.reasons.items()]
    return "\n".join([*lines, *(line for note in notes for line in ("", note))]) + "\n"
