"""The pocket ViT: timm's own VisionTransformer, small enough to ship."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clbench.pocket import weights

if TYPE_CHECKING:
    from timm.models.vision_transformer import VisionTransformer

CONFIG: dict[str, Any] = {
    "img_size": 32,
    "patch_size": 8,
    "embed_dim": 128,
    "depth": 6,
    "num_heads": 4,
    "num_classes": 0,
}
"""Arguments of timm's VisionTransformer; everything else is timm's default."""

MEAN: tuple[float, float, float] = (0.5, 0.5, 0.5)
STD: tuple[float, float, float] = (0.25, 0.25, 0.25)
"""Pixels in [0, 1] are shifted by MEAN and divided by STD."""


def build(pretrained: bool = True) -> VisionTransformer:
    """The model, (B, 3, 32, 32) normalised pixels -> (B, 128) features.

    Args:
        pretrained: With the weights that ship; else as timm initialises them, from
            torch's global generator.

    Raises:
        InputError: The weights are not those that the package records.
    """
    from timm.models.vision_transformer import VisionTransformer

    model = VisionTransformer(**CONFIG)
    if pretrained:
        model.load_state_dict(weights.load("vit"))
    return model
