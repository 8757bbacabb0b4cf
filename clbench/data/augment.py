"""DomainBed's training augmentation, on whole batches.

Every example draws numbers of its own; every operation acts on the batch at once.
Values are RGB in [0, 1], float, (B, 3, S, S). What each operation does to one image is
what torchvision's function of the same name does.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

_GREY = (0.2989, 0.587, 0.114)

TRIES = 10
"""Boxes that are tried before the whole image is taken."""


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
    count, size = len(images), images.shape[-1]
    boxes = crop_boxes(count, size, generator)
    mirrored = torch.rand(count, generator=generator) < 0.5
    images = crop_and_flip(images, boxes, mirrored)
    images = colour_jitter(images, generator)
    chosen = torch.rand(count, generator=generator) < 0.1
    return torch.where(_like(chosen, images), grey(images), images)


def crop_boxes(
    count: int,
    size: int,
    generator: torch.Generator,
    scale: tuple[float, float] = (0.7, 1.0),
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
) -> Tensor:
    """(B, 4) top, left, height and width of random parts, in whole pixels.

    As torchvision's RandomResizedCrop chooses them: areas uniform in `scale`, aspect
    ratios log-uniform in `ratio`; of ten tries the first that fits into the image, and
    the whole image where none does.

    Args:
        count: B, the number of boxes.
        size: S, pixels on a side of the square image.
        generator: Of the CPU.
        scale: Smallest and largest part of the area.
        ratio: Smallest and largest width over height.
    """
    area, aspect, down, right = torch.rand(4, count, TRIES, generator=generator)
    area = size**2 * (scale[0] + (scale[1] - scale[0]) * area)
    low, high = math.log(ratio[0]), math.log(ratio[1])
    aspect = torch.exp(low + (high - low) * aspect)
    width, height = (area * aspect).sqrt().round(), (area / aspect).sqrt().round()
    fits = (width <= size) & (height <= size) & (width > 0) & (height > 0)
    top, left = down * (size - height + 1), right * (size - width + 1)
    tried = torch.stack([top, left, height, width], dim=-1).long()
    first = fits.int().argmax(dim=1)
    boxes = tried[torch.arange(count), first]
    whole = torch.tensor([0, 0, size, size])
    return torch.where(fits.any(dim=1, keepdim=True), boxes, whole)


def crop_and_flip(images: Tensor, boxes: Tensor, mirrored: Tensor) -> Tensor:
    """A part of each image, resized bilinearly to the whole, some of them mirrored.

    Args:
        images: (B, 3, S, S).
        boxes: (B, 4) top, left, height and width, in pixels, on the CPU.
        mirrored: (B,) which images are mirrored, on the CPU.
    """
    size = images.shape[-1]
    centres = (torch.arange(size) + 0.5) / size
    top, left, height, width = boxes.float()[:, :, None].unbind(1)
    # Positions stop at the centres of the part's outer pixels: what lies beyond them
    # was cropped away and must not bleed in.
    y = (top + centres * height - 0.5).clamp(top, top + height - 1)
    x = (left + centres * width - 0.5).clamp(left, left + width - 1)
    x = torch.where(mirrored[:, None], x.flip(1), x)
    place = torch.stack(
        [x[:, None, :].expand(-1, size, -1), y[:, :, None].expand(-1, -1, size)], dim=-1
    )
    grid = ((2 * place + 1) / size - 1).to(images.device, images.dtype)
    return F.grid_sample(
        images, grid, mode="bilinear", padding_mode="border", align_corners=False
    )


def colour_jitter(
    images: Tensor,
    generator: torch.Generator,
    strength: float = 0.3,
    hue: float = 0.3,
) -> Tensor:
    """Brightness, contrast and saturation by 1 ± `strength`, hue by ± `hue` turns.

    Every image has an order of its own in which the four act on it.
    """
    draws = 2 * torch.rand(4, len(images), generator=generator) - 1
    order = torch.rand(4, len(images), generator=generator).argsort(dim=0)
    factors = 1 + strength * draws
    factors[3] = hue * draws[3]
    operations = (brightness, contrast, saturation, turn_hue)
    images = images.clone()
    for place in order:
        for number, operation in enumerate(operations):
            rows = (place == number).nonzero().flatten()
            if len(rows):
                factor = _like(factors[number, rows], images)
                rows = rows.to(images.device)
                images[rows] = operation(images[rows], factor)
    return images


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
    sixths = torch.where(which == 0, by_red, torch.where(which == 1, by_green, by_blue))
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
