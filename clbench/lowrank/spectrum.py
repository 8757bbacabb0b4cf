"""The spectrum of an update B A from its thin factors; B A itself is never formed."""

from __future__ import annotations

import torch
from torch import Tensor


def singular_values(A: Tensor, B: Tensor) -> Tensor:
    """(..., min(d, K, d_in)) singular values of B A, largest first.

    With B = Q_B R_B and A^T = Q_A R_A they are those of the small R_B R_A^T.

    Args:
        A: (..., K, d_in).
        B: (..., d, K).
    """
    R_B = torch.linalg.qr(B, mode="r").R
    R_A = torch.linalg.qr(A.mT, mode="r").R
    values: Tensor = torch.linalg.svdvals(R_B @ R_A.mT)
    return values


def effective_rank(A: Tensor, B: Tensor) -> Tensor:
    """(...,) exponential of the entropy of the normalised singular values of B A.

    Roy and Vetterli 2007. Between 1 and the rank; 0 where B A is 0.
    """
    values = singular_values(A, B)
    total = values.sum(-1, keepdim=True)
    share = values / total.clamp(min=torch.finfo(values.dtype).tiny)
    entropy = -torch.special.xlogy(share, share).sum(-1)
    return torch.where(total.squeeze(-1) > 0, entropy.exp(), torch.zeros_like(entropy))


def norm(A: Tensor, B: Tensor) -> Tensor:
    """(...,) Frobenius norm of B A: the root of the trace of (B^T B)(A A^T)."""
    squared = ((B.mT @ B) * (A @ A.mT)).sum((-2, -1))
    return squared.clamp(min=0).sqrt()
