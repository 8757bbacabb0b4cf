"""Losses between images and texts, over the classes that an experience knows."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from .model import NEVER


def image_loss(logits: Tensor, target: Tensor, smoothing: float = 0.0) -> Tensor:
    """Mean cross-entropy of images over texts.

    Args:
        logits: (B, K); classes at `NEVER` have no part in it, in smoothing neither.
        target: (B,) columns of the labels.
        smoothing: Part of the target that is spread evenly over the allowed classes.
    """
    log_p = logits.log_softmax(-1)
    loss = F.nll_loss(log_p, target)
    if smoothing:
        allowed = logits > NEVER / 2
        spread = -(log_p * allowed).sum(-1) / allowed.sum(-1)
        loss = (1 - smoothing) * loss + smoothing * spread.mean()
    return loss


def text_loss(
    image: Tensor,
    text: Tensor,
    target: Tensor,
    scale: float | Tensor,
    rows: int,
    balanced: bool = False,
) -> Tensor:
    """Cross-entropy of texts over the images of the batch.

    Every text has as targets all images of its class. As CoDyRA's released code has it,
    each of them weighs 1, and the sum is divided by the number of all texts, those
    without an image included: the loss fades as classes accumulate. Balanced, each text
    that has images weighs the same, and the others nothing.

    Args:
        image: (B, D) of length 1.
        text: (K, D) of length 1: those that have images in the batch are enough.
        target: (B,) row of `text` of each image's class.
        scale: Inverse temperature.
        rows: Number of all texts, those of earlier classes included.
        balanced: Whether texts weigh alike.
    """
    log_p = (scale * text @ image.T).log_softmax(-1)
    own = -log_p[target, torch.arange(len(target), device=target.device)]
    if not balanced:
        return own.sum() / rows
    count = torch.bincount(target, minlength=len(text))
    return (own / count[target]).sum() / (count > 0).sum()
