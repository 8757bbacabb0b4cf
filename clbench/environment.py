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
        processor=processor(),
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


@cache
def processor() -> str | None:
    """The CPU, and the instructions that torch computes with on it.

    Sums are added up in another order with other instructions, and libraries of linear
    algebra choose by the model. None where the system does not say which it is.
    """
    import torch  # slow to import, and there by the time that a cell has run

    words = torch.backends.cpu.get_cpu_capability()
    cpu = _cpu()
    return f"{cpu}, {words}" if cpu else None


def _cpu() -> str:
    """Name of the model; Linux has numbers too, which tell more than some names."""
    path = Path("/proc/cpuinfo")
    if not path.is_file():
        return platform.processor()
    first, _, _ = path.read_text(errors="replace").partition("\n\n")
    pairs = (line.partition(":") for line in first.splitlines())
    facts = {key.strip(): value.strip() for key, _, value in pairs}
    # ARM has no model's name there, but numbers of its own.
    keys = ("cpu family", "model", "CPU implementer", "CPU part")
    numbers = " ".join(f"{key} {facts[key]}" for key in keys if key in facts)
    name = facts.get("model name", "") or platform.processor()
    return f"{name} ({numbers})" if numbers else name


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
