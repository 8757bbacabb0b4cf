"""A world of three tasks of two colours each and a narrow CLIP, for the toy."""

from __future__ import annotations

import numpy as np
import torch

from clbench.data.cache import Album, pixels_hash
from clbench.models.clip import Clip
from clbench.pocket.models import clip as pocket

from .parts import Images, Part
from .protocol import TEMPLATE, Protocol, TaskSpec

TASKS: dict[str, tuple[str, str]] = {
    "warm": ("red", "yellow"),
    "cold": ("green", "blue"),
    "mixed": ("purple", "pink"),
}

COLOURS = {
    "red": (220, 40, 40),
    "yellow": (230, 210, 60),
    "green": (60, 180, 60),
    "blue": (50, 90, 210),
    "purple": (140, 70, 170),
    "pink": (240, 150, 190),
}

PROTOCOL = Protocol(
    title="Coloured squares",
    version=1,
    labels="own",
    ensemble=False,
    objective="image",
    label_smoothing=0.0,
    shots=None,
    steps_per_task=4,
    batch_size=6,
    tasks={
        name: TaskSpec(source="pocket", templates=(TEMPLATE,), classes=classes)
        for name, classes in TASKS.items()
    },
    orders={"toy": tuple(TASKS)},
)

SIZE = 16


def images(name: str, spec: TaskSpec, size: int) -> Images:
    """Noisy squares in the colours of the task."""
    parts = [_part(name, number, size) for number in range(2)]
    return Images(TASKS[name], *parts)


def _part(name: str, number: int, size: int) -> Part:
    rng = np.random.default_rng((list(TASKS).index(name), number))
    labels = np.arange(12, dtype=np.int64) % 2
    base = np.array([COLOURS[TASKS[name][label]] for label in labels])
    noise = rng.integers(-30, 30, (len(labels), size, size, 3))
    pictures = np.clip(base[:, None, None] + noise, 0, 255).astype(np.uint8)
    return Part(Album(pictures, pixels_hash(pictures)), labels)


def clip() -> Clip:
    """A CLIP of one block of width 16 in each tower, drawn from a fixed seed."""
    from transformers import CLIPConfig, CLIPModel

    small = {
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
    }
    whole = pocket.config()
    config = CLIPConfig(
        text_config={**whole.text_config.to_dict(), **small},
        vision_config={
            **whole.vision_config.to_dict(),
            **small,
            "image_size": SIZE,
            "patch_size": 8,
        },
        projection_dim=16,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = CLIPModel(config)
    return Clip(model, pocket.tokenizer(), pocket.MEAN, pocket.STD)
