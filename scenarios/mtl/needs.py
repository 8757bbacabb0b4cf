"""Which files a cell of `mtl` reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from clbench.assets.need import Local, Need
from clbench.data.root import folder
from clbench.models.needs import image_needs

SOURCES: tuple[Local, ...] = (
    Local(
        kind="data",
        name="mtl/pascal",
        key="scenario.root",
        home="the folder PASCAL_MT of Maninis et al. (docs/scenarios/mtl.md)",
        licence="Flickr terms, research use",
        ask="scenario.dataset=pascal scenario.root=DIR",
        place=None,
        patterns=("*.jpg", "*.png", "*.mat", "*.txt"),
    ),
    Local(
        kind="data",
        name="mtl/voc_parts",
        key="scenario.root",
        home="https://roozbehm.info/pascal-parts/pascal-parts.html",
        licence="Flickr terms, research use",
        ask="scenario.dataset=voc_parts scenario.root=DIR",
        place=None,
        patterns=("*.jpg", "*.mat"),
        deep=False,
    ),
)


def needs(params: Mapping[str, Any]) -> tuple[Need, ...]:
    """Pictures and labels, and the backbone's weights."""
    found = image_needs(params["backbone"], "swin")
    root = folder(params["root"])
    return (
        *(
            replace(source, place=root)
            for source in SOURCES
            if source.name == f"mtl/{params['dataset']}"
        ),
        *found,
    )
