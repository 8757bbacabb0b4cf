"""`clbench verify`: records run again, and whether they hold."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from clbench import grammar, places, registry, schema
from clbench.assets import guard
from clbench.contract import InputError, nearest
from clbench.options import Options

DIFFERS = 1

SHOWN = 5
"""Differences that are shown of each record."""

OPTIONS = ("device", "threads", "plugins")

_KEY = re.compile(r"[a-z_.]+=")


def verify(
    words: Sequence[str], *, quick: bool, within: float, silent: bool, console: Console
) -> int:
    """Run every record among `words` again and say what came of it.

    Args:
        words: Paths of records, and keys that replace what changes no number.
        quick: Whether only their first part is run.
        within: Gap up to which numbers count as equal.
        silent: Whether progress is not shown.
        console: Where verdicts are printed.

    Returns:
        The exit code: 0 all are equal, 1 one differs.

    Raises:
        InputError: A record cannot be run again here; nothing was run then.
    """
    paths = [Path(word) for word in words if not _KEY.match(word)]
    if not paths:
        raise InputError("verify needs a record, such as runs/dg/NAME.json")
    given, options = _settings([word for word in words if _KEY.match(word)])
    if options.plugins is not None:
        places.use(options.plugins)
    from clbench import beside
    from clbench import record as records  # with what it needs: slow to import
    from clbench import verify as verifying
    from clbench.report import QuietReporter, Reporter

    found = [(path, records.read(path)) for path in paths]
    for path, record in found:
        beside.check(path, record)
    cells = [verifying.prepare(record, path, given) for path, record in found]
    guard.cells(cells, options)
    _free(given, {record.scenario.name for _, record in found})

    def say(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    verdicts = []
    for (path, record), cell in zip(found, cells, strict=True):
        say(str(path))
        reporter = QuietReporter() if silent else Reporter(console, cell.name)
        with reporter:
            verdict = verifying.verify(
                record, cell, reporter, quick=quick, within=within, options=options
            )
        for line in lines(verdict, whole=not quick):
            say(line)
        verdicts.append(verdict)
    wrong = sum(not verdict.good for verdict in verdicts)
    if len(verdicts) > 1:
        say(f"{len(verdicts)} records: {len(verdicts) - wrong} hold, {wrong} do not")
    return DIFFERS if wrong else 0


def lines(verdict: Any, whole: bool) -> list[str]:
    """What is said of one record: the verdict first, then where and why."""
    what = f"{verdict.scores} scores in {verdict.rows} rows"
    if whole:
        what += ", and what it logged, learned and cost"
    if not verdict.differences:
        said = [f"equal: {what}"]
    else:
        first = verdict.differences[0]
        count = len(verdict.differences)
        said = [
            f"{verdict.word}: {count} value{'s' * (count > 1)} of {what}; the largest "
            f"difference is at {first}"
        ]
        said += [f"  also {d}" for d in verdict.differences[1:SHOWN]]
        if count > SHOWN:
            said.append(f"  and {count - SHOWN} more")
        if not any(d.place.startswith("row") for d in verdict.differences):
            said.append("  every score is equal")
    if verdict.environment:
        said.append(f"not the same: {'; '.join(verdict.environment)}")
    if not verdict.good:
        said += _hints(verdict.environment)
    return said


def _hints(environment: Sequence[str]) -> Iterable[str]:
    """What may be the reason that numbers are others."""
    sources = [text for text in environment if text.startswith("the source of")]
    # The commit changes with every line of the project, and the source with the cell's.
    others = [text for text in environment if not text.startswith("commit ")]
    if sources:
        yield (
            "the code is another by now: check out the record's commit to run it as it "
            "was"
        )
    if len(others) > len(sources):
        yield (
            "another processor, version or number of threads rounds differently: "
            "--within 0.02 asks whether that may be all"
        )


def _settings(words: Sequence[str]) -> tuple[dict[str, Any], Options]:
    """Parameters of scenarios, and options.

    Raises:
        InputError: A key is neither.
    """
    known = schema.parameters(Options)
    given, options = {}, {}
    for setting in map(grammar.parse, words):
        group, _, rest = setting.key.partition(".")
        if group == "scenario" and rest:
            given[rest] = setting.value
        elif setting.key in OPTIONS:
            options[setting.key] = schema.check(
                known,
                setting.key,
                setting.value,
                key=setting.key,
                see=schema.see("options"),
            )
        else:
            raise _unknown(setting.key, OPTIONS)
    return given, Options(**options)


def _free(given: Iterable[str], scenarios: Iterable[str]) -> None:
    """Refuse parameters that could change a number.

    Raises:
        InputError: One could.
    """
    free = sorted(
        {k for name in scenarios for k in registry.load("scenario", name).incidental}
    )
    for key in given:
        if key not in free:
            raise _unknown(f"scenario.{key}", [f"scenario.{name}" for name in free])


def _unknown(key: str, known: Iterable[str]) -> InputError:
    return InputError(
        f"verify runs a record's own parameters: '{key}' cannot be set"
        f"{nearest(key, known)} (clbench verify --help)"
    )
