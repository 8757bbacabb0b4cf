"""What a cell ran with, as its record keeps it: names no machine and no person."""

from __future__ import annotations

import platform
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from clbench import __version__, determinism
from clbench.assets import door
from clbench.record import Environment

PACKAGES = (
    *("torch", "torchvision", "timm", "transformers", "avalanche-lib", "peft"),
    *("numpy", "safetensors"),
)


def environment(threads: int) -> Environment:
    """Versions, platform and, when run from a checkout, its commit.

    Args:
        threads: CPU threads that tensors were computed with.
    """
    commit, dirty = _checkout()
    return Environment(
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.machine()}",
        threads=threads,
        versions=versions(),
        commit=commit,
        dirty=dirty,
        deterministic=determinism.enabled(),
        trust_remote_code=door.current().trust_remote_code,
    )


@cache
def versions() -> dict[str, str]:
    """Versions of clbench and of the libraries that its numbers depend on."""
    found = {"clbench": __version__}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "missing"
    return found


def _checkout() -> tuple[str | None, bool | None]:
    """The commit of the checkout that this package runs from, and whether it changed.

    What git is asked about is the source alone: records and boards that a run writes
    into the checkout do not make it dirty.
    """
    root = Path(__file__).resolve().parents[1]
    if not (root / ".git").exists():
        return None, None
    try:
        commit = _git(root, "rev-parse", "HEAD")
        sources = ("clbench", "strategies", "scenarios", "pyproject.toml")
        changed = _git(root, "status", "--porcelain", "--", *sources)
    except (OSError, subprocess.CalledProcessError):
        return None, None
    return commit, bool(changed)


def _git(root: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(root), *words], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()
