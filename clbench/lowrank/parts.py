"""A linear map and several low-rank updates, each on its own part of the input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from clbench.lowrank.product import Rows, autocast


def product_of_parts(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    updates: Sequence[tuple[Tensor, Tensor]],
    rows: Rows,
    scale: float,
) -> Tensor:
    """x_m W^T + b + scale * x_m A_m^T B_m^T for every part m of x along its first axis.

    The frozen map is one product for all parts.

    Args:
        x: (M B, ..., d_in), the parts one after another.
        weight: (d_out, d_in).
        bias: (d_out,) or None.
        updates: M pairs A (P, K, d_in) and B (P, d, K), with d the length of a slice.
        rows: P slices of the output.
        scale: Factor of the updates.
    """
    x, weight, bias = autocast(x, weight, bias)
    if rows == ((0, len(weight)),):
        return _whole(x, weight, bias, updates, scale)
    factors = [factor.to(x.dtype) for pair in updates for factor in pair]
    out: Tensor = _Product.apply(x, weight, bias, rows, scale, *factors)
    return out


def _whole(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    updates: Sequence[tuple[Tensor, Tensor]],
    scale: float,
) -> Tensor:
    """`product_of_parts` where the one slice is the whole output: all parts at once."""
    A = torch.cat([A for A, _ in updates]).to(x.dtype)
    B = torch.cat([B for _, B in updates]).to(x.dtype)
    y = torch.nn.functional.linear(x, weight, bias)
    parts = y.reshape(len(updates), -1, y.shape[-1])
    h = torch.bmm(x.reshape(len(updates), -1, x.shape[-1]), A.mT)
    return torch.baddbmm(parts, h, B.mT, alpha=scale).view(y.shape)


class _Product(torch.autograd.Function):
    """`product_of_parts` and its gradients, written out."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        rows: Rows,
        scale: float,
        *factors: Tensor,
    ) -> Tensor:
        flat = x.reshape(-1, x.shape[-1])
        y = torch.nn.functional.linear(flat, weight, bias)
        hidden = []
        parts = len(factors) // 2
        for part, own, A, B in zip(
            flat.chunk(parts), y.chunk(parts), factors[::2], factors[1::2], strict=True
        ):
            K = A.shape[1]
            h = part @ A.flatten(0, 1).t()
            for p, (start, stop) in enumerate(rows):
                place = own[:, start:stop]
                place.addmm_(h[:, p * K : (p + 1) * K], B[p].t(), alpha=scale)
            hidden.append(h)
        ctx.save_for_backward(flat, weight, *factors, *hidden)
        ctx.rows, ctx.scale, ctx.shape = rows, scale, x.shape
        return y.view(*x.shape[:-1], -1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        flat, weight, *rest = ctx.saved_tensors
        parts = len(rest) // 3
        factors, hidden = rest[: 2 * parts], rest[2 * parts :]
        needs_x, needs_weight, needs_bias = ctx.needs_input_grad[:3]
        g = grad.reshape(-1, grad.shape[-1])
        grad_x = g @ weight if needs_x else None
        grads: list[Tensor | None] = []
        for m, (part, inputs) in enumerate(
            zip(g.chunk(parts), flat.chunk(parts), strict=True)
        ):
            A, B, h = factors[2 * m], factors[2 * m + 1], hidden[m]
            needs_A, needs_B = ctx.needs_input_grad[5 + 2 * m : 7 + 2 * m]
            K = A.shape[1]
            slices = [part[:, start:stop] for start, stop in ctx.rows]
            grad_A = grad_B = None
            if needs_x or needs_A:
                pieces = [piece @ B[p] for p, piece in enumerate(slices)]
                grad_h = pieces[0] if len(pieces) == 1 else torch.cat(pieces, dim=1)
                if ctx.scale != 1.0:
                    grad_h = grad_h * ctx.scale
                if grad_x is not None:
                    grad_x.chunk(parts)[m].addmm_(grad_h, A.flatten(0, 1))
                if needs_A:
                    grad_A = (grad_h.t() @ inputs).view_as(A)
            if needs_B:
                grad_B = torch.empty_like(B)
                for p, piece in enumerate(slices):
                    torch.mm(piece.t(), h[:, p * K : (p + 1) * K], out=grad_B[p])
                if ctx.scale != 1.0:
                    grad_B *= ctx.scale
            grads += [grad_A, grad_B]
        return (
            None if grad_x is None else grad_x.view(ctx.shape),
            g.t() @ flat if needs_weight else None,
            g.sum(0) if needs_bias else None,
            None,
            None,
            *grads,
        )
