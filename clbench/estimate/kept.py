"""The estimates that were printed, kept in the cache for the sweep that follows."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from platformdirs import user_cache_dir

from clbench import atomic
from clbench.estimate.bundles import key_of
from clbench.estimate.timed import Span

if TYPE_CHECKING:
    from clbench.estimate.plan import Plan
    from clbench.options import Options
    from clbench.resolved import Cell

LARGEST = 1000
"""Estimates that are kept; the oldest go first."""


def remember(plan: Plan, options: Options) -> None:
    """Keep what a cell of each kind was estimated to take.

    A cache that cannot be written costs the comparison, not the plan.

    Args:
        plan: What was printed.
        options: How cells would run.
    """
    fresh = {
        _key(line.bundle.key, options): dataclasses.asdict(line.timed.seconds)
        for line in plan.lines
        if line.timed is not None
    }
    if not fresh:
        return
    known = {key: value for key, value in _read().items() if key not in fresh}
    newest = list({**known, **fresh}.items())[-LARGEST:]
    with suppress(OSError):
        atomic.write(_path(), json.dumps(dict(newest), indent=0).encode())


def recall(options: Options) -> Estimates:
    """What is known of cells that run so."""
    return Estimates(_read(), options)


class Estimates:
    """Estimates of cells, by what costs.

    Args:
        known: As they are kept.
        options: How cells run.
    """

    def __init__(self, known: Mapping[str, Any], options: Options) -> None:
        self._known, self._options = known, options

    def of(self, cell: Cell) -> Span | None:
        """Seconds that `cell` was estimated to take; None where nobody knows."""
        key = _key(key_of(cell), self._options)
        with suppress(KeyError, TypeError):
            return Span(**self._known[key])
        return None


def _key(kind: str, options: Options) -> str:
    text = json.dumps([kind, options.device, options.threads])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _read() -> dict[str, Any]:
    """All that is kept; nothing where it is missing or damaged."""
    with suppress(OSError, ValueError):
        found = json.loads(_path().read_text())
        return found if isinstance(found, dict) else {}
    return {}


def _path() -> Path:
    folder = os.environ.get("CLBENCH_CACHE") or user_cache_dir("clbench")
    return Path(folder) / "estimates.json"
