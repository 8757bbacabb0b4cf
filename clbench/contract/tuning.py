"""How settings are chosen: what a strategy may be given, and a scenario's rule.

A strategy declares the values that are worth a try beside its parameters; a scenario
declares by which number of held-out training data they are compared. `clbench tune`
reads both (docs/tuning.md).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from clbench.contract.values import Metric

if TYPE_CHECKING:
    from clbench.matrix import Matrix


@dataclass(frozen=True)
class Between:
    """Numbers from `low` to `high`, both included; whole ones where a whole one fits.

    As in `preserve: Annotated[NonNegative, Between(1e-5, 1e-2, log=True)] = 1e-3`.

    Attributes:
        low, high: The ends.
        log: Whether every power of ten is as likely as another.
    """

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        if not self.low < self.high or (self.log and self.low <= 0):
            above = "0 < low < high" if self.log else "low < high"
            raise ValueError(f"Between({self.low}, {self.high}) needs {above}")

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}" + " (log)" * self.log


@dataclass(frozen=True, init=False)
class Among:
    """One of some values, as in `rank: Annotated[Count, Among(2, 4, 8)] = 4`.

    Attributes:
        values: All of them.
    """

    values: tuple[Any, ...]

    def __init__(self, *values: Any) -> None:
        if not values:
            raise ValueError("Among() needs at least one value")
        object.__setattr__(self, "values", values)

    def __str__(self) -> str:
        return ", ".join(map(str, self.values))


Space = Between | Among
"""The values of a setting that are worth a try."""

Params = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """How a strategy's settings are chosen on a scenario, without any test number.

    What is compared is computed from columns of the score matrix that are judged on
    held-out training data. The other columns are taken out before `value` is called.

    Attributes:
        metric: The number that is best at the winner. Its definition says of which
            data, in words that may follow "largest" or "smallest".
        value: (matrix, first, params) -> that number, of one cell. `matrix` and `first`
            have the held-out columns alone; `first` is of the search's first trial that
            ended well, for measures that need something to compare with. NaN is
            undefined.
        fixed: Parameters of the scenario that make its rows be judged on held-out
            training data, such as `judged_on`; no user of a search changes them.
        usual: Further parameters of a search, unless its user gives others.
        within: Parameters of the scenario whose values settings are chosen for.
        columns: (task, params) -> which numbers of a task are of held-out training
            data; None where `fixed` makes all of them so.
    """

    metric: Metric
    value: Callable[[Matrix, Matrix, Params], float]
    fixed: Params = field(default_factory=dict)
    usual: Params = field(default_factory=dict)
    within: tuple[str, ...] = ()
    columns: Callable[[str, Params], Collection[str]] | None = None

    @property
    def up(self) -> bool:
        """Whether the largest number wins."""
        return self.metric.higher_is_better is not False

    def seen(self, matrix: Matrix, params: Params) -> Matrix:
        """`matrix` without any column that is not of held-out training data."""
        if self.columns is None:
            return matrix
        kept = {task: set(self.columns(task, params)) for task in matrix.tasks}
        rows = tuple(
            replace(
                row,
                scores={
                    task: {k: v for k, v in row.scores[task].items() if k in names}
                    for task, names in kept.items()
                    if names
                },
            )
            for row in matrix.rows
        )
        learned = {task: n for task, n in matrix.learned.items() if kept.get(task)}
        return replace(matrix, rows=rows, learned=learned)

    def number(self, matrix: Matrix, first: Matrix, params: Params) -> float:
        """What is compared, of a cell; see `value`.

        Args:
            matrix: Of the cell's record.
            first: Of the record of the first trial, of the same fold.
            params: The scenario's parameters in these records.
        """
        shown = self.seen(matrix, params), self.seen(first, params)
        return float(self.value(*shown, params))
