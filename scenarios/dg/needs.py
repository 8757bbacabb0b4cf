"""Which files a cell of `dg` reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from clbench.assets.need import Local, Need
from clbench.data.images import EXTENSIONS
from clbench.data.root import folder
from clbench.models.needs import image_needs

from .datasets import PRESETS

LICENCES = {
    "pacs": "research use",
    "officehome": "non-commercial research and education",
    "terraincognita": "CDLA-Permissive-1.0",
    "domainnet": "non-commercial research (fair use)",
}

PATTERNS = tuple(
    f"*{ending}" for end in sorted(EXTENSIONS) for ending in (end, end.upper())
)
"""Names of files that are pictures."""

SOURCES: tuple[Local, ...] = tuple(
    Local(
        kind="data",
        name=f"dg/{name}",
        key="scenario.root",
        home=preset.home,
        licence=LICENCES.get(name, "see there"),
        ask=f"scenario.dataset={name} scenario.root=DIR",
        place=None,
        patterns=PATTERNS,
    )
    for name, preset in PRESETS.items()
)


def needs(params: Mapping[str, Any]) -> tuple[Need, ...]:
    """The pictures of the data set, and the backbone's weights."""
    found = image_needs(params["backbone"], "vit")
    if params["dataset"] == "pocket":
        return found
    place = folder(params["root"])
    name = f"dg/{params['dataset']}"
    known = {source.name: source for source in SOURCES}
    other = Local(
        kind="data", name=name, key="scenario.root", place=None, patterns=PATTERNS
    )
    return (replace(known.get(name, other), place=place), *found)
