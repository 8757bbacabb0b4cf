"""The code that a plugin imports and that no version tells apart: its neighbours.

A strategy may import from another, a scenario from a module beside it. What is imported
is read from the source, without running it, and so on from there: imports within
functions are found as well, those under names that are put together are not.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import sys
import sysconfig
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from clbench.plugin import Plugin

OWN = "clbench"

PLACES = ("stdlib", "platstdlib", "purelib", "platlib")
"""Where code lies that versions tell apart."""


def imported(plugin: Plugin, aside: Collection[str]) -> dict[str, str]:
    """Module -> SHA-256 of its source, of all that `plugin` imports, near and far.

    Args:
        plugin: Whose own files are not among them.
        aside: Folders of clbench that count; the rest of it is hashed as a whole.
    """
    found: dict[str, Path] = {}
    waiting = list(_own(plugin).items())
    seen = {path for _, path in waiting}
    while waiting:
        name, path = waiting.pop()
        for other in _imports(path, name, _hash(path)):
            place = _source(other, plugin.module, aside)
            if place is not None and place not in seen:
                seen.add(place)
                found[other] = place
                waiting.append((other, place))
    return {name: _hash(found[name]) for name in sorted(found)}


def _own(plugin: Plugin) -> Mapping[str, Path]:
    """The plugin's files by the names of their modules."""
    found = {}
    for file in plugin.files:
        parts: list[str] = []
        if plugin.path is not None and file != plugin.path:
            parts += file.relative_to(plugin.path).with_suffix("").parts
        found[".".join([plugin.module, *(p for p in parts if p != "__init__")])] = file
    return found


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@cache
def _imports(path: Path, name: str, digest: str) -> tuple[str, ...]:
    """Every name that the module may import: modules, and what may be one.

    Args:
        path: Of its source.
        name: Of the module.
        digest: Hash of the source, so that a changed file is read again.
    """
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return ()
    return tuple(dict.fromkeys(_names(tree, package)))


def _names(tree: ast.AST, package: str) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _with_parents(alias.name)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            try:
                whole = importlib.util.resolve_name(base, package)
            except ImportError:
                continue
            yield from _with_parents(whole)
            for alias in node.names:
                yield f"{whole}.{alias.name}"


def _with_parents(name: str) -> Iterator[str]:
    """`a`, `a.b`, `a.b.c`: packages run before what is in them."""
    parts = name.split(".")
    for depth in range(len(parts)):
        yield ".".join(parts[: depth + 1])


def _source(name: str, plugin: str, aside: Collection[str]) -> Path | None:
    """Source of a module whose code counts here; None of any other.

    Args:
        name: Of the module, if it is one.
        plugin: Module of the plugin, whose own package counts wherever it lies.
        aside: See `imported`.
    """
    first, *rest = name.split(".")
    if first in sys.stdlib_module_names:
        return None
    if first == OWN and (not rest or rest[0] not in aside):
        return None
    path = _file(name)
    if path is None or first in (OWN, plugin.partition(".")[0]):
        return path
    return None if _versioned(path) else path


def _file(name: str) -> Path | None:
    """Where the source of module `name` lies; nothing is imported to find it."""
    spec: ModuleSpec | None = None
    search = None
    parts = name.split(".")
    for depth in range(len(parts)):
        whole = ".".join(parts[: depth + 1])
        module = sys.modules.get(whole)
        if module is not None and hasattr(module, "__path__"):
            # Local plugins are on the path of a package that has been imported.
            search, spec = list(module.__path__), module.__spec__
            continue
        spec = PathFinder.find_spec(whole, search)
        if spec is None:
            return None
        search = list(spec.submodule_search_locations or [])
    origin = None if spec is None else spec.origin
    return Path(origin) if origin is not None and origin.endswith(".py") else None


def _versioned(path: Path) -> bool:
    """Whether it is part of Python, or of a package that was installed."""
    places = [Path(sysconfig.get_path(name)) for name in PLACES]
    return any(path.is_relative_to(place) for place in places)
