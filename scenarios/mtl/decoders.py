"""From the features of a pyramid to the pixels of one task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Kind = Literal["hrnet", "light"]

HRNET_WIDTHS = (18, 36, 72, 144)
"""Channels that the scales are brought to, HRNet-W18's."""

HRNET_HIDDEN = 1080

LIGHT_WIDTH = 32


class HrnetDecoder(nn.Module):
    """MTLoRA's decoder: every scale to HRNet's width, joined at the finest, two maps.

    Args:
        widths: Channels of the four scales.
        outputs: K.
    """

    def __init__(self, widths: Sequence[int], outputs: int) -> None:
        super().__init__()
        self.reduce = nn.ModuleList(
            nn.Conv2d(width, narrow, 1, bias=False)
            for width, narrow in zip(widths, HRNET_WIDTHS, strict=True)
        )
        self.join = nn.Sequential(
            nn.Conv2d(sum(HRNET_WIDTHS), HRNET_HIDDEN, 1),
            nn.BatchNorm2d(HRNET_HIDDEN),
            nn.ReLU(),
            nn.Conv2d(HRNET_HIDDEN, outputs, 1),
        )

    def forward(self, features: Sequence[Tensor], size: int) -> Tensor:
        """(B, C, H, W) of each scale -> (B, K, size, size)."""
        finest = (features[0].shape[-2], features[0].shape[-1])
        scales = [
            _resized(reduce(feature), finest)
            for reduce, feature in zip(self.reduce, features, strict=True)
        ]
        return _resized(self.join(torch.cat(scales, dim=1)), (size, size))


class LightDecoder(nn.Module):
    """Every scale to one width, added up at the finest, two maps.

    Args:
        widths: Channels of the scales.
        outputs: K.
    """

    def __init__(self, widths: Sequence[int], outputs: int) -> None:
        super().__init__()
        self.reduce = nn.ModuleList(nn.Conv2d(w, LIGHT_WIDTH, 1) for w in widths)
        self.mix = nn.Conv2d(LIGHT_WIDTH, LIGHT_WIDTH, 3, padding=1)
        self.out = nn.Conv2d(LIGHT_WIDTH, outputs, 1)

    def forward(self, features: Sequence[Tensor], size: int) -> Tensor:
        """(B, C, H, W) of each scale -> (B, K, size, size)."""
        finest = (features[0].shape[-2], features[0].shape[-1])
        scales = [
            _resized(reduce(feature), finest)
            for reduce, feature in zip(self.reduce, features, strict=True)
        ]
        joined = torch.stack(scales).sum(0)
        mixed = joined + self.mix(F.gelu(joined))
        return _resized(self.out(F.gelu(mixed)), (size, size))


def decoder(kind: Kind, widths: Sequence[int], outputs: int) -> nn.Module:
    """A decoder of `outputs` channels, drawn from torch's global generator."""
    return {"hrnet": HrnetDecoder, "light": LightDecoder}[kind](widths, outputs)


def _resized(feature: Tensor, size: tuple[int, int]) -> Tensor:
    if feature.shape[-2:] == size:
        return feature
    return F.interpolate(feature, size=size, mode="bilinear", align_corners=False)
