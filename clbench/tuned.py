"""Tuned settings: what a strategy was found to need on a scenario, kept in a file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, NonNegativeInt, ValidationError

from clbench.contract import InputError
from clbench.grammar import parse
from clbench.plugin import Plugin


class _Content(BaseModel):
    """What one document of such a file holds."""

    model_config = ConfigDict(extra="forbid", strict=True)

    when: dict[str, Any] = {}
    strategy: dict[str, Any] = {}
    recipe: dict[str, Any] = {}
    chosen_by: str
    trials: NonNegativeInt | None = None
    records: list[str] = []


@dataclass(frozen=True)
class Tuned:
    """Settings that take the place of defaults, below those of the user.

    Attributes:
        path: The file.
        origin: `tuned:` and the start of the file's hash.
        when: Scenario parameters that must have these values for it to hold; of a list
            one of its values.
        strategy: Parameters of the strategy.
        recipe: Entries of the recipe.
        chosen_by: How they were found.
        trials: How many settings were tried to find them; None where nothing says.
    """

    path: Path
    origin: str
    when: Mapping[str, Any]
    strategy: Mapping[str, Any]
    recipe: Mapping[str, Any]
    chosen_by: str
    trials: int | None = None

    @property
    def options(self) -> dict[str, list[Any]]:
        """`when`, of each parameter all the values with which it holds."""
        return {k: v if isinstance(v, list) else [v] for k, v in self.when.items()}


def path_of(folder: Path, strategy: str, scenario: str) -> Path:
    """The file of tuned settings in `folder`, which a plugin's file lies in too."""
    return folder / "tuned" / f"{strategy}--{scenario}.yaml"


def read_tuned(plugin: Plugin, scenario: str) -> list[Tuned]:
    """What the strategy `plugin` was found to need on `scenario`, if anything.

    It lies beside the plugin, as `tuned/<strategy>--<scenario>.yaml`: a document for
    each circumstance. Of those that apply the first counts.

    Raises:
        InputError: The file is damaged, or has other keys than `Tuned` names.
    """
    if plugin.path is None:
        return []
    path = path_of(plugin.path.parent, plugin.name, scenario)
    return read(path, path.read_bytes()) if path.is_file() else []


def read(path: Path, text: bytes) -> list[Tuned]:
    """The documents of `text`, which the file at `path` holds.

    Raises:
        InputError: It is damaged, or has other keys than `Tuned` names.
    """
    try:
        documents = [_Content.model_validate(d) for d in yaml.safe_load_all(text)]
    except (yaml.YAMLError, ValidationError) as error:
        line = " ".join(str(error).split())
        raise InputError(
            f"{path} is no file of tuned settings (when, strategy, recipe, chosen_by, "
            f"trials, records; docs/configuration.md): {line}"
        ) from error
    digest = hashlib.sha256(text).hexdigest()[:12]
    return [
        Tuned(
            path=path,
            origin=f"tuned:{digest}",
            when=_values(content.when),
            strategy=_values(content.strategy),
            recipe=_values(content.recipe),
            chosen_by=content.chosen_by,
            trials=content.trials,
        )
        for content in documents
    ]


def _values(entries: Mapping[str, Any]) -> dict[str, Any]:
    """`entries`, with texts read as on the command line: `5e-4` is a number."""
    return {
        key: parse(f"{key}={value}").value if isinstance(value, str) else value
        for key, value in entries.items()
    }
