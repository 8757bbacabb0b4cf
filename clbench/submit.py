"""Records that join the published ones: what is looked at, and why some do not.

A record is copied as it is, byte for byte, and alone: the outcomes of every example,
pictures and models that lie beside it stay where they are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from clbench import atomic, beside, registry
from clbench.admission import Refused, look
from clbench.contract import InputError
from clbench.record import Record, numbers, read
from clbench.verify import compare

Outcome = Literal["accepted", "already there", "refused"]


@dataclass(frozen=True)
class Decision:
    """What became of one record.

    Attributes:
        path: Of the record that was submitted.
        outcome: What was decided.
        reason: Why it was refused.
        target: Where it lies now, unless it was refused.
        notes: What a reviewer should know of it.
    """

    path: Path
    outcome: Outcome
    reason: str = ""
    target: Path | None = None
    notes: list[str] = field(default_factory=list)


def submit(
    paths: Sequence[Path],
    into: Path,
    *,
    allow_dirty: bool = False,
    dry_run: bool = False,
) -> list[Decision]:
    """Look at every record and copy those that may join the published ones.

    Args:
        paths: The records.
        into: Folder of the boards; records go to `into/<scenario>/records`.
        allow_dirty: Whether records of a checkout with changes may join; boards mark
            them.
        dry_run: Whether nothing is copied.
    """
    published: dict[str, dict[str, tuple[Path, Record]]] = {}
    decisions = []
    for path in paths:
        try:
            record = read(path)
            beside.check(path, record)
        except InputError as error:
            reason = str(error).removeprefix(f"{path}: ")
            decisions.append(Decision(path, "refused", reason))
            continue
        name = record.scenario.name
        if name not in published:
            published[name] = _published(into / name / "records")
        decision = _decide(path, record, into, published[name], allow_dirty)
        decisions.append(decision)
        if decision.outcome == "accepted" and decision.target is not None:
            published[name][_identity(record)] = (decision.target, record)
            if not dry_run:
                atomic.write(decision.target, path.read_bytes())
    return decisions


def _decide(
    path: Path,
    record: Record,
    into: Path,
    published: Mapping[str, tuple[Path, Record]],
    allow_dirty: bool,
) -> Decision:
    target = into / record.scenario.name / "records"
    target /= f"{record.strategy.name}--{record.key}.json"
    try:
        notes = list(look(record, [r for _, r in published.values()], allow_dirty))
        same = published.get(_identity(record))
        if same is None:
            if target.exists():
                raise Refused(f"{target} is in its place and cannot be read")
            return Decision(path, "accepted", target=target, notes=notes)
        there, other = same
        if other.scenario.version < record.scenario.version:
            notes.append(
                f"it takes the place of one of version {other.scenario.version}"
            )
            return Decision(path, "accepted", target=there, notes=notes)
        if numbers(other) == numbers(record):
            return Decision(path, "already there", target=there)
        first = compare(other, record).differences[0]
        raise Refused(
            f"{there} is of the same cell and has other numbers, such as "
            f"{first.place}: {first.then} there, {first.now} here "
            f"(`clbench verify` says which runs again)"
        )
    except Refused as error:
        return Decision(path, "refused", str(error))


def _published(folder: Path) -> dict[str, tuple[Path, Record]]:
    """The records in `folder` that can be read, by what tells their cells apart."""
    found = {}
    for path in sorted(folder.glob("*.json")):
        try:
            record = read(path)
        except InputError:
            continue  # `clbench board --check` names it
        found[_identity(record)] = (path, record)
    return found


def _identity(record: Record) -> str:
    """What tells one cell from another, wherever its data lie."""
    try:
        free = registry.load("scenario", record.scenario.name).incidental
    except InputError:
        free = ()
    params = {k: v for k, v in record.scenario.params.items() if k not in free}
    members = [[member.name, member.params] for member in record.strategy.members]
    recipe = {n: record.recipe.get(n) for n in record.set_in_recipe}
    return json.dumps([members, params, record.seed, recipe], sort_keys=True)
