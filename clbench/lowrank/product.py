"""A linear map and its low-rank updates in as few kernel calls as they can take."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

Rows = tuple[tuple[int, int], ...]
"""Output rows `[start, stop)` of each updated slice; all of one length."""


def product(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    A: Tensor,
    B: Tensor,
    rows: Rows,
    scale: float,
) -> Tensor:
    """x W^T + b, plus scale * x A_p^T B_p^T on the rows of every slice p.

    One product with all A at once, then one accumulating product for each slice into
    the output itself: no padded or concatenated copy of the output is ever made.

    Args:
        x: (..., d_in).
        weight: (d_out, d_in).
        bias: (d_out,) or None.
        A: (P, K, d_in).
        B: (P, d, K), with d the length of a slice.
        rows: P slices of the output.
        scale: Factor of the updates.
    """
    x, weight, bias = autocast(x, weight, bias)
    # Factors may be kept in a finer type than the frozen weights.
    if A.dtype != x.dtype:
        A, B = A.to(x.dtype), B.to(x.dtype)
    if rows == ((0, len(weight)),):
        # Views: the gradient of an index is a copy into zeros.
        A, B = A.view(A.shape[1:]), B.view(B.shape[1:])
        return _whole(x, weight, bias, A, B, scale)
    out: Tensor = _Product.apply(x, weight, bias, A, B, rows, scale)
    return out


def autocast(
    x: Tensor, weight: Tensor, bias: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Input and frozen map in the type that autocast asks for, where it is on."""
    if torch.is_autocast_enabled(x.device.type):
        dtype = torch.get_autocast_dtype(x.device.type)
        x, weight = x.to(dtype), weight.to(dtype)
        bias = None if bias is None else bias.to(dtype)
    return x, weight, bias


def _whole(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    A: Tensor,
    B: Tensor,
    scale: float,
) -> Tensor:
    """`product` where the one slice is the whole output: torch's own ops are fewest."""
    y = torch.nn.functional.linear(x, weight, bias)
    h = torch.nn.functional.linear(x, A)
    if x.dim() == 2:
        return torch.addmm(y, h, B.t(), alpha=scale)
    d, K = B.shape
    flat = torch.addmm(y.reshape(-1, d), h.reshape(-1, K), B.t(), alpha=scale)
    return flat.view(y.shape)


class _Product(torch.autograd.Function):
    """`product` and its gradients, written out."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        A: Tensor,
        B: Tensor,
        rows: Rows,
        scale: float,
    ) -> Tensor:
        flat = x.reshape(-1, x.shape[-1])
        K = A.shape[1]
        h = flat @ A.flatten(0, 1).t()
        y = torch.nn.functional.linear(flat, weight, bias)
        for p, (start, stop) in enumerate(rows):
            y[:, start:stop].addmm_(h[:, p * K : (p + 1) * K], B[p].t(), alpha=scale)
        ctx.save_for_backward(flat, weight, A, B, h)
        ctx.rows, ctx.scale, ctx.shape = rows, scale, x.shape
        return y.view(*x.shape[:-1], -1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        flat, weight, A, B, h = ctx.saved_tensors
        needs_x, needs_weight, needs_bias, needs_A, needs_B = ctx.needs_input_grad[:5]
        scale, K = ctx.scale, A.shape[1]
        g = grad.reshape(-1, grad.shape[-1])
        slices = [g[:, start:stop] for start, stop in ctx.rows]
        grad_x = grad_weight = grad_bias = grad_A = grad_B = None
        if needs_x or needs_A:
            parts = [part @ B[p] for p, part in enumerate(slices)]
            grad_h = parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)
            if scale != 1.0:
                grad_h = grad_h * scale
            if needs_x:
                grad_x = g @ weight
                grad_x.addmm_(grad_h, A.flatten(0, 1))
                grad_x = grad_x.view(ctx.shape)
            if needs_A:
                grad_A = (grad_h.t() @ flat).view_as(A)
        if needs_B:
            grad_B = torch.empty_like(B)
            for p, part in enumerate(slices):
                torch.mm(part.t(), h[:, p * K : (p + 1) * K], out=grad_B[p])
            if scale != 1.0:
                grad_B *= scale
        if needs_weight:
            grad_weight = g.t() @ flat
        if needs_bias:
            grad_bias = g.sum(0)
        return grad_x, grad_weight, grad_bias, grad_A, grad_B, None, None
