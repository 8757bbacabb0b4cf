"""Losses of preference pairs, of their margins."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

Loss = Literal["sigmoid", "ipo", "hinge"]


def margins(logp: Tensor, reference: Tensor, beta: float) -> Tensor:
    """(B,) beta [(l - l0)(chosen) - (l - l0)(rejected)]: DPO's margin.

    Args:
        logp: (B, 2) log-probabilities l of both responses, chosen first.
        reference: (B, 2) the reference's, l0.
        beta: How strongly the policy is held to the reference.
    """
    rewards = beta * (logp - reference)
    return rewards[:, 0] - rewards[:, 1]


def preference_losses(
    margin: Tensor, kind: Loss, *, beta: float, smoothing: float = 0.0
) -> Tensor:
    """(B,) loss of each pair.

    - `sigmoid`: -log sigma(m) (Rafailov et al., NeurIPS 2023, equation 7); with label
      smoothing e, -(1 - e) log sigma(m) - e log sigma(-m) (Mitchell, conservative DPO);
    - `ipo`: (m / beta - 1 / (2 beta))^2 (Azar et al., AISTATS 2024, equation 17), of
      sums of log-probabilities as the paper has it, not of their means;
    - `hinge`: max(0, 1 - m) (Zhao et al., SLiC-HF, 2023, with the policy's ratio to the
      reference as score).

    Args:
        margin: (B,) m.
        kind: Which.
        beta: Of the margin.
        smoothing: e, chance that a preference is the wrong way round.
    """
    if kind == "ipo":
        return (margin / beta - 1 / (2 * beta)).square()
    if kind == "hinge":
        return torch.relu(1 - margin)
    kept, turned = F.logsigmoid(margin), F.logsigmoid(-margin)
    return -(1 - smoothing) * kept - smoothing * turned


def token_divergence(new: Tensor, old: Tensor) -> Tensor:
    """(...,) Kullback-Leibler divergence of `new` from `old`, KL(old || new).

    Args:
        new, old: (..., V) logits.
    """
    p, q = old.log_softmax(-1), new.log_softmax(-1)
    return (p.exp() * (p - q)).sum(-1)
