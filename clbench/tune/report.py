"""What a search found: a table, a file that a program reads, and a picture."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from pydantic_core import to_jsonable_python
from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from clbench import atomic, drawn
from clbench.contract import Metric
from clbench.grammar import write
from clbench.plot import FORMATS
from clbench.report import number
from clbench.tune.axes import Settings
from clbench.tune.search import Search
from clbench.tune.trials import Trial, Trials

SHOWN = 5
"""Trials in the table."""


def words(settings: Settings) -> str:
    """Settings as the command line takes them; without any those of nobody."""
    return " ".join(f"{k}={write(v)}" for k, v in settings.items()) or "default"


def value(trial: Trial, metric: Metric) -> str:
    """What is compared, as people read it, or why there is nothing."""
    return f"failed: {trial.reason}" if trial.value is None else _score(trial, metric)


def _score(trial: Trial, metric: Metric) -> str:
    assert trial.value is not None
    return number(trial.value, metric) + (" %" if metric.percent else "")


def tables(
    search: Search, trials: Trials, parts: Mapping[str, float]
) -> Iterator[RenderableType]:
    """The best trials, how far the default is from the first, and what mattered.

    Args:
        search: What was searched.
        trials: What was tried.
        parts: How much each setting explains, by its key.
    """
    metric = search.tuning.metric
    yield Text(f"{metric.title}: {metric.definition}")
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("trial", justify="right")
    table.add_column(metric.title, justify="right", no_wrap=True)
    table.add_column("settings", overflow="fold")
    for place, trial in enumerate(trials.ranked[:SHOWN]):
        cells = [str(trial.number), _score(trial, metric), words(trial.settings)]
        table.add_row(*map(escape, cells), style="" if place else "bold")
    yield table
    yield Text(_beside_default(trials, metric))
    if parts:
        told = ", ".join(f"{key} {part:.0%}" for key, part in parts.items())
        yield Text(f"of the differences between trials is due to: {told}")
    failed = [trial for trial in trials.all if trial.value is None]
    if failed:
        numbers = ", ".join(str(trial.number) for trial in failed)
        yield Text(f"failed: {len(failed)} of {len(trials.all)} (trial {numbers})")
    found = {trial.value for trial in trials.ranked}
    if len(found) == 1 and len(trials.ranked) > 1:
        yield Text(
            "nothing that was searched changed the number: it says nothing of these "
            "settings"
        )


def _beside_default(trials: Trials, metric: Metric) -> str:
    """How far the winner is from what nobody has tuned."""
    best = trials.best
    default = next((t for t in trials.all if not t.settings), None)
    if best is None or default is None:
        return "default settings were not among the trials"
    if default.value is None:
        return f"default settings failed: {default.reason}"
    if best.records == default.records:
        return "default settings are the best of these"
    assert best.value is not None
    gap = best.value - default.value
    text = f"{100 * gap:+.1f} points" if metric.percent else f"{gap:+.4g}"
    return f"the best is {text} from default settings, {_score(default, metric)}"


def document(
    search: Search, trials: Trials, parts: Mapping[str, float], sampler: str
) -> dict[str, Any]:
    """The search as plain values."""
    metric, best = search.tuning.metric, trials.best
    return {
        "strategy": search.strategy,
        "scenario": search.scenario,
        "when": search.when,
        "seed": search.seed,
        "rule": search.rule,
        "metric": metric.name,
        "higher_is_better": search.tuning.up,
        "space": {axis.key: str(axis.space) for axis in search.axes},
        "sampler": sampler,
        "trials": [plain(trial) for trial in trials.all],
        "distinct": trials.distinct,
        "winner": None if best is None else best.number,
        "importances": dict(parts),
    }


def plain(trial: Trial) -> dict[str, Any]:
    """A trial as plain values."""
    return {
        "trial": trial.number,
        "settings": to_jsonable_python(dict(trial.settings)),
        "value": trial.value,
        "failed": trial.reason or None,
        "records": list(trial.records),
    }


def write_all(
    search: Search, trials: Trials, parts: Mapping[str, float], sampler: str
) -> list[Path]:
    """Write the search beside its records: as JSON, and drawn as PNG and SVG."""
    stem = f"{search.strategy}--search-{search.key}"
    path = trials.folder / f"{stem}.json"
    content = document(search, trials, parts, sampler)
    text = json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False)
    atomic.write(path, (text + "\n").encode())
    written = [path]
    if any(trial.value is not None for trial in trials.all):
        figure = draw(search, trials, parts)
        for form in FORMATS:
            written.append(path.with_name(f"{stem}.{form}"))
            drawn.save(figure, written[-1], form)
    return written


def draw(search: Search, trials: Trials, parts: Mapping[str, float]) -> Figure:
    """Left what each trial gave and the best so far, right what mattered."""
    metric = search.tuning.metric
    factor = 100.0 if metric.percent else 1.0
    done = [(t.number, factor * t.value) for t in trials.all if t.value is not None]
    width = 10.0 if parts else 6.0
    figure = Figure(figsize=(width, 3.6), layout="constrained")
    panels = figure.subplots(1, 2 if parts else 1, squeeze=False)[0]
    history = panels[0]
    numbers, values = zip(*done, strict=True)
    history.plot(numbers, values, "o", color="0.55", label="trial")
    so_far = _best_so_far(values, search.tuning.up)
    history.step(numbers, so_far, where="post", color="tab:blue", label="best so far")
    default = [t for t in trials.all if not t.settings and t.value is not None]
    if default and default[0].value is not None:
        level = factor * default[0].value
        history.axhline(level, color="0.3", linestyle=":", label="default")
    for trial in trials.all:
        if trial.value is None:
            history.axvline(trial.number, color="tab:red", alpha=0.4, linewidth=1)
    history.set_xlabel("trial (red: failed)")
    history.set_ylabel(f"{metric.title}{' %' if metric.percent else ''}")
    history.xaxis.set_major_locator(MaxNLocator(integer=True))
    history.legend(fontsize="small")
    if parts:
        shown = list(parts.items())[::-1]
        bars = panels[1]
        bars.barh([key for key, _ in shown], [100 * part for _, part in shown])
        bars.set_xlabel("part of the differences, %")
    figure.suptitle(f"{search.strategy} tuned on {search.scenario}", fontsize="medium")
    return figure


def _best_so_far(values: Sequence[float], up: bool) -> list[float]:
    found: list[float] = []
    for entry in values:
        assert isfinite(entry)
        better = max if up else min
        found.append(better(found[-1], entry) if found else entry)
    return found
