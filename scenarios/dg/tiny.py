"""A world of three domains and two classes, for the scenario's toy."""

from __future__ import annotations

import numpy as np
import torch

from clbench.data.cache import pixels_hash
from clbench.models.vision import ImageBackbone

from .datasets import Domain

DOMAINS = ("blue", "green", "red")
CLASSES = ("left", "right")


def domains(size: int) -> dict[str, Domain]:
    """Bright squares in the left or the right half, in the colour of the domain."""
    made = {}
    for number, name in enumerate(DOMAINS):
        rng = np.random.default_rng(number)
        labels = np.arange(20) % len(CLASSES)
        pictures = rng.integers(0, 80, (20, size, size, 3)).astype(np.uint8)
        half = size // 2
        for picture, label in zip(pictures, labels, strict=True):
            picture[4:-4, label * half : label * half + half, 2 - number] = 230
        made[name] = Domain(pictures, labels, pixels_hash(pictures))
    return made


def backbone() -> ImageBackbone:
    """A timm ViT of two blocks and width 32, drawn from a fixed seed."""
    from timm.models.vision_transformer import VisionTransformer

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        body = VisionTransformer(
            img_size=16, patch_size=8, embed_dim=32, depth=2, num_heads=2, num_classes=0
        )
    half = (0.5, 0.5, 0.5)
    return ImageBackbone(body, width=32, image_size=16, mean=half, std=half)
