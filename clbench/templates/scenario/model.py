"""The model that is adapted: here a transformer of two blocks, drawn from a seed."""

from __future__ import annotations

import torch
from timm.models.vision_transformer import Block
from torch import Tensor, nn

from clbench.contract import Batch

from .data import SIDES

WIDTH = 32


class Net(nn.Module):
    """A backbone over the numbers of a point, each a token, and a head.

    Args:
        classes: Number of classes.
        seed: Of the weights. Load pre-trained ones instead where there are any.
    """

    def __init__(self, classes: int, seed: int) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.embed = nn.Linear(1, WIDTH)
            self.place = nn.Parameter(torch.randn(SIDES, WIDTH))
            self.blocks = nn.Sequential(*(Block(WIDTH, num_heads=2) for _ in range(2)))
            self.head = nn.Linear(WIDTH, classes)

    def forward(self, batch: Batch) -> Tensor:
        """(B, classes) logits. A model takes a whole batch, whatever is in it."""
        tokens = self.embed(batch["point"][..., None]) + self.place
        logits: Tensor = self.head(self.blocks(tokens).mean(1))
        return logits
