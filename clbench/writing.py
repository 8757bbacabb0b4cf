"""The record of a cell, from what was configured and what was found."""

from __future__ import annotations

import dataclasses
import hashlib
import math
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from pydantic_core import to_jsonable_python

from clbench import atomic, machine, outcomes, record, registry
from clbench.assets import door
from clbench.assets.need import Asset
from clbench.contract import Experience, InputError, Scenario
from clbench.environment import environment
from clbench.masking import clean, expanded
from clbench.matrix import Row
from clbench.plugin import Kind
from clbench.record import (
    AssetPart,
    Computed,
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


LEAST = 2**20
"""Bytes that must be free before a cell begins: a record and its outcomes."""


def check(path: Path) -> None:
    """Refuse a place where no record can be written, before anything is computed.

    Nothing is written to find out.

    Raises:
        InputError: There is a file in the way, or no right to write, or no room.
    """
    place = path.parent
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir():
        reason = f"{place} is a file"
    elif not os.access(place, os.W_OK | os.X_OK):
        reason = f"{place} may not be written to"
    elif shutil.disk_usage(place).free < LEAST:
        reason = "the disk is full"
    else:
        return
    raise InputError(
        f"no record can be written to {path.parent}: {reason}; another folder: out=DIR"
    )


def assemble(
    cell: Cell,
    scenario: Scenario,
    found: Findings,
    outcome: Outcome,
    learned: Mapping[str, int],
    step_flops: int | None,
    processes: int = 1,
) -> Record:
    """The record of `cell`.

    A scenario whose card cannot be made keeps no failure from being written down.

    Args:
        cell: What was run.
        scenario: As it ran.
        found: Rows, log and costs.
        outcome: How it ended.
        learned: See `learned`.
        step_flops: Operations of one step; None where nothing was set up to be learned.
        processes: How many compute a part of each minibatch.
    """
    made = Record(
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
            card=_card(scenario, outcome.status),
        ),
        seed=cell.seed,
        recipe=to_jsonable_python(dataclasses.asdict(scenario.recipe)),
        origins=dict(cell.origins),
        trials=cell.trials,
        budget=dataclasses.asdict(scenario.budget),
        learned=dict(learned),
        rows=[_entry(row) for row in found.rows],
        log={name: _finite(entries) for name, entries in found.log.items()},
        cost=None if step_flops is None else found.cost(step_flops),
        environment=environment(torch.get_num_threads()),
        execution=Computed(**cell.execution, processes=processes),
        assets=[_asset(entry) for entry in door.current().used.values()],
        command=cell.command(),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    # Trackers are sent this one, so it has nothing that the file has not.
    return Record.model_validate(clean(made.model_dump()))


def write(
    made: Record, found: Findings, path: Path, make_way: Callable[[], bool]
) -> Record:
    """Write `made` to `path`, and before it what lies beside it.

    The record comes last and has the hash of its outcomes, which tells whether the two
    belong together.

    Args:
        made: The record.
        found: Its outcomes and pictures.
        path: Where it lies.
        make_way: Frees room on a disk that is full; False: it cannot.

    Returns:
        The record as it was written.

    Raises:
        NotWritten: There is no way; a checkpoint stays.
    """
    packed = outcomes.pack(found.outcomes) if found.rows else b""
    if packed:
        digest = hashlib.sha256(packed).hexdigest()
        made = made.model_copy(update={"outcomes": digest})
    pictures = outcomes.pack_pictures(found.pictures) if found.pictures else b""
    while True:
        try:
            if packed:
                atomic.write(record.outcomes_path(path), packed)
            if pictures:
                atomic.write(record.pictures_path(path), pictures)
            record.write(made, path)
            return made
        except OSError as error:
            if not (machine.full(error) and make_way()):
                raise record.NotWritten(
                    f"{path} cannot be written: {error.strerror or error}; the same "
                    f"command goes on from the last checkpoint, if there is one",
                    made,
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
    return list(scenario.fold_values(expanded(params))) if scenario.folds else []


def _card(scenario: Scenario, status: Status) -> DataCard:
    """What was learned from; of a cell that failed perhaps nobody knows."""
    try:
        return DataCard(**dataclasses.asdict(scenario.card()))
    except Exception:
        if status != "failed":
            raise
        return DataCard(data="not known", fingerprint="", backbone="not known")


def _finite(entries: Sequence[tuple[int, float]]) -> list[tuple[int, float | None]]:
    """`entries` with None for what JSON has no number for."""
    return [(step, v if math.isfinite(v) else None) for step, v in entries]


def _asset(entry: Asset) -> AssetPart:
    return AssetPart(
        kind=entry.kind,
        name=entry.name,
        revision=entry.revision,
        sha256=entry.sha256,
        bytes=entry.bytes,
        files=len(entry.files),
    )


def _entry(row: Row) -> Entry:
    scores = {
        task: {k: v if math.isfinite(v) else None for k, v in values.items()}
        for task, values in row.scores.items()
    }
    return Entry(
        experience=row.experience, step=row.step, boundary=row.boundary, scores=scores
    )
