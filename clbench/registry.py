"""Names -> plugins, and their classes.

No plugin is imported before it is asked for by name, and a name that two plugins claim
is refused.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import traceback
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal, TypeVar, overload

from clbench.contract import InputError, Scenario, Strategy, nearest
from clbench.places import local_folders, scan
from clbench.plugin import GROUPS, Kind, Plugin

T = TypeVar("T", Strategy, Scenario)


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
    for folder in local_folders(kind):
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
