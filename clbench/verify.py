"""Does a cell give the numbers of its record again?

A record is run again from the parameters in it, in a folder that is thrown away, with
as many threads as it had. What must agree is every score, and what the strategy logged,
learned and cost in parameters and steps. Times, memory and the machine need not.
"""

from __future__ import annotations

import dataclasses
import json
import math
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clbench import registry, schema
from clbench.contract import InputError
from clbench.masking import expanded, homely
from clbench.options import Options
from clbench.record import Record, numbers
from clbench.report import Reporter
from clbench.resolved import Cell, PluginChoice

QUICK_ROWS = 3
"""Rows at most that are run again by `quick`: the one before training is the first."""


@dataclass(frozen=True)
class Difference:
    """One value that is not what it was.

    Attributes:
        place: Which, in words.
        then: Its value in the record.
        now: Its value in the new run.
        gap: |then - now| / max(1, |then|, |now|); infinite where these are no numbers.
    """

    place: str
    then: Any
    now: Any
    gap: float

    def __str__(self) -> str:
        return (
            f"{self.place}: {_short(self.then)} in the record, {_short(self.now)} now"
        )


@dataclass(frozen=True)
class Verdict:
    """What came of running a cell again.

    Attributes:
        differences: Every value that is not what it was, the largest gap first.
        within: Gap up to which numbers count as equal.
        rows: Rows of the matrix that were compared.
        scores: Scores in them.
        environment: What the two runs did not have in common, such as versions.
    """

    differences: list[Difference]
    within: float
    rows: int
    scores: int
    environment: list[str]

    @property
    def word(self) -> str:
        """`equal`, `equal within ...` or `differs`."""
        if not self.differences:
            return "equal"
        gap = self.differences[0].gap
        return f"equal within {self.within:g}" if gap <= self.within else "differs"

    @property
    def good(self) -> bool:
        """Whether the record holds."""
        return self.word != "differs"


def prepare(record: Record, path: Path, given: Mapping[str, Any]) -> Cell:
    """The cell that left `record`, to be run here.

    Args:
        record: What is verified.
        path: Where it lies, for messages.
        given: Parameters of scenarios that cannot change a number, such as `root`: they
            replace the record's where its scenario has them.

    Raises:
        InputError: It cannot be run again; says why and what would help.
    """
    name = record.scenario.name
    try:
        cell = Cell.from_record(record)
        scenario = registry.load("scenario", name)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    if record.status == "interrupted":
        raise InputError(f"{path}: was interrupted: only a whole cell can be verified")
    if record.scenario.version != scenario.version:
        raise InputError(
            f"{path}: is of version {record.scenario.version} of {name}, which is now "
            f"{scenario.version}: its numbers are not those of this one"
        )
    known = schema.plugin_parameters("scenario", name)
    params = dict(cell.scenario.params)
    for key in scenario.incidental:
        if key in given:
            params[key] = schema.check(
                known,
                key,
                given[key],
                key=f"scenario.{key}",
                see=schema.see("scenario", name),
            )
        elif isinstance(params.get(key), str) and not (
            Path(expanded(params[key])).exists()
        ):
            raise InputError(
                f"{path}: its data lay in {params[key]}, which is not here: give "
                f"scenario.{key}={key.upper()}"
            )
    return dataclasses.replace(cell, scenario=PluginChoice(name, homely(params)))


def verify(
    record: Record,
    cell: Cell,
    reporter: Reporter,
    *,
    quick: bool = False,
    within: float = 0.0,
    options: Options | None = None,
) -> Verdict:
    """Run `cell` again and compare it with `record`, which it left.

    Args:
        record: What is verified; it is not touched.
        cell: What `prepare` made of it.
        reporter: Shows progress.
        quick: Whether only the first experience is run, and `QUICK_ROWS` rows at most.
        within: Gap up to which numbers count as equal; see `Difference`.
        options: Device and threads, where they are not to be the record's.

    Raises:
        InputError: It cannot be run here.
    """
    import torch

    from clbench.cell import run_cell  # imports Avalanche: seconds

    options = options or Options()
    rows = first_part(record) if quick else None
    device = options.device
    if device == "auto" and (record.cost is None or record.cost.device == "cpu"):
        device = "cpu"
    before = torch.get_num_threads()
    torch.set_num_threads(options.threads or record.environment.threads)
    try:
        with tempfile.TemporaryDirectory(prefix="clbench-verify-") as folder:
            here = dataclasses.replace(
                options,
                out=Path(folder),
                device=device,
                deterministic=options.deterministic or record.environment.deterministic,
            )
            now = run_cell(cell, here, reporter, rows)
    finally:
        torch.set_num_threads(before)
    return compare(record, now, rows=rows, within=within)


