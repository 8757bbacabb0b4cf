"""Pre-trains the pocket ViT."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from clbench.pocket import weights
from clbench.pocket.models import vit
from clbench.pocket.train import things
from clbench.pocket.train.things import Settings

BACKBONE = things.Backbone(
    name="vit",
    version=1,
    build=partial(vit.build, pretrained=False),
    width=vit.CONFIG["embed_dim"],
    config=vit.CONFIG,
    mean=vit.MEAN,
    std=vit.STD,
)


def train(settings: Settings, out: Path = weights.FOLDER) -> dict[str, float]:
    """Train it, write it to `out`; see `things.train`."""
    return things.train(BACKBONE, settings, out)
