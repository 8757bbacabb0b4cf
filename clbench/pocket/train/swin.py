"""Pre-trains the pocket Swin."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from clbench.pocket import weights
from clbench.pocket.models import swin
from clbench.pocket.train import things

BACKBONE = things.Backbone(
    name="swin",
    version=1,
    build=partial(swin.build, pretrained=False),
    width=swin.WIDTH,
    config=swin.CONFIG,
    mean=swin.MEAN,
    std=swin.STD,
)


@dataclass(frozen=True, kw_only=True)
class Settings(things.Settings):
    """As of the ViT; four times the pixels, so fewer pictures."""

    chunks: int = 30
    steps: int = 2000
    batch: int = 96
    lr: float = 2e-3
    warmup: int = 60


def train(settings: Settings, out: Path = weights.FOLDER) -> dict[str, float]:
    """Train it, write it to `out`; see `things.train`."""
    return things.train(BACKBONE, settings, out)