def compare(
    then: Record, now: Record, *, rows: int | None = None, within: float = 0.0
) -> Verdict:
    """What differs between two records of one cell.

    Args:
        then: The record that is verified.
        now: That of the new run.
        rows: Rows that are compared, of a run that was stopped after them; None
            compares all, and what the cells logged, learned and cost.
        within: Gap up to which numbers count as equal.
    """
    old, new = _compared(then, rows), _compared(now, rows)
    if rows is None and within == 0 and then.outcomes:
        old["outcomes"], new["outcomes"] = then.outcomes, now.outcomes
    environment = list(_environment(then, now))
    if within > 0:
        # What rounds differently renders differently, by a pixel in a thousand.
        prints = {document["data card"].pop("fingerprint") for document in (old, new)}
        if len(prints) > 1:
            environment.append("the fingerprint of the data")
    found = sorted(_differences(old, new), key=lambda d: -d.gap)
    entries = then.rows[:rows]
    return Verdict(
        differences=found,
        within=within,
        rows=len(entries),
        scores=sum(len(metrics) for e in entries for metrics in e.scores.values()),
        environment=environment,
    )


def first_part(record: Record) -> int | None:
    """Rows up to the end of the first experience, and `QUICK_ROWS` at most."""
    ends = (n for n, row in enumerate(record.rows[1:], start=2) if row.boundary)
    return min(next(ends, QUICK_ROWS), QUICK_ROWS) if record.rows else None


def _compared(record: Record, rows: int | None) -> dict[str, Any]:
    """What must agree, by places that can be read."""
    document = numbers(record)
    if rows is not None:
        document["rows"] = document["rows"][:rows]
        last = document["rows"][-1]["step"] if document["rows"] else 0
        # What was logged at the very step of the last row may come before or after it.
        document["log"] = {
            name: kept
            for name, values in document["log"].items()
            if (kept := [(step, value) for step, value in values if step < last])
        }
        for name in ("status", "cost"):
            del document[name]
    document["rows"] = {
        f"{number} (experience {row['experience']}, step {row['step']})": row["scores"]
        for number, row in enumerate(document["rows"])
    }
    document["log"] = {
        f"'{name}'": {f"entry {n} (step {s})": v for n, (s, v) in enumerate(values)}
        for name, values in document["log"].items()
    }
    return {_WORDS.get(name, name): value for name, value in document.items()}


_WORDS = {"rows": "row", "log": "log of", "card": "data card"}


def _differences(then: Any, now: Any, place: str = "") -> Iterator[Difference]:
    if isinstance(then, dict) and isinstance(now, dict):
        for key in [*then, *(key for key in now if key not in then)]:
            where = f"{place}, {key}" if " (" in place else f"{place} {key}".strip()
            yield from _differences(
                then.get(key, _MISSING), now.get(key, _MISSING), where
            )
    elif then != now:
        yield Difference(place, then, now, _gap(then, now))


_MISSING = "nothing"


def _gap(then: Any, now: Any) -> float:
    if isinstance(then, float) and isinstance(now, int | float):
        return abs(then - now) / max(1.0, abs(then), abs(now))
    return math.inf


def _short(value: Any) -> str:
    if isinstance(value, float):
        return repr(value)
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _environment(then: Record, now: Record) -> Iterator[str]:
    """What the runs did not have in common, each in a few words."""
    old, new = then.environment, now.environment
    for name in ("python", "platform", "processor", "threads"):
        was, is_ = (getattr(e, name) or "not noted" for e in (old, new))
        if was != is_:
            yield f"{name} {was} then, {is_} now"
    for name in sorted({*old.versions, *new.versions}):
        was, is_ = (e.versions.get(name, "not noted") for e in (old, new))
        if was != is_:
            yield f"{name} {was} then, {is_} now"
    devices = [r.cost.device if r.cost else None for r in (then, now)]
    if None not in devices and devices[0] != devices[1]:
        yield f"device {devices[0]} then, {devices[1]} now"
    if old.commit != new.commit:
        yield f"commit {_commit(old.commit)} then, {_commit(new.commit)} now"
    for time, environment in (("then", old), ("now", new)):
        if environment.dirty:
            yield f"the checkout had changes {time}"
    read = {entry.name: entry.sha256 for entry in now.assets}
    for entry in then.assets:
        if read.get(entry.name, entry.sha256) != entry.sha256:
            yield f"{entry.kind} '{entry.name}' are others"
    pairs = [
        *zip(then.strategy.members, now.strategy.members, strict=True),
        (then.scenario, now.scenario),
    ]
    for was_plugin, is_plugin in pairs:
        if was_plugin.origin.sha256 != is_plugin.origin.sha256:
            yield f"the source of {was_plugin.name} is another"


def _commit(commit: str | None) -> str:
    return commit[:8] if commit else "none"
