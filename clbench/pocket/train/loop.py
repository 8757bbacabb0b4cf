"""What all pre-training has in common: settings, optimizer, loop."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR
from tqdm import tqdm

Reached = dict[str, float]
"""What a model can do on examples that training does not see."""

REPORTS = 20
"""How often a model is examined on the way."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What decides the weights, besides the script's version; scripts give defaults.

    Attributes:
        chunks: Thousands of examples in the corpus.
        held: Thousands of further examples that training does not see.
        steps: Optimizer steps.
        batch: Examples in a step.
        lr: Largest learning rate of AdamW; a linear warm-up, then half a cosine to 0.
        warmup: Steps of the warm-up.
        decay: Weight decay.
        seed: Of initialisation, order and whatever else is drawn.
        threads: CPU threads; other numbers round differently.
    """

    chunks: int
    held: int
    steps: int
    batch: int
    lr: float
    warmup: int
    decay: float
    seed: int
    threads: int


def learn(
    model: nn.Module,
    settings: Settings,
    loss: Callable[[np.random.Generator], Tensor],
    examine: Callable[[], Reached],
    *,
    name: str,
    shown: dict[str, str],
    betas: tuple[float, float] = (0.9, 0.999),
    after: Callable[[], None] | None = None,
) -> tuple[Reached, list[Reached]]:
    """Train `model` by AdamW, gradients clipped at norm 1.

    Args:
        model: Of which all is trained.
        settings: How.
        loss: Of one batch that it draws.
        examine: What is reached so far.
        name: Shown beside the bar.
        shown: Of what is reached, the entries that stand there -> their formats.
        betas: Decay rates of AdamW's moments.
        after: Called after each step.

    Returns:
        What is reached at the end; and on the way, with step and loss.
    """
    optimizer = torch.optim.AdamW(
        model.parameters(),
        lr=settings.lr,
        betas=betas,
        weight_decay=settings.decay,
        fused=True,
    )
    schedule = half_cosine(optimizer, settings.warmup, settings.steps)
    rng = np.random.default_rng(settings.seed)
    log: list[Reached] = []
    bar = tqdm(range(settings.steps), desc=f"train {name}", unit="step")
    for step in bar:
        lost = loss(rng)
        optimizer.zero_grad()
        lost.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if after is not None:
            after()
        if (step + 1) % max(1, settings.steps // REPORTS) == 0:
            reached = examine()
            log.append({"step": step + 1, "loss": round(lost.item(), 4), **reached})
            entries = {key: f"{reached[key]:{form}}" for key, form in shown.items()}
            bar.set_postfix({"loss": f"{lost.item():.3f}", **entries})
    return examine(), log


def half_cosine(optimizer: Optimizer, warmup: int, steps: int) -> LambdaLR:
    """A linear warm-up over `warmup` steps, then half a cosine to 0 at `steps`."""

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        rest = (step - warmup) / max(1, steps - warmup)
        return 0.5 * (1 + math.cos(math.pi * min(1.0, rest)))

    return LambdaLR(optimizer, factor)
