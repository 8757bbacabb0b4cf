"""How the learning rate of pre-training moves."""

from __future__ import annotations

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


def half_cosine(optimizer: Optimizer, warmup: int, steps: int) -> LambdaLR:
    """A linear warm-up over `warmup` steps, then half a cosine to 0 at `steps`."""

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        rest = (step - warmup) / max(1, steps - warmup)
        return 0.5 * (1 + math.cos(math.pi * min(1.0, rest)))

    return LambdaLR(optimizer, factor)
