"""The record of a cell, from what was configured and what was found."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from pydantic_core import to_jsonable_python

from clbench import outcomes, record, registry
from clbench.contract import Experience, InputError, Scenario
from clbench.environment import environment
from clbench.matrix import Row
from clbench.plugin import Kind
from clbench.record import (
    DataCard,
    Entry,
    Origin,
    Plugin,
    Record,
    ScenarioPart,
    Status,
    StrategyPart,
)

if TYPE_CHECKING:
    from clbench.findings import Findings
    from clbench.resolved import Cell, PluginChoice


@dataclass(frozen=True)
class Outcome:
    """How a cell ended.

    Attributes:
        status: In one word.
        reason: Why it is not `ok`; None where it is.
        step: Of a failure.
    """

    status: Status
    reason: str | None = None
    step: int | None = None


def assemble(
    cell: Cell,
    scenario: Scenario,
    found: Findings,
    outcome: Outcome,
    learned: Mapping[str, int],
    step_flops: int | None,
) -> Record:
    """The record of `cell`.

    Args:
        cell: What was run.
        scenario: As it ran.
        found: Rows, log and costs.
        outcome: How it ended.
        learned: See `learned`.
        step_flops: Operations of one step; None where nothing was set up to be learned.
    """
    return Record(
        key=cell.key(),
        status=outcome.status,
        reason=outcome.reason,
        step_failed=outcome.step,
        strategy=StrategyPart(
            name=cell.name,
            members=[_plugin("strategy", member) for member in cell.strategy],
        ),
        scenario=ScenarioPart(
            **_plugin("scenario", cell.scenario).model_dump(),
            version=scenario.version,
            main=scenario.main.name,
            fold=scenario.folds,
            folds=_folds(scenario, cell.scenario.params),
            card=DataCard(**dataclasses.asdict(scenario.card())),
        ),
        seed=cell.seed,
        recipe=to_jsonable_python(dataclasses.asdict(scenario.recipe)),
        origins=dict(cell.origins),
        trials=cell.trials,
        budget=dataclasses.asdict(scenario.budget),
        learned=dict(learned),
        rows=[_entry(row) for row in found.rows],
        log=found.log,
        cost=None if step_flops is None else found.cost(step_flops),
        environment=environment(torch.get_num_threads()),
        command=cell.command(),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def write(made: Record, found: Findings, path: Path) -> None:
    """Write `made` to `path`, and outcomes and pictures beside it.

    Raises:
        InputError: They cannot be written; a checkpoint stays.
    """
    try:
        if found.rows:
            content = outcomes.pack(found.outcomes)
            record.write_bytes(record.outcomes_path(path), content)
        if found.pictures:
            content = outcomes.pack_pictures(found.pictures)
            record.write_bytes(record.pictures_path(path), content)
        record.write(made, path)
    except OSError as error:
        raise InputError(
            f"{path} cannot be written: {error.strerror or error}; the same "
            f"command goes on from the last checkpoint, if there is one"
        ) from error


def learned(stream: Sequence[Experience]) -> dict[str, int]:
    """Task -> number of the experience, from 1, that teaches it first."""
    first: dict[str, int] = {}
    for experience in stream:
        for task in experience.tasks:
            first.setdefault(task, experience.index + 1)
    return first


def _plugin(kind: Kind, choice: PluginChoice) -> Plugin:
    origin = registry.get(kind, choice.name).origin
    return Plugin(
        name=choice.name,
        params=to_jsonable_python(dict(choice.params)),
        origin=Origin(**dataclasses.asdict(origin)),
    )


def _folds(scenario: Scenario, params: Mapping[str, Any]) -> list[str]:
    return list(scenario.fold_values(params)) if scenario.folds else []


def _entry(row: Row) -> Entry:
    scores = {
        task: {k: v if math.isfinite(v) else None for k, v in values.items()}
        for task, values in row.scores.items()
    }
    return Entry(
        experience=row.experience, step=row.step, boundary=row.boundary, scores=scores
    )
