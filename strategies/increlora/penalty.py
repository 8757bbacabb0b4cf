"""The regulariser that keeps the components of a map orthogonal."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor

from clbench.lowrank import Components


def orthogonality(updates: Sequence[Components]) -> Tensor:
    """Scalar, sum over M maps of |A A^T - I|_F + |B^T B - I|_F, divided by 2 M.

    A and B of a map hold all its entries, reserves included; norms are not squared: the
    form in which the published models were trained.
    """
    grams: dict[int, list[Tensor]] = defaultdict(list)
    for update in updates:
        A, B = update.whole
        grams[len(A)] += [A @ A.T, B.T @ B]
    # Maps of one size at once.
    sums = [
        torch.linalg.matrix_norm(_off(torch.stack(each))).sum()
        for each in grams.values()
    ]
    return torch.stack(sums).sum() / (2 * len(updates))


def _off(gram: Tensor) -> Tensor:
    """(N, K, K) less the identity."""
    return gram - torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)
