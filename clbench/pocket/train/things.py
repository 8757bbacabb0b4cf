"""Pre-trains an image backbone to tell what things are, look like, and where."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from clbench.pocket import weights
from clbench.pocket.scene import COLOURS, TEXTURES
from clbench.pocket.style import HELD_OUT
from clbench.pocket.things import KINDS
from clbench.pocket.train import loop
from clbench.pocket.train.corpus import CHUNK, Corpus, corpus, traits
from clbench.pocket.train.corpus import VERSION as CORPUS_VERSION

CLASSES = {"kind": len(KINDS), "colour": len(COLOURS), "texture": len(TEXTURES)}
PLACES = ("size", "x", "y", "pose")

BATCH = 1000
"""Held-out pictures that are examined at once."""


@dataclass(frozen=True, kw_only=True)
class Settings(loop.Settings):
    """Of pictures."""

    chunks: int = 150
    held: int = 2
    steps: int = 9000
    batch: int = 128
    lr: float = 1e-3
    warmup: int = 300
    decay: float = 0.05
    seed: int = 0
    threads: int = 2


@dataclass(frozen=True, kw_only=True)
class Backbone:
    """What is pre-trained.

    Attributes:
        name: Of the weights.
        version: Of its script: raised whenever it would train other weights.
        build: Makes the model anew, (B, 3, S, S) -> (B, width).
        width: Number of features.
        config: Arguments of its class; `img_size` is S.
        mean: What pixels in [0, 1] are shifted by.
        std: What they are divided by.
    """

    name: str
    version: int
    build: Callable[[], nn.Module]
    width: int
    config: dict[str, Any]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def pixels(self, images: Tensor) -> Tensor:
        """(B, S, S, 3) uint8 -> (B, 3, S, S) normalised."""
        mean, std = torch.tensor(self.mean), torch.tensor(self.std)
        return ((images / 255 - mean) / std).permute(0, 3, 1, 2)


class Examiner(nn.Module):
    """The backbone and one linear head for everything that is asked of it."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone.build()
        self.heads = nn.ModuleDict(
            {name: nn.Linear(backbone.width, count) for name, count in CLASSES.items()}
        )
        self.places = nn.Linear(backbone.width, len(PLACES))

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """(B, 3, S, S) -> logits of every class factor, and the places (B, 4)."""
        features = self.backbone(images)
        answers = {name: head(features) for name, head in self.heads.items()}
        return {**answers, "places": self.places(features)}


def train(backbone: Backbone, settings: Settings, out: Path) -> dict[str, float]:
    """Train, write the weights and their record to `out`, return what was reached.

    Returns:
        Accuracy of each class factor and mean absolute error of the places, on pictures
        that were held back from training.
    """
    start = time.perf_counter()
    torch.set_num_threads(settings.threads)
    size = backbone.config["img_size"]
    seen = corpus(settings.chunks, size=size)
    held = corpus(settings.held, size=size, first=settings.chunks)
    images, answers = _tensors(seen)
    torch.manual_seed(settings.seed)
    model = Examiner(backbone)

    def loss(rng: np.random.Generator) -> Tensor:
        rows = torch.from_numpy(rng.integers(len(images), size=settings.batch))
        given = {name: value[rows] for name, value in answers.items()}
        return _loss(model(backbone.pixels(images[rows])), given)

    reached, log = loop.learn(
        model,
        settings,
        loss,
        lambda: _examine(model, held, backbone),
        name=backbone.name,
        shown={"kind": ".3f"},
    )
    kind = type(model.backbone)
    weights.save(
        backbone.name,
        model.backbone.state_dict(),
        {
            "model": f"{kind.__module__}.{kind.__qualname__}",
            "config": backbone.config,
            "mean": backbone.mean,
            "std": backbone.std,
            "script": f"clbench.pocket.train {backbone.name}",
            "script_version": backbone.version,
            "settings": asdict(settings),
            "corpus": {
                "version": CORPUS_VERSION,
                "pictures": settings.chunks * CHUNK,
                "distance_to_named_styles": HELD_OUT,
                **traits(seen.images[:CHUNK]),
            },
            "torch": torch.__version__.split("+")[0],
            "seconds": round(time.perf_counter() - start),
            "held_out": reached,
            "log": log,
        },
        out,
    )
    return reached


def _tensors(pictures: Corpus) -> tuple[Tensor, dict[str, Tensor]]:
    images = torch.from_numpy(pictures.images)
    answers = {name: torch.from_numpy(pictures.factor(name)) for name in CLASSES}
    places = np.stack([pictures.factor(name) for name in PLACES], axis=1)
    answers["places"] = torch.from_numpy(places)
    return images, answers


def _loss(output: dict[str, Tensor], answers: dict[str, Tensor]) -> Tensor:
    """Cross-entropies of the class factors and ten times the places' squared error."""
    entropies = [
        nn.functional.cross_entropy(output[name], answers[name]) for name in CLASSES
    ]
    places = nn.functional.mse_loss(output["places"], answers["places"])
    return torch.stack([*entropies, 10 * places]).sum()


@torch.no_grad()
def _examine(model: Examiner, held: Corpus, backbone: Backbone) -> dict[str, float]:
    images, answers = _tensors(held)
    model.eval()
    parts = [model(backbone.pixels(part)) for part in images.split(BATCH)]
    output = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    model.train()
    reached = {
        name: float((output[name].argmax(1) == answers[name]).float().mean())
        for name in CLASSES
    }
    reached["places"] = float((output["places"] - answers["places"]).abs().mean())
    return {name: round(value, 4) for name, value in reached.items()}
