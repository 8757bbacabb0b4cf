"""The CPU threads that torch computes with."""

from __future__ import annotations


def use_threads(count: int | None) -> None:
    """Let torch compute with so many; None leaves the choice to it."""
    if count is not None:
        import torch  # slow to import, and not needed to refuse bad input

        torch.set_num_threads(count)
