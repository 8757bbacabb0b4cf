"""DomainBed's training augmentation, on whole batches.

Every example draws numbers of its own; every operation acts on the batch at once. Values
are RGB in [0, 1], float, (B, 3, S, S). What each operation does to one image is what
torchvision's function of the same name does.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

_GREY = (0.2989, 0.587, 0.114)


def to_float(images: Tensor) -> Tensor:
    """(B, S, S, 3) uint8 -> (B, 3, S, S) float in [0, 1]; others pass unchanged."""
    if images.dtype != torch.uint8:
        return images
    return images.permute(0, 3, 1, 2).float() / 255


def augment(images: Tensor, generator: torch.Generator) -> Tensor:
    """Resized crop, flip, colour jitter and random grey, as DomainBed trains.

    The strengths are DomainBed's: crops of 0.7 to 1 of the area, jitter of 0.3 in
    brightness, contrast, saturation and hue, grey with probability 0.1.

    Args:
        images: (B, 3, S, S) float in [0, 1], on any device.
        generator: Of the CPU; the numbers are drawn there.
    """
    images = crop_and_flip(images, generator)
    images = colour_jitter(images, generator)
    chosen = torch.rand(len(images), generator=generator) < 0.1
    return torch.where(_like(chosen, images), grey(images), images)


def crop_and_flip(
    images: Tensor,
    generator: torch.Generator,
    scale: tuple[float, float] = (0.7, 1.0),
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
) -> Tensor:
    """A random part of each image, resized to the whole, mirrored half of the time.

    Areas are uniform in `scale`, aspect ratios log-uniform in `ratio` as far as the
    part stays within the image.
    """
    count = len(images)
    draws = torch.rand(5, count, generator=generator)
    area = scale[0] + (scale[1] - scale[0]) * draws[0]
    low, high = math.log(ratio[0]), math.log(ratio[1])
    aspect = torch.exp(low + (high - low) * draws[1])
    wide = (area * aspect).sqrt().clamp(max=1)
    tall = (area / aspect).sqrt().clamp(max=1)
    x, y = (1 - wide) * (2 * draws[2] - 1), (1 - tall) * (2 * draws[3] - 1)
    wide = torch.where(draws[4] < 0.5, -wide, wide)
    zero = torch.zeros(count)
    theta = torch.stack([wide, zero, x, zero, tall, y], dim=1).reshape(count, 2, 3)
    grid = F.affine_grid(theta.to(images.device), list(images.shape), False)
    return F.grid_sample(
        images, grid, mode="bilinear", padding_mode="reflection", align_corners=False
    )


def colour_jitter(
    images: Tensor,
    generator: torch.Generator,
    strength: float = 0.3,
    hue: float = 0.3,
) -> Tensor:
    """Brightness, contrast and saturation by 1 ± `strength`, hue by ± `hue` turns."""
    draws = 2 * torch.rand(4, len(images), generator=generator) - 1
    images = brightness(images, _like(1 + strength * draws[0], images))
    images = contrast(images, _like(1 + strength * draws[1], images))
    images = saturation(images, _like(1 + strength * draws[2], images))
    return turn_hue(images, _like(hue * draws[3], images))


def brightness(images: Tensor, factor: Tensor) -> Tensor:
    """`images` times `factor` (B, 1, 1, 1), within [0, 1]."""
    return (images * factor).clamp(0, 1)


def contrast(images: Tensor, factor: Tensor) -> Tensor:
    """Away from the image's mean grey, or towards it."""
    mean = grey(images)[:, :1].mean(dim=(1, 2, 3), keepdim=True)
    return (mean + factor * (images - mean)).clamp(0, 1)


def saturation(images: Tensor, factor: Tensor) -> Tensor:
    """Away from each pixel's own grey, or towards it."""
    own = grey(images)
    return (own + factor * (images - own)).clamp(0, 1)


def turn_hue(images: Tensor, turns: Tensor) -> Tensor:
    """Hues moved round the colour circle by `turns` (B, 1, 1, 1), in whole turns.

    In closed form: each channel of a colour of hue h, value V and chroma C is
    V - C max(0, min(k, 4 - k, 1)) with k = (n + 6 h) mod 6 and n = 5, 3, 1.
    """
    red, green, blue = images.unbind(1)
    value, which = images.max(dim=1)
    chroma = value - images.amin(dim=1)
    safe = torch.where(chroma > 0, chroma, torch.ones_like(chroma))
    by_red = (green - blue) / safe
    by_green = (blue - red) / safe + 2
    by_blue = (red - green) / safe + 4
    sixths = torch.where(
        which == 0, by_red, torch.where(which == 1, by_green, by_blue)
    )
    sixths = sixths + 6 * turns.squeeze(1)
    n = torch.tensor([5.0, 3.0, 1.0], device=images.device)[None, :, None, None]
    k = (n + sixths[:, None]) % 6
    fall = torch.minimum(torch.minimum(k, 4 - k), torch.ones_like(k)).clamp(min=0)
    return (value[:, None] - chroma[:, None] * fall).clamp(0, 1)


def grey(images: Tensor) -> Tensor:
    """Luminance in all three channels."""
    weights = torch.tensor(_GREY, device=images.device)[None, :, None, None]
    return (images * weights).sum(dim=1, keepdim=True).expand_as(images)


def _like(values: Tensor, images: Tensor) -> Tensor:
    return values[:, None, None, None].to(images.device)
