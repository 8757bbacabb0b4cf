"""`clbench new`: a commented plugin that already keeps the contract."""

from __future__ import annotations

import keyword
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from clbench import atomic, registry
from clbench.contract import InputError
from clbench.plugin import GROUPS, Kind

WORD = "newcomer"
"""What the plugin is called in its template; its class with a capital letter."""


def create(kind: Kind, name: str, folder: Path) -> Path:
    """Write a plugin called `name` into a folder of plugins; its file or folder.

    Args:
        kind: A strategy is one file, a scenario a folder.
        name: What the command line will call it.
        folder: Made where it does not exist.

    Raises:
        InputError: The name is no Python name, or taken; or the folder holds plugins
            in another way.
    """
    _check(kind, name)
    place = _place(kind, folder)
    template = files("clbench.templates")
    target = place / (f"{name}.py" if kind == "strategy" else name)
    if target.exists():
        raise InputError(f"{target} exists; it is not overwritten")
    if kind == "strategy":
        _copy(template / "strategy.py", target, name)
        return target
    for source in _sources(template / "scenario"):
        _copy(source, target / source.name, name)
    return target


def _check(kind: Kind, name: str) -> None:
    good = name.isidentifier() and not keyword.iskeyword(name) and name == name.lower()
    if not good or name.startswith("_"):
        raise InputError(
            f"'{name}' is no name of a {kind}: take small letters, digits and "
            f"underscores, and a letter first, such as my_{kind}"
        )
    plugins = registry.find(kind)
    further = registry.aliases(plugins.values(), plugins.values())
    if name in plugins or name in further:
        owner = plugins[name] if name in plugins else further[name][0]
        raise InputError(
            f"there is a {kind} '{name}' ({owner.place}): take another name (all: "
            f"clbench list {GROUPS[kind]})"
        )


def _place(kind: Kind, folder: Path) -> Path:
    """The folder for plugins of `kind` within `folder`, as the registry reads it."""
    parted = any((folder / group).is_dir() for group in GROUPS.values())
    loose = folder.is_dir() and any(folder.glob("[!_]*.py"))
    if parted or not loose:
        return folder / GROUPS[kind]
    if kind == "strategy":
        return folder
    raise InputError(
        f"{folder} holds strategies only: move them to {folder / 'strategies'}, then "
        f"scenarios can lie beside them"
    )


def _sources(folder: Traversable) -> Iterator[Traversable]:
    return (entry for entry in folder.iterdir() if entry.name.endswith(".py"))


def _copy(source: Traversable, target: Path, name: str) -> None:
    text = source.read_text(encoding="utf-8")
    text = text.replace(WORD.capitalize(), _class(name)).replace(WORD, name)
    atomic.write(target, text.encode())


def _class(name: str) -> str:
    """`my_method` -> `MyMethod`."""
    return "".join(part.capitalize() for part in name.split("_"))
