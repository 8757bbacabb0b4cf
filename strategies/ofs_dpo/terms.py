"""What the two modules minimise: a loss each, and how far one leads the other.

Numbers are those of the reconstruction's equations; see docs/strategies/ofs_dpo.md.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def lead_loss(gap: Tensor, clamp: float | None = None) -> Tensor:
    """L_FS = mean of -log sigmoid(gap) (6).

    Its derivative is -sigmoid(-gap) / B: one half where nobody leads, none where the
    lead is large, one where it is large and negative.

    Args:
        gap: (B,) merit of F minus merit of S.
        clamp: Largest absolute gap that counts; beyond it there is no gradient.
    """
    if clamp is not None:
        gap = gap.clamp(-clamp, clamp)
    return -F.logsigmoid(gap).mean()


def objectives(
    losses: tuple[Tensor, Tensor],
    merits: tuple[Tensor, Tensor],
    alpha: float,
    clamp: float | None = None,
) -> tuple[Tensor, Tensor]:
    """J_F = L_F + alpha L_FS, S detached (3); J_S = L_S - alpha L_FS, F detached (4).

    Args:
        losses: L_F and L_S, scalars.
        merits: (B,) of F and of S.
        alpha: Weight of the chase; at 0 the two objectives are the losses themselves.
        clamp: As in `lead_loss`.
    """
    loss_F, loss_S = losses
    if alpha == 0:
        return loss_F, loss_S
    F_, S = merits
    return (
        loss_F + alpha * lead_loss(F_ - S.detach(), clamp),
        loss_S - alpha * lead_loss(F_.detach() - S, clamp),
    )


class Window:
    """What the modules did since the last look at their roles.

    Attributes:
        sums: (2, 2) summed loss and mean merit of each module; None before any step.
        steps: Steps that are in them.
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Begin a new window."""
        self.sums: Tensor | None = None
        self.steps = 0

    @torch.no_grad()
    def add(
        self, lead: int, losses: tuple[Tensor, Tensor], merits: tuple[Tensor, Tensor]
    ) -> None:
        """One more step.

        Args:
            lead: The module that is F, 0 or 1.
            losses: L_F and L_S, scalars.
            merits: (B,) of F and of S.
        """
        rows = [torch.stack(losses), torch.stack([m.mean() for m in merits])]
        seen = torch.stack(rows, dim=1).float()
        if lead == 1:
            seen = seen.flip(0)
        self.sums = seen if self.sums is None else self.sums + seen
        self.steps += 1

    def means(self) -> tuple[list[float], list[float]]:
        """Mean losses and mean merits, of module 0 and 1 each."""
        assert self.sums is not None
        losses, merits = (self.sums / self.steps).T.tolist()
        return losses, merits

    def better(self) -> int:
        """The module whose mean loss is lower; 0 where they are equal."""
        losses, _ = self.means()
        return int(losses[1] < losses[0])
