"""Which files a cell of `dpo` reads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clbench.assets.hub import DATA, Hub
from clbench.assets.need import Local, Need
from clbench.data.root import folder
from clbench.models.needs import transformers_needs
from clbench.pocket.views import dpo as pocket

from .files import ENDINGS, HUB, of_hub

SOURCES: tuple[Need, ...] = (
    Hub(
        kind="data",
        name="Anthropic/hh-rlhf",
        key="scenario.domains",
        home="https://huggingface.co/datasets/Anthropic/hh-rlhf",
        licence="MIT",
        ask="scenario.domains=[hub:Anthropic/hh-rlhf]",
        repository="Anthropic/hh-rlhf",
        type="dataset",
        wanted=DATA,
    ),
)


def need(spec: str, root: Path | None) -> Need | None:
    """The files of one domain; None of the embedded world."""
    if spec in pocket.DOMAINS:
        return None
    place: Path
    patterns: tuple[str, ...]
    if spec.startswith(HUB):
        found = of_hub(spec)
        if found is not None:
            return found
        # A folder that `datasets` reads, wherever `root` is.
        place, patterns = Path(spec.removeprefix(HUB).partition(":")[0]), DATA
        place = place.expanduser()
    else:
        place, patterns = Path(spec).expanduser(), tuple(f"*{e}" for e in ENDINGS)
        place = place if root is None else root / place
    return Local(
        kind="data",
        name=f"dpo/{place.name}",
        key="scenario.domains",
        place=place,
        patterns=patterns,
    )


def needs(params: Mapping[str, Any]) -> tuple[Need, ...]:
    """The files of the domains, and the language model's weights."""
    root = folder(params["root"])
    found = (need(spec, root) for spec in params["domains"])
    return (
        *(entry for entry in found if entry is not None),
        *transformers_needs(params["backbone"], "lm"),
    )
