"""Names -> plugins: built in, installed, or in a local folder.

Finding plugins lists directories and package metadata. No plugin is imported before
it is asked for by name, and a name that two plugins claim is refused.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import sys
import traceback
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Literal, TypeVar, overload

from clbench import __version__
from clbench.contract import InputError, Scenario, Strategy, nearest
from clbench.plugin import GROUPS, Kind, Plugin, Source

T = TypeVar("T", Strategy, Scenario)

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


def clashes(plugins: Iterable[Plugin]) -> list[str]:
    """One line for each name that several of `plugins` claim, aliases included."""
    plugins = list(plugins)
    places: dict[tuple[Kind, str], list[str]] = defaultdict(list)
    for plugin in plugins:
        places[plugin.kind, plugin.name].append(plugin.place)
    for plugin in plugins:
        for name in aliases([plugin], plugins):
            place = f"an alias of {plugin.name} ({plugin.place})"
            places[plugin.kind, name].append(place)
    return [
        f"two plugins are called {kind}={name}: one is {p[0]}, the other {p[1]}; "
        f"rename one"
        for (kind, name), p in places.items()
        if len(p) > 1
    ]


def aliases(
    plugins: Iterable[Plugin], beside: Iterable[Plugin]
) -> dict[str, tuple[Plugin, Mapping[str, str]]]:
    """Further names of `plugins`: which it is, and the parameters that are set.

    Of a name that a plugin of the same origin has, that plugin is meant.
    """
    own = {(p.name, p.source, p.distribution) for p in beside}
    return {
        name: (plugin, params)
        for plugin in plugins
        for name, params in plugin.aliases.items()
        if (name, plugin.source, plugin.distribution) not in own
    }


def find(kind: Kind) -> dict[str, Plugin]:
    """Plugins of `kind` by their names.

    Raises:
        InputError: Two plugins claim one name, or a local folder does not exist.
    """
    plugins = scan(kind)
    for line in clashes(plugins):
        raise InputError(line)
    return {plugin.name: plugin for plugin in plugins}


def get(kind: Kind, name: str) -> Plugin:
    """The plugin that is called `name`, or that has such an alias.

    Raises:
        InputError: There is none, or two.
    """
    return _named(kind, name)[0]


def preset(kind: Kind, name: str) -> tuple[str, Mapping[str, str]]:
    """A plugin's own name, and the parameters that `name` sets: none but of an alias.

    Raises:
        InputError: There is no such plugin, or there are two.
    """
    plugin, params = _named(kind, name)
    return plugin.name, params


def _named(kind: Kind, name: str) -> tuple[Plugin, Mapping[str, str]]:
    plugins = find(kind)
    if name in plugins:
        return plugins[name], {}
    known = aliases(plugins.values(), plugins.values())
    if name not in known:
        near = nearest(name, [*plugins, *known])
        every = f"all: clbench list {GROUPS[kind]}"
        raise InputError(f"unknown {kind} '{name}'{near} ({every})")
    return known[name]


@overload
def load(kind: Literal["strategy"], name: str) -> type[Strategy]: ...
@overload
def load(kind: Literal["scenario"], name: str) -> type[Scenario]: ...
@overload
def load(kind: Kind, name: str) -> type[Strategy] | type[Scenario]: ...
def load(kind: Kind, name: str) -> type[Strategy] | type[Scenario]:
    """Import the plugin that is called `name` and return its class.

    Raises:
        InputError: There is no such plugin, or it cannot be used; says why.
    """
    if kind == "strategy":
        return _load(get(kind, name), Strategy)
    return _load(get(kind, name), Scenario)  # type: ignore[type-abstract]


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
    for folder in _local_folders(kind):
        for path in _entries(folder):
            module = f"clbench.{GROUPS[kind]}.{path.stem}"
            yield Plugin(
                kind=kind, name=path.stem, source="local", module=module, path=path
            )


def _local_folders(kind: Kind) -> list[Path]:
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
    for point in _points(f"clbench.{GROUPS[kind]}", tuple(sys.path)):
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
def _points(group: str, path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    """Entry points of the packages on `path`, which is sys.path.

    Reading what is installed takes 10 ms, and a sweep asks for plugins hundreds of
    times; packages do not come or go while a process runs.
    """
    return tuple(entry_points(group=group))


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


def _load(plugin: Plugin, base: type[T]) -> type[T]:
    what = f"{plugin.kind} '{plugin.name}' ({plugin.place})"
    if not plugin.name.isidentifier():
        good = "".join(c if c.isalnum() else "_" for c in plugin.name)
        raise InputError(f"{what} is no Python name: rename it to '{good}'")
    _extend(plugin.kind)
    try:
        module = importlib.import_module(plugin.module)
    except (Exception, SystemExit) as error:
        line = " ".join(str(error).split())
        raise InputError(
            f"{what} cannot be imported: {type(error).__name__}: {line}"
            f"{_where(error, plugin)}"
        ) from error
    if plugin.attribute is not None:
        found = getattr(module, plugin.attribute, None)
        if not (inspect.isclass(found) and issubclass(found, base)):
            raise InputError(
                f"{what}: its entry point names '{plugin.attribute}', which is no "
                f"{base.__name__}"
            )
        return found
    classes = {
        value
        for name, value in vars(module).items()
        if not name.startswith("_")
        and inspect.isclass(value)
        and issubclass(value, base)
        and f"{value.__module__}.".startswith(f"{plugin.module}.")
    }
    if len(classes) != 1:
        names = ", ".join(sorted(c.__name__ for c in classes)) or "none"
        raise InputError(
            f"{what} must define one public subclass of {base.__name__}; it has {names}"
        )
    return classes.pop()


def _extend(kind: Kind) -> None:
    """Let the package of `kind` hold the local plugins, so that they import alike."""
    package = importlib.import_module(f"clbench.{GROUPS[kind]}")
    for folder in _local_folders(kind):
        if str(folder) not in package.__path__:
            package.__path__.append(str(folder))


def _where(error: BaseException, plugin: Plugin) -> str:
    """` (file.py, line 3)`: the last line of the plugin's own code in a traceback."""
    own = {str(file) for file in plugin.files}
    frames = traceback.extract_tb(error.__traceback__)
    lines = [(frame.filename, frame.lineno) for frame in frames]
    for name, line in reversed(lines):
        if name in own:
            return f" ({Path(name).name}, line {line})"
    return ""
