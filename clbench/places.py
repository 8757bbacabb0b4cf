"""Where plugins lie: built in, installed, or in a local folder.

Finding them lists directories and package metadata, and imports none.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from clbench import __version__
from clbench.contract import InputError
from clbench.plugin import GROUPS, Kind, Plugin, Source

VARIABLE = "CLBENCH_PATH"
"""Environment variable that lists local folders of plugins."""


def scan(kind: Kind) -> list[Plugin]:
    """Every plugin of `kind`, clashing names included, sorted by name.

    Raises:
        InputError: A local folder of plugins does not exist.
    """
    found = [*_built_in(kind), *_local(kind), *_installed(kind)]
    order: list[Source] = ["built in", "installed", "local"]
    return sorted(found, key=lambda p: (p.name, order.index(p.source), p.place))


def folders() -> list[Path]:
    """Local folders of plugins, from the environment variable `CLBENCH_PATH`.

    Raises:
        InputError: One of them is no folder.
    """
    names = [name for name in os.environ.get(VARIABLE, "").split(os.pathsep) if name]
    for name in names:
        if not Path(name).is_dir():
            raise InputError(
                f"'{name}' is no folder of plugins (in {VARIABLE} or plugins=DIR; "
                f"what is found: clbench doctor)"
            )
    return [Path(name).resolve() for name in names]


def use(folder: Path) -> None:
    """Look for plugins in `folder` too, here and in the processes started from here.

    The environment carries it, so that a spawned worker finds the same plugins.
    """
    names = [name for name in os.environ.get(VARIABLE, "").split(os.pathsep) if name]
    if (name := str(folder.resolve())) not in names:
        os.environ[VARIABLE] = os.pathsep.join([name, *names])


def _built_in(kind: Kind) -> Iterator[Plugin]:
    package = f"clbench.{GROUPS[kind]}"
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return
    for path in _entries(Path(spec.origin).parent):
        name = path.stem
        yield Plugin(
            kind=kind,
            name=name,
            source="built in",
            module=f"{package}.{name}",
            path=path,
            distribution="clbench",
            version=__version__,
        )


def _local(kind: Kind) -> Iterator[Plugin]:
    for folder in local_folders(kind):
        for path in _entries(folder):
            module = f"clbench.{GROUPS[kind]}.{path.stem}"
            yield Plugin(
                kind=kind, name=path.stem, source="local", module=module, path=path
            )


def local_folders(kind: Kind) -> list[Path]:
    """Where local plugins of `kind` lie, each folder once.

    A folder with a sub-folder `strategies` or `scenarios` is read by these; any other
    folder holds strategies.
    """
    found = []
    for folder in folders():
        parts = {k: folder / group for k, group in GROUPS.items()}
        if any(part.is_dir() for part in parts.values()):
            found.append(parts[kind])
        elif kind == "strategy":
            found.append(folder)
    spec = importlib.util.find_spec(f"clbench.{GROUPS[kind]}")
    own = Path(spec.origin).parent if spec and spec.origin else None
    return [f for f in dict.fromkeys(found) if f.is_dir() and f != own]


def _entries(folder: Path) -> Iterator[Path]:
    """Files and packages in `folder` that are plugins."""
    for path in sorted(folder.iterdir()):
        public = not path.name.startswith(("_", ".")) and path.name != "tuned"
        package = path.is_dir() and (path / "__init__.py").is_file()
        if public and (package or (path.is_file() and path.suffix == ".py")):
            yield path


def _installed(kind: Kind) -> Iterator[Plugin]:
    for point in _points(tuple(sys.path))[kind]:
        yield Plugin(
            kind=kind,
            name=point.name,
            source="installed",
            module=point.module,
            attribute=point.attr or None,
            path=_source_of(point),
            distribution=point.dist.name if point.dist else None,
            version=point.dist.version if point.dist else None,
        )


@cache
def _points(path: tuple[str, ...]) -> Mapping[Kind, tuple[EntryPoint, ...]]:
    """Entry points of the packages on `path`, which is sys.path.

    Reading what is installed takes 10 ms, and a sweep asks for plugins hundreds of
    times; packages do not come or go while a process runs.
    """
    every = entry_points()
    return {k: tuple(every.select(group=f"clbench.{g}")) for k, g in GROUPS.items()}


def _source_of(point: EntryPoint) -> Path | None:
    """Source of an entry point's module, found without importing its packages."""
    spec: ModuleSpec | None = None
    search: Sequence[str] | None = None
    parts = point.module.split(".")
    for depth in range(len(parts)):
        name = ".".join(parts[: depth + 1])
        if depth == 0:
            spec = importlib.util.find_spec(name)
        else:
            spec = PathFinder.find_spec(name, search)
        if spec is None or spec.origin is None:
            return None
        search = spec.submodule_search_locations or []
    assert spec is not None
    assert spec.origin is not None
    origin = Path(spec.origin)
    return origin.parent if origin.name == "__init__.py" else origin
