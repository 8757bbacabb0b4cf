"""What a checkpoint belongs to: the cell, and the code and libraries that run it."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from clbench import determinism, registry
from clbench.assets import door
from clbench.checkpoint.store import Identity
from clbench.environment import versions

if TYPE_CHECKING:
    from clbench.contract import Scenario
    from clbench.resolved import Cell

SCHEMA = 1
"""Version of what a checkpoint holds."""

ASIDE = frozenset(
    {
        *("avalanche", "board", "check", "cli", "strategies", "scenarios"),
        *("estimate", "templates", "tracking", "tune", "verify", "page"),
    }
)
"""Folders of clbench whose code has no part in a cell, or is a plugin's."""


def identity(cell: Cell, scenario: Scenario, device: str) -> Identity:
    """Of a cell as it would run here and now.

    Args:
        cell: What is run.
        scenario: Its scenario.
        device: Type of the device.
    """
    parts = {"schema": str(SCHEMA), "cell": cell.key(), "device": device}
    parts["deterministic"] = str(determinism.enabled())
    parts["trust_remote_code"] = str(door.current().trust_remote_code)
    for member in cell.strategy:
        origin = registry.get("strategy", member.name).origin
        parts[f"source of strategy {member.name}"] = origin.sha256
    origin = registry.get("scenario", cell.scenario.name).origin
    parts[f"source of scenario {cell.scenario.name}"] = origin.sha256
    parts[f"version of scenario {cell.scenario.name}"] = str(scenario.version)
    parts["source of clbench"] = _own()
    return Identity({**parts, **{f"version of {k}": v for k, v in versions().items()}})


@cache
def _own() -> str:
    """Hash of the code that is no plugin and has a part in a cell."""
    root = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256()
    for file in sorted(root.rglob("*.py")):
        inside = file.relative_to(root)
        if inside.parts[0] not in ASIDE:
            content = hashlib.sha256(file.read_bytes()).hexdigest()
            digest.update(f"{inside.as_posix()}\0{content}\n".encode())
    return digest.hexdigest()
