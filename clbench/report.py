"""What a user sees of a cell while it runs: facts, one bar, and what came out."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.table import Table

from clbench import registry
from clbench.bar import Bar
from clbench.contract import Metric
from clbench.steady import steady

if TYPE_CHECKING:
    import torch

    from clbench.contract import Card
    from clbench.metrics.cost import Parameters
    from clbench.record import Cost, Record
    from clbench.resolved import Cell

MOST_ROWS = 12
"""A matrix with more rows is shown at the ends of experiences only."""


class Reporter:
    """Shows a cell on a terminal. Leaving its `with` block closes the bar.

    Args:
        console: Where tables go; the bar goes to the error stream.
        label: Short name of the cell.
    """

    def __init__(self, console: Console, label: str) -> None:
        self._console = console
        self._label = label
        self._bar: Bar | None = None
        self._begun = 0.0
        self._examples = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()

    @steady
    def start(self, facts: Mapping[str, str]) -> None:
        """Before training: what is about to run."""
        table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
        for name, value in facts.items():
            table.add_row(f"[bold]{name}[/]", value)
        self._console.print(table)

    @steady
    def total(self, steps: int, done: int = 0) -> None:
        """The optimizer steps of the whole cell: the bar's length.

        Args:
            steps: All of them.
            done: By an earlier process.
        """
        self._close()
        self._begun = time.perf_counter()
        self._bar = Bar(total=steps, initial=done, desc=self._label, unit="step")

    @steady
    def advance(self, loss: float, examples: int) -> None:
        """One optimizer step was done, on so many examples."""
        if self._bar is None:
            return
        self._examples += examples
        seconds = time.perf_counter() - self._begun
        rate = self._examples / seconds if seconds > 0 else 0.0
        text = f"loss {loss:.4g}, {rate:,.0f} examples/s"
        self._bar.set_postfix_str(text, refresh=False)
        self._bar.update()

    @steady
    def note(self, text: str) -> None:
        """A line for the user, above the bar."""
        if self._bar is None:
            self._console.print(text, markup=False, highlight=False)
        else:
            self._bar.write(text, file=self._console.file)

    @steady
    def finish(self, record: Record) -> None:
        """After the cell: its matrix, its scores and what it cost."""
        self._close()
        if record.rows:
            self._console.print(matrix_table(record))
        if record.status == "ok":
            self._console.print(scores_table(record))
        else:
            colour = "yellow" if record.status == "unsupported" else "red"
            self._console.print(f"[{colour}]{record.status}[/]", end=": ")
            self._console.print(record.reason or "", markup=False, highlight=False)
        if record.cost is not None:
            self._console.print(cost_line(record.cost), highlight=False)

    @steady
    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


class QuietReporter(Reporter):
    """Shows nothing."""

    def __init__(self) -> None:
        super().__init__(Console(file=sys.stderr), "")

    def start(self, facts: Mapping[str, str]) -> None:
        """Nothing."""

    def total(self, steps: int, done: int = 0) -> None:
        """Nothing."""

    def advance(self, loss: float, examples: int) -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """Nothing."""

    def finish(self, record: Record) -> None:
        """Nothing."""


def facts(
    cell: Cell, card: Card, counts: Parameters, device: torch.device
) -> dict[str, str]:
    """What the user sees of a cell before training."""
    trained, total = sum(counts.trainable.values()), counts.total
    return {
        "strategy": cell.name,
        "scenario": cell.label().partition(" on ")[2],
        "data": f"{card.data} ({card.fingerprint[:12]})",
        "backbone": card.backbone,
        "parameters": f"{trained:,} of {total:,} trained ({trained / total:.2%})",
        "device": str(device),
    }


def scores_of(record: Record) -> dict[str, float]:
    """The numbers of the scenario's metrics, computed from the record's matrix."""
    scenario = registry.load("scenario", record.scenario.name)
    return scenario.scores(record.matrix(), record.scenario.params)


def number(value: float, metric: Metric) -> str:
    """A score as people read it: percent with one decimal, or four digits.

    A score that is not defined is a dash.
    """
    if math.isnan(value):
        return "-"
    if metric.percent:
        # Adding 0 takes the sign off a zero.
        return f"{round(100 * value, 1) + 0.0:.1f}"
    return f"{value:.0f}" if float(value).is_integer() else f"{value:.4g}"


def matrix_table(record: Record) -> Table:
    """The score matrix: a row for each evaluation, a column for each task."""
    scenario = registry.load("scenario", record.scenario.name)
    matrix = record.matrix()
    rows = matrix.rows
    if len(rows) > MOST_ROWS:
        rows = matrix.boundaries()
    metrics = {task: scenario.headline(task) for task in matrix.tasks}
    same = len(set(metrics.values())) == 1
    first = metrics[matrix.tasks[0]]
    unit = ", %" if first.percent else ""
    title = f"{first.title.lower()}{unit}" if same else "each task in its own measure"
    table = Table(title=title, title_justify="left", box=None)
    table.add_column("learned", justify="right")
    table.add_column("step", justify="right")
    for task, metric in metrics.items():
        name = task if same else f"{task}\n{metric.title}" + " %" * metric.percent
        table.add_column(name, justify="right")
    for row in rows:
        scores = [number(row.scores[t][m.name], m) for t, m in metrics.items()]
        table.add_row(str(row.experience), str(row.step), *scores)
    return table


def scores_table(record: Record) -> Table:
    """The scenario's metrics, the one that ranks first."""
    scenario = registry.load("scenario", record.scenario.name)
    scores = scores_of(record)
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column()
    table.add_column(justify="right")
    for metric in sorted(scenario.metrics, key=lambda m: m != scenario.main):
        if metric.name in scores:
            style = "bold" if metric == scenario.main else ""
            text = number(scores[metric.name], metric)
            text += " %" if metric.percent and text != "-" else ""
            table.add_row(metric.title, text, style=style)
    if scenario.main.name not in scores:
        table.add_row(scenario.main.title, "see `clbench board`", style="bold")
    return table


def cost_line(cost: Cost) -> str:
    """What the cell took: parameters, time, speed and memory."""
    trained = cost.trainable.model_dump()
    kinds = ", ".join(f"{name} {count:,}" for name, count in trained.items() if count)
    parts = [
        f"trained {sum(trained.values()):,} parameters ({kinds or 'none'}) of "
        f"{cost.parameters:,}",
        f"{cost.steps:,} steps in {cost.seconds['total']:.1f} s",
        f"{cost.examples_per_second:,.0f} examples/s",
        f"peak {cost.peak_bytes / 1024**2:,.0f} MiB on {cost.device}",
    ]
    if kept := cost.seconds.get("checkpoint"):
        parts.insert(2, f"checkpoints {kept:.1f} s")
    return "[bold]cost[/]  " + " · ".join(parts)
