"""What dense tasks minimise, and how far two of their outputs are.

Pixels labelled 255 never count; a batch without any that do costs 0. The formulas are
those of MTLoRA's released code.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.nn import functional as F

from clbench.metrics.dense import EDGE_WEIGHT, EPS, IGNORED

Loss = Callable[[Tensor, Tensor], Tensor]
"""Raw outputs (B, K, S, S) and labels -> scalar."""


def segmentation(output: Tensor, label: Tensor) -> Tensor:
    """Cross-entropy, mean over pixels; label (B, S, S) whole numbers."""
    total = F.cross_entropy(output, label, ignore_index=IGNORED, reduction="sum")
    return total / (label != IGNORED).sum().clamp_min(1)


def saliency(output: Tensor, label: Tensor) -> Tensor:
    """Cross-entropy balanced by the batch: salient pixels weigh as others are many."""
    valid = label != IGNORED
    count = valid.sum().clamp_min(1)
    return balanced(output, label, ((label < 0.5) & valid).sum() / count)


def edges(output: Tensor, label: Tensor) -> Tensor:
    """Cross-entropy in which edges weigh 0.95 and all else 0.05."""
    return balanced(output, label, output.new_tensor(EDGE_WEIGHT))


def balanced(output: Tensor, label: Tensor, weight: Tensor) -> Tensor:
    """(w sum of positive + (1 - w) sum of negative) / pixels.

    Args:
        output: (B, 1, S, S) logits.
        label: (B, 1, S, S) 0 or 1.
        weight: w.
    """
    valid = label != IGNORED
    truth = (label > 0.5).to(output.dtype)
    each = F.binary_cross_entropy_with_logits(output, truth, reduction="none")
    weighed = each * (weight * truth + (1 - weight) * (1 - truth))
    return (weighed * valid).sum() / valid.sum().clamp_min(1)


def normals(output: Tensor, label: Tensor) -> Tensor:
    """Mean absolute difference of unit vectors, over valid entries."""
    # Several times faster than torch's norm over the channels; of 0 the gradient is 0.
    squared = output.square().sum(1, keepdim=True)
    return absolute(output / (squared.clamp_min(EPS**2).sqrt() + EPS), label)


def absolute(output: Tensor, label: Tensor) -> Tensor:
    """Mean absolute difference over valid entries."""
    valid = label != IGNORED
    gap = (output - label).abs() * valid
    return gap.sum() / valid.sum().clamp_min(1)


# --- how far two outputs are ---


def class_distance(new: Tensor, old: Tensor) -> Tensor:
    """Kullback-Leibler divergence of the new prediction, mean over pixels."""
    one, other = new.log_softmax(1), old.log_softmax(1)
    return (other.exp() * (other - one)).sum(1).mean()


def chance_distance(new: Tensor, old: Tensor) -> Tensor:
    """Kullback-Leibler divergence of two-sided chances, mean over pixels."""
    old_chance = old.sigmoid()
    gap = old_chance * (F.logsigmoid(old) - F.logsigmoid(new))
    rest = (1 - old_chance) * (F.logsigmoid(-old) - F.logsigmoid(-new))
    return (gap + rest).mean()


def direction_distance(new: Tensor, old: Tensor) -> Tensor:
    """1 - cosine of the angle between vectors, mean over pixels."""
    return (1 - F.cosine_similarity(new, old, dim=1)).mean()


def square_distance(new: Tensor, old: Tensor) -> Tensor:
    """Mean squared difference."""
    return F.mse_loss(new, old)
