"""A check of how a scenario has settings chosen."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch

from clbench.check.checks import expect
from clbench.contract import Scenario
from clbench.matrix import Matrix, Row
from clbench.schema import parameters


def tuning_reads_no_test_number(scenario: type[Scenario]) -> None:
    """Where settings can be chosen, columns that are not held out change nothing."""
    tuning = scenario.tuning
    if tuning is None:
        return
    known = parameters(scenario, ("seed",))
    for name in (*tuning.fixed, *tuning.usual, *tuning.within):
        expect(name in known, f"`tuning` names '{name}', which is no parameter")
    for name, value in {**tuning.usual, **tuning.fixed}.items():
        known[name].check(value)
    toy = scenario.toy()
    model = toy.model().eval()
    with torch.no_grad():
        row = {t: dict(r.metrics) for t, r in toy.evaluate(model, 0).items()}
    learned = dict.fromkeys(toy.tasks, 1)
    params = {name: getattr(toy, name, p.default) for name, p in known.items()}
    params |= tuning.fixed
    whole = _twice(row, learned)
    seen = tuning.seen(whole, params)
    columns = {(task, k) for task, found in row.items() for k in found}
    kept = {(t, k) for t, found in seen.rows[0].scores.items() for k in found}
    expect(bool(kept), "`tuning` says that no column is of held-out training data")
    expect(
        bool(tuning.fixed) or kept < columns,
        "`tuning` reads every column and fixes no parameter: these are test numbers",
    )
    expect(
        tuning.metric.higher_is_better is not None,
        f"`tuning` does not say which way '{tuning.metric.name}' is better",
    )
    before = tuning.number(whole, whole, params)
    expect(math.isfinite(before), f"what `tuning` compares is {before} on the toy")
    other = {
        task: {k: v if (task, k) in kept else v + 1 for k, v in found.items()}
        for task, found in row.items()
    }
    moved = _twice(other, learned)
    after = tuning.number(moved, moved, params)
    expect(
        after == before,
        f"a number that is not held out changes what `tuning` compares from {before} "
        f"to {after}",
    )


def _twice(
    row: Mapping[str, Mapping[str, float]], learned: Mapping[str, int]
) -> Matrix:
    """A matrix of `row` before and after one experience."""
    rows = tuple(Row(experience=n, step=n, boundary=True, scores=row) for n in (0, 1))
    return Matrix(rows=rows, learned=learned)
