"""Which strategies run on which scenarios: computed on toys, kept in the cache."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from platformdirs import user_cache_dir

from clbench import atomic, registry
from clbench.environment import versions
from clbench.plugin import Kind

if TYPE_CHECKING:
    from clbench.check.fit import Fit


@dataclass(frozen=True)
class Candidate:
    """A strategy with some of its parameters set.

    Attributes:
        name: How it is shown.
        plugin: The strategy's name.
        params: Parameters that are set.
    """

    name: str
    plugin: str
    params: Mapping[str, Any] = field(default_factory=dict)


Pair = tuple[str, str]
"""Names of a candidate and of a scenario."""


def fits(
    candidates: Sequence[Candidate],
    scenarios: Sequence[str],
    tell: Callable[[str], None] = lambda text: None,
) -> dict[Pair, Fit]:
    """Of every candidate and every scenario, whether it runs there.

    What was computed before with the same sources and the same versions of the
    libraries is taken from the cache.

    Args:
        candidates: Strategies.
        scenarios: Names of scenarios.
        tell: Called with what is computed next.

    Raises:
        InputError: A plugin cannot be used.
    """
    path = _cache()
    known: dict[str, Any] = {}
    with suppress(OSError, ValueError):
        # Missing, or damaged: what it held is computed again.
        known = json.loads(path.read_text())
    found: dict[Pair, Fit] = {}
    fresh: dict[str, Any] = {}
    strategies = {name: _source("strategy", name) for name in _plugins(candidates)}
    judges = {name: _source("scenario", name) for name in scenarios}
    for candidate in candidates:
        for scenario in scenarios:
            key = _key(candidate, strategies[candidate.plugin], judges[scenario])
            if key not in known:
                tell(f"{candidate.name} on {scenario}")
                fresh[key] = dataclasses.asdict(_compute(candidate, scenario))
            entry = fresh.get(key) or known[key]
            found[candidate.name, scenario] = _read(entry)
    if fresh:
        text = json.dumps(known | fresh, indent=0, sort_keys=True)
        atomic.write(path, text.encode())
    return found


def _compute(candidate: Candidate, scenario: str) -> Fit:
    from clbench.check.fit import fit  # imports torch and Avalanche: seconds

    cls = registry.load("strategy", candidate.plugin)
    make = partial(cls, **candidate.params)
    return fit(make, registry.load("scenario", scenario))


def _read(entry: Mapping[str, Any]) -> Fit:
    from clbench.check.fit import Fit

    return Fit(**entry)


def _plugins(candidates: Sequence[Candidate]) -> set[str]:
    return {candidate.plugin for candidate in candidates}


def _source(kind: Kind, name: str) -> str:
    """A plugin's name and the hash of its source."""
    return f"{kind}={name} {registry.get(kind, name).origin.sha256}"


def _key(candidate: Candidate, strategy: str, scenario: str) -> str:
    """Hash of all that the answer depends on."""
    content = [strategy, dict(candidate.params), scenario, versions(), _own()]
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@cache
def _own() -> str:
    """Hash of what plugins are built on: the layers and models of clbench."""
    digest = hashlib.sha256()
    for folder in ("check", "contract", "lowrank", "models", "past"):
        for file in sorted((Path(__file__).parent / folder).rglob("*.py")):
            digest.update(file.read_bytes())
    return digest.hexdigest()


def _cache() -> Path:
    folder = os.environ.get("CLBENCH_CACHE") or user_cache_dir("clbench")
    return Path(folder) / "fits.json"
