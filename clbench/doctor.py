"""Is this installation fit to run cells? What is found, and what is broken."""

from __future__ import annotations

import importlib
import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Literal

from packaging.requirements import Requirement
from platformdirs import user_cache_path

from clbench import __version__, places, registry, schema
from clbench.contract import InputError
from clbench.plugin import GROUPS, Plugin
from clbench.quantities import size

MISMATCH = "operator torchvision::nms does not exist"
"""How a torchvision fails that was built for another torch."""

ENOUGH = 2 * 10**9
"""Free bytes below which a warning is due: backbones are some hundred megabytes."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        subject: What.
        status: `broken` is what keeps cells from running.
        text: What was found and, where it is broken, the remedy.
    """

    subject: str
    status: Literal["ok", "warning", "broken"]
    text: str


def examine(out: Path) -> Iterator[Finding]:
    """Look at everything, one after another.

    Args:
        out: Folder of records, for its free space.
    """
    yield Finding("clbench", "ok", f"{__version__}, {Path(__file__).resolve().parent}")
    yield Finding("python", "ok", f"{platform.python_version()}, {platform.platform()}")
    yield from _requirements()
    torch_works = True
    for name in ("torch", "torchvision", "timm", "transformers"):
        finding = _import(name)
        if finding.status == "broken":
            torch_works = torch_works and name != "torch"
        yield finding
    if torch_works:
        yield from _devices()
    yield from _plugins()
    yield from _places(out)


def _requirements() -> Iterator[Finding]:
    """Are the packages there that clbench asks for, as new as it asks?"""
    wrong = []
    for text in requires("clbench") or []:
        wanted = Requirement(text)
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
            continue
        try:
            found = version(wanted.name)
        except PackageNotFoundError:
            wrong.append(f"{wanted.name} is missing")
            continue
        if not wanted.specifier.contains(found, prereleases=True):
            wrong.append(f"{wanted.name} is {found}, not {wanted.specifier}")
    text = "; ".join(wrong)
    if wrong:
        yield Finding("requirements", "broken", f"{text} (pip install clbench)")
    else:
        yield Finding("requirements", "ok", "all there")


def _import(name: str) -> Finding:
    try:
        module = importlib.import_module(name)
    except Exception as error:
        if MISMATCH in str(error):
            return Finding(name, "broken", _remedy())
        line = " ".join(str(error).split())
        return Finding(
            name, "broken", f"cannot be imported: {type(error).__name__}: {line}"
        )
    return Finding(name, "ok", str(getattr(module, "__version__", "unknown version")))


def _remedy() -> str:
    versions = " and ".join(
        f"{name} {version(name)}" for name in ("torch", "torchvision")
    )
    return (
        f"{versions} come from different places: install both with one command, such "
        f"as `pip install --force-reinstall torch torchvision`; a CPU-only pair is on "
        f"https://pytorch.org/get-started/locally/"
    )


def _devices() -> Iterator[Finding]:
    import torch  # slow to import, and maybe broken: only once that is known

    threads = f"{torch.get_num_threads()} threads of {os.cpu_count()} cores"
    yield Finding("cpu", "ok", threads)
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            facts = torch.cuda.get_device_properties(index)
            memory = f"{facts.total_memory / 1024**3:.0f} GiB"
            yield Finding(f"cuda:{index}", "ok", f"{facts.name}, {memory}")
    if torch.backends.mps.is_available():
        yield Finding("mps", "ok", "available")


def _plugins() -> Iterator[Finding]:
    for kind, group in GROUPS.items():
        try:
            plugins = places.scan(kind)
        except InputError as error:
            yield Finding(group, "broken", str(error))
            continue
        names = ", ".join(dict.fromkeys(plugin.name for plugin in plugins))
        yield Finding(group, "ok" if names else "warning", names or "none found")
        clashes = registry.clashes(plugins)
        for line in clashes:
            yield Finding(group, "broken", line)
        if not clashes:
            yield from (f for p in plugins if (f := _plugin(p)) is not None)


def _plugin(plugin: Plugin) -> Finding | None:
    """What is wrong with a plugin, or which data a scenario finds by default."""
    subject = f"{plugin.kind}={plugin.name}"
    try:
        known = schema.plugin_parameters(plugin.kind, plugin.name)
        if plugin.kind == "strategy":
            return None
        scenario = registry.load("scenario", plugin.name)
        values = scenario.fold_values({k: p.default for k, p in known.items()})
    except InputError as error:
        return Finding(subject, "broken", str(error))
    if scenario.folds is None:
        return None
    return Finding(subject, "ok", f"{scenario.folds}: {', '.join(values)}")


def _places(out: Path) -> Iterator[Finding]:
    """Caches and the disks they lie on."""
    home = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    own = os.environ.get("CLBENCH_CACHE")
    places: dict[str, Path] = {
        "clbench's cache": Path(own) if own else user_cache_path("clbench"),
        "hugging face cache": Path(os.environ.get("HF_HOME", home / "huggingface")),
        "records": out,
    }
    for name, path in places.items():
        there = next(p for p in (path, *path.resolve().parents) if p.is_dir())
        free = shutil.disk_usage(there).free
        known = size(_held(path)) if path.is_dir() else "not yet there"
        text = f"{path}: {known}, {size(free)} free"
        if not os.access(there, os.W_OK):
            yield Finding(name, "broken", f"{text}, but nothing can be written there")
        else:
            yield Finding(name, "ok" if free > ENOUGH else "warning", text)


def _held(folder: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(f.lstat().st_size for f in folder.rglob("*") if f.is_file())
