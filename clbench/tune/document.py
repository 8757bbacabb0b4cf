"""The winner of a search as the strategy's tuned settings, where the next run looks."""

from __future__ import annotations

import json
import os
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic_core import to_jsonable_python

from clbench import atomic, registry, tuned
from clbench.contract import InputError
from clbench.grammar import write
from clbench.plugin import Plugin
from clbench.tune.axes import Settings
from clbench.tune.search import Search
from clbench.tuned import Tuned

WIDTH = 86
"""Characters of a line of prose."""

_BREAK = re.compile(r"^---[ \t]*\n", re.MULTILINE)


@dataclass(frozen=True)
class Change:
    """What a file of tuned settings will hold.

    Attributes:
        path: The file.
        document: The new document.
        replaced: The one in whose place it stands; None where there was none.
        text: The whole file.
    """

    path: Path
    document: str
    replaced: str | None
    text: str

    def write(self) -> None:
        """Write it, all or nothing.

        Raises:
            InputError: It cannot be written; the settings are in the message.
        """
        try:
            atomic.write(self.path, self.text.encode())
        except OSError as error:
            raise InputError(
                f"{self.path} cannot be written ({error.strerror or error}): name "
                f"another place with --to FILE; the search is not run again"
            ) from error


def place(search: Search, to: Path | None) -> Path:
    """The file that the winner goes to.

    Args:
        search: Whose winner.
        to: A file, or a folder of plugins, that the user named; None is beside the
            strategy's source.

    Raises:
        InputError: That is no place to write to.
    """
    plugin = registry.get("strategy", search.strategy)
    if to is not None:
        return to if to.suffix else tuned.path_of(to, plugin.name, search.scenario)
    if (path := _beside(plugin, search.scenario)) is None:
        raise InputError(
            f"strategy '{plugin.name}' ({plugin.place}) lies where nothing is to be "
            f"written: name a place with --to FILE, or look only with --print"
        )
    return path


def _beside(plugin: Plugin, scenario: str) -> Path | None:
    """The file beside a plugin's source; None in installed packages."""
    if plugin.path is None:
        return None
    folder = plugin.path.resolve().parent
    installed = {"site-packages", "dist-packages"} & set(folder.parts)
    if installed or not os.access(folder, os.W_OK):
        return None
    return tuned.path_of(folder, plugin.name, scenario)


def change(
    search: Search,
    settings: Settings,
    trials: int,
    records: Sequence[str],
    path: Path,
    sampler: str,
) -> Change:
    """What `path` will hold once the winner is in it.

    The document for the same circumstances is replaced. A new one goes before the first
    that applies there, as the first counts; all others stay as they are, to the letter.

    Args:
        search: What was searched.
        settings: The winner's, defaults spelled out.
        trials: How many settings were tried.
        records: Names of the winner's records.
        path: Of the file.
        sampler: What proposed them, as the end of a sentence.

    Raises:
        InputError: The file that is there is damaged.
    """
    document = _document(search, settings, trials, records, sampler)
    old = path.read_text(encoding="utf-8") if path.is_file() else ""
    parts = [part for part in _BREAK.split(old) if part.strip()]
    known = tuned.read(path, old.encode()) if parts else []
    if len(known) != len(parts):
        raise InputError(
            f"{path}: its documents cannot be told apart; see docs/tuning.md"
        )
    when = _options(search.when)
    same = [n for n, entry in enumerate(known) if dict(entry.when) == when]
    replaced = None
    if same:
        replaced, parts[same[0]] = parts[same[0]], document
    else:
        params = search.default[0].scenario.params
        holds = [_applies(entry, params) for entry in known]
        parts.insert(holds.index(True) if True in holds else len(parts), document)
    text = "---\n".join(part if part.endswith("\n") else f"{part}\n" for part in parts)
    return Change(path, document, replaced, text)


def _document(
    search: Search,
    settings: Settings,
    trials: int,
    records: Sequence[str],
    sampler: str,
) -> str:
    entries: dict[str, dict[str, Any]] = {"strategy": {}, "recipe": {}}
    fixed = {
        key: value
        for key, value in search.default[0].given()
        if not key.startswith("scenario.")
    }
    for key, value in {**fixed, **settings}.items():
        kind, *path = key.split(".")
        branch = entries[kind]
        for name in path[:-1]:
            branch = branch.setdefault(name, {})
        branch[path[-1]] = value
    lines = [f"when: {_flow(_options(search.when))}"]
    lines += [f"{kind}: {_flow(part)}" for kind, part in entries.items() if part]
    lines += [f"trials: {trials}", f"records: [{', '.join(records)}]"]
    tried = "; ".join(axis.text for axis in search.axes)
    why = f"{search.rule}, among {trials} settings ({tried}), {sampler}"
    lines += ["chosen_by: >-", *textwrap.wrap(why, WIDTH, **_INDENT)]
    return "\n".join(lines) + "\n"


_INDENT: dict[str, Any] = {
    "initial_indent": "  ",
    "subsequent_indent": "  ",
    "break_long_words": False,
    "break_on_hyphens": False,
}


def _options(when: Mapping[str, Any]) -> dict[str, Any]:
    """`when` as a document has it, where a list is one of its entries."""
    return {k: [v] if isinstance(v, list) else v for k, v in when.items()}


def _applies(entry: Tuned, params: Mapping[str, Any]) -> bool:
    """Whether a document holds for a scenario of these parameters."""
    plain = to_jsonable_python(dict(params))
    return all(plain.get(key) in values for key, values in entry.options.items())


def _flow(values: Mapping[str, Any]) -> str:
    """A mapping as one line of YAML, texts as the command line takes them."""
    plain: dict[str, Any] = to_jsonable_python(dict(values))
    read = {k: write(v) if isinstance(v, str) else v for k, v in plain.items()}
    return f"{{{', '.join(f'{key}: {_plain(value)}' for key, value in read.items())}}}"


def _plain(value: Any) -> str:
    """One value as YAML, in JSON's form but for texts that need no quotes."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{k}: {_plain(v)}' for k, v in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_plain, value))}]"
    if isinstance(value, str) and value.isidentifier():
        return value if yaml.safe_load(value) == value else json.dumps(value)
    # YAML takes 1e-05 for a text; tuned settings are read as the command line is.
    return json.dumps(value)
