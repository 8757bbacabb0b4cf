"""The pocket Swin: timm's own SwinTransformer of four stages, small enough to ship."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import nn

from clbench.pocket import weights

if TYPE_CHECKING:
    from timm.models.swin_transformer import SwinTransformer

CONFIG: dict[str, Any] = {
    "img_size": 64,
    "patch_size": 2,
    "embed_dim": 24,
    "depths": [2, 2, 2, 2],
    "num_heads": [2, 4, 8, 16],
    "window_size": 4,
    "num_classes": 0,
    "drop_path_rate": 0.0,
}
"""Arguments of timm's SwinTransformer; everything else is timm's default."""

WIDTH = 192
"""Features of the last stage."""

MEAN: tuple[float, float, float] = (0.5, 0.5, 0.5)
STD: tuple[float, float, float] = (0.25, 0.25, 0.25)
"""Pixels in [0, 1] are shifted by MEAN and divided by STD."""


def build(pretrained: bool = True) -> SwinTransformer:
    """The model, (B, 3, 64, 64) normalised pixels -> (B, 192) features.

    Args:
        pretrained: With the weights that ship; else drawn from torch's global
            generator, linear maps with deviation 1 / sqrt(d_in): timm's 0.02 is for
            wide layers, and these would hardly begin to learn.

    Raises:
        InputError: The weights are not those that the package records.
    """
    from timm.models.swin_transformer import SwinTransformer

    model = SwinTransformer(**CONFIG)
    if pretrained:
        model.load_state_dict(weights.load("swin"))
        return model
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.trunc_normal_(module.weight, std=module.in_features**-0.5)
    return model
