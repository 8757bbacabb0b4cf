"""PEGO's two penalties in their exact factored form, stacked over all blocks.

With D_i = B_i A_i the update of member i on a projection with pre-trained weight W, and
|M|_1 the sum of the absolute values of all entries (spec and released code: sums, no
means, each unordered pair once):

    preserve    sum_i     |W D_i^T|_1    with   W D_i^T   = (W A_i^T) B_i^T
    diversify   sum_{i<j} |D_i D_j^T|_1  with   D_i D_j^T = B_i (A_i A_j^T) B_j^T

Both are sums of |U V^T|_1 over thin U and V. Their gradients need the signs of the
d x d products, so these are formed a few at a time, used at once, and given up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from clbench.lowrank import Adapter

VITB_ENTRIES = 12 * 2 * 768 * 768
"""Entries of the matrices W D^T of one member in ViT-B/16: 12 blocks, q and v."""

CHUNK = 2**21
"""Entries of d x d products that are formed at once."""


@dataclass(frozen=True)
class Stack:
    """All adapted slices of one shape, S of them.

    Attributes:
        W: (S, d, d_in) pre-trained weights.
        layers: The layers that own them.
    """

    W: Tensor
    layers: Sequence[Adapter]

    @property
    def entries(self) -> int:
        """Entries of one member's matrices W D^T in all slices."""
        return self.W.shape[0] * self.W.shape[1] ** 2

    def preserve_factors(self) -> tuple[Tensor, Tensor]:
        """(S N, d, r) U and V with U V^T = W D_i^T for every slice and member."""
        A, B, N, r = self._factors()
        U = (self.W @ A.mT).unflatten(2, (N, r)).transpose(1, 2)
        return U.flatten(0, 1), B.flatten(0, 1)

    def diversify_factors(self) -> tuple[Tensor, Tensor]:
        """(S P, d, r) U and V with U V^T = D_i D_j^T for every slice and pair i < j."""
        A, B, N, r = self._factors()
        first, second = zip(*combinations(range(N), 2), strict=True)
        gram = (A @ A.mT).unflatten(1, (N, r)).unflatten(3, (N, r)).transpose(2, 3)
        U = B[:, first] @ gram[:, first, second]
        return U.flatten(0, 1), B[:, second].flatten(0, 1)

    def _factors(self) -> tuple[Tensor, Tensor, int, int]:
        """A (S, N r, d_in) and B (S, N, d, r), scaled as the layers compute."""
        N, r = self.layers[0].groups, self.layers[0].rank
        A = torch.cat([layer.A for layer in self.layers])
        B = torch.cat([layer.B for layer in self.layers])
        if (scale := self.layers[0].scale) != 1.0:
            B = scale * B
        return A, B.unflatten(2, (N, r)).transpose(1, 2), N, r


def stacks(layers: Sequence[Adapter]) -> list[Stack]:
    """The adapted slices of `layers`, one stack for each of their shapes."""
    by_shape: dict[tuple[int, ...], list[Adapter]] = {}
    for layer in layers:
        by_shape.setdefault((*layer.B.shape[1:], *layer.A.shape[1:]), []).append(layer)
    return [
        Stack(torch.cat([layer.slices.detach() for layer in alike]), alike)
        for alike in by_shape.values()
    ]


def preserve(W: Tensor, A: Tensor, B: Tensor) -> Tensor:
    """Sum of |W D_i^T|_1 over members (scalar).

    Args:
        W: (d, d_in) pre-trained weight.
        A: (N, r, d_in).
        B: (N, d, r).
    """
    return l1(W @ A.mT, B)


def diversify(A: Tensor, B: Tensor) -> Tensor:
    """Sum of |D_i D_j^T|_1 over unordered pairs of members (scalar).

    Args:
        A: (N, r, d_in).
        B: (N, d, r).
    """
    pairs = list(combinations(range(len(A)), 2))
    if not pairs:
        return B.new_zeros(())
    first, second = zip(*pairs, strict=True)
    return l1(B[list(first)] @ (A[list(first)] @ A[list(second)].mT), B[list(second)])


def l1(U: Tensor, V: Tensor) -> Tensor:
    """Sum of |U V^T|_1 over a stack of thin factors (scalar).

    The products are formed `CHUNK` entries at a time.

    Args:
        U: (M, m, r).
        V: (M, n, r).
    """
    total: Tensor = _ThinL1.apply(U, V)
    return total


class _ThinL1(torch.autograd.Function):
    """`l1`; its gradients are made in the forward pass, while the products exist.

    d/dU = sign(U V^T) V and d/dV = sign(U V^T)^T U, with sign(0) = 0, so that at B = 0
    the penalty and its gradient are exactly 0.
    """

    @staticmethod
    def forward(ctx: Any, U: Tensor, V: Tensor) -> Tensor:
        (M, m, _), n = U.shape, V.shape[1]
        step = max(1, CHUNK // (m * n))
        needs = any(ctx.needs_input_grad)
        grad_U, grad_V = torch.empty_like(U), torch.empty_like(V)
        total = U.new_zeros(())
        for start in range(0, M, step):
            u, v = U[start : start + step], V[start : start + step]
            product = u @ v.mT
            total += torch.linalg.vector_norm(product, 1)
            if needs:
                product.sign_()
                torch.bmm(product, v, out=grad_U[start : start + step])
                torch.bmm(product.mT, u, out=grad_V[start : start + step])
        ctx.save_for_backward(grad_U, grad_V)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        grad_U, grad_V = ctx.saved_tensors
        return grad * grad_U, grad * grad_V
