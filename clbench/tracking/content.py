"""What of a record is sent, under which names."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from clbench import registry
from clbench.grammar import write
from clbench.record import Record
from clbench.report import scores_of
from clbench.tracking.base import Description, Point


def describe(record: Record) -> Description:
    """The cell of `record`, as a tracker lists it."""
    scenario = registry.load("scenario", record.scenario.name)
    several = len(record.strategy.members) > 1
    config: dict[str, Any] = {
        "strategy": record.strategy.name,
        "scenario": record.scenario.name,
        "seed": record.seed,
        "key": record.key,
        "status": record.status,
        "data": record.scenario.card.data,
        "fingerprint": record.scenario.card.fingerprint,
        "backbone": record.scenario.card.backbone,
    }
    for member in record.strategy.members:
        prefix = f"strategy.{member.name}" if several else "strategy"
        config |= {f"{prefix}.{k}": v for k, v in member.params.items()}
    config |= {
        f"scenario.{k}": v
        for k, v in record.scenario.params.items()
        # Such as the folder where data lie: it says where, not what.
        if k not in scenario.incidental
    }
    config |= {f"recipe.{k}": v for k, v in record.recipe.items()}
    config |= {f"budget.{k}": v for k, v in record.budget.items()}
    return Description(
        name=f"{record.strategy.name}--{record.key}",
        group=record.scenario.name,
        config={k: _plain(v) for k, v in config.items()},
    )


def points(record: Record) -> Iterator[Point]:
    """The matrix over experiences; every row and the log over optimizer steps."""
    for row in record.rows:
        if row.boundary:
            values = _scores("matrix", row.scores)
            yield Point("experience", row.experience, values)
    steps: dict[int, dict[str, float]] = defaultdict(dict)
    for row in record.rows:
        steps[row.step] |= _scores("evaluation", row.scores)
    for name, entries in record.log.items():
        for step, value in entries:
            if value is not None:
                steps[step][f"train/{name}"] = value
    for step in sorted(steps):
        yield Point("optimizer_step", step, steps[step])


def summary(record: Record) -> dict[str, float]:
    """Scores that are defined, and what the cell took."""
    found = {}
    if record.status == "ok":
        found = {f"scores/{k}": v for k, v in scores_of(record).items()}
    if record.cost is not None:
        found |= _flat("cost", record.cost.model_dump())
    return {k: float(v) for k, v in found.items() if math.isfinite(v)}


def _scores(
    first: str, scores: Mapping[str, Mapping[str, float | None]]
) -> dict[str, float]:
    return {
        f"{first}/{task}/{metric}": value
        for task, metrics in scores.items()
        for metric, value in metrics.items()
        if value is not None
    }


def _flat(first: str, values: Mapping[str, Any]) -> dict[str, float]:
    found: dict[str, float] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            found |= _flat(f"{first}/{key}", value)
        elif isinstance(value, int | float):
            found[f"{first}/{key}"] = value
    return found


def _plain(value: Any) -> str | int | float | bool:
    """Numbers and truth values as they are, the rest as the command line takes it."""
    if isinstance(value, bool | int | float | str):
        return value
    return write(value)
