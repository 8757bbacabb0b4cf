"""Weighted sums of updates B A, exact: factors are stacked, never averaged."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

Pair = tuple[Tensor, Tensor]
"""A (..., K, d_in) and B (..., d, K) of an update B A."""


def combine(updates: Sequence[Pair], weights: Sequence[float]) -> Pair:
    """Factors of sum_i w_i B_i A_i: [A_1; A_2; ...] and [w_1 B_1 | w_2 B_2 | ...].

    The average of factors would be another map: (sum w_i B_i)(sum w_i A_i) has all
    products of different updates in it. An update of weight 0 is left out, as long as
    another stays.
    """
    taken = [(w, *pair) for w, pair in zip(weights, updates, strict=True) if w]
    taken = taken or [(weights[0], *updates[0])]
    A = torch.cat([A for _, A, _ in taken], dim=-2)
    B = torch.cat([w * B for w, _, B in taken], dim=-1)
    return A, B


def compress(A: Tensor, B: Tensor, rank: int) -> Pair:
    """The factors of width `rank` nearest to B A: its truncated SVD.

    With B = Q_B R_B and A^T = Q_A R_A it is that of the small R_B R_A^T. Both new
    factors carry the roots of the singular values. Factors that are no wider than
    `rank` stay as they are.
    """
    if A.shape[-2] <= rank:
        return A, B
    Q_B, R_B = torch.linalg.qr(B)
    Q_A, R_A = torch.linalg.qr(A.mT)
    U, S, Vh = torch.linalg.svd(R_B @ R_A.mT, full_matrices=False)
    root = S[..., :rank].sqrt()
    return (
        (Q_A @ Vh[..., :rank, :].mT * root[..., None, :]).mT.contiguous(),
        Q_B @ U[..., :, :rank] * root[..., None, :],
    )
