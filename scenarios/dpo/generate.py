"""What a policy answers: greedy and sampled responses, and how far they drift."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from clbench.models.lm import CausalLm
from clbench.seeding import derive

from .losses import token_divergence
from .model import PreferenceModel
from .tokens import Ids

ROWS = 256
"""Responses that are written at once."""


class Gumbel:
    """Noise that makes the largest logit of a row a sample of its distribution.

    Args:
        generator: Of the CPU: samples do not depend on the device.
    """

    def __init__(self, generator: torch.Generator) -> None:
        self._generator = generator

    def __call__(self, ids: Tensor, scores: Tensor) -> Tensor:
        """Scores (R, V) of the next tokens with noise added."""
        # Minus the logarithm of an exponential variable is a Gumbel variable.
        drawn = torch.empty(scores.shape).exponential_(generator=self._generator)
        return scores - drawn.log().to(scores)


@torch.no_grad()
def responses(
    model: PreferenceModel,
    lm: CausalLm,
    prompts: Sequence[Ids],
    *,
    most: int,
    seed: int | None = None,
) -> list[Ids]:
    """A response to each prompt: its tokens, the one that ends it included.

    Args:
        model: In evaluation mode, on any device.
        lm: Says which token ends a response, and which fills up.
        prompts: Tokens of each.
        most: Tokens of a response at the most.
        seed: Of samples at temperature 1; None takes the likeliest token each time.
    """
    from transformers import GenerationConfig

    device = next(model.parameters()).device
    found: list[Ids] = []
    for start in range(0, len(prompts), ROWS):
        some = prompts[start : start + ROWS]
        width = max(map(len, some))
        ids = torch.full((len(some), width), lm.pad)
        mask = torch.zeros_like(ids)
        for row, prompt in enumerate(some):
            ids[row, width - len(prompt) :] = torch.from_numpy(prompt)
            mask[row, width - len(prompt) :] = 1
        given: dict[str, Any] = {"attention_mask": mask.to(device)}
        if seed is not None:
            generator = torch.Generator().manual_seed(derive(seed, "sample", start))
            given["logits_processor"] = [Gumbel(generator)]
        # Of its own: a model's may ask for beams, penalties or other temperatures.
        config = GenerationConfig(
            max_new_tokens=most,
            do_sample=False,
            eos_token_id=lm.end,
            pad_token_id=lm.pad,
        )
        made = model.lm.generate(  # type: ignore[operator]
            ids.to(device), generation_config=config, **given
        )
        for row in made[:, width:].cpu().numpy():
            found.append(until(row, lm.end))
    return found


def until(row: NDArray[np.int64], end: int | None) -> Ids:
    """`row` up to its first `end`, which is kept."""
    ends = np.flatnonzero(row == end) if end is not None else np.zeros(0, dtype=int)
    return row[: ends[0] + 1] if len(ends) else row


@torch.no_grad()
def divergences(
    model: PreferenceModel,
    base: PreferenceModel,
    prompts: Sequence[Ids],
    answers: Sequence[Ids],
    pad: int,
) -> list[NDArray[np.float64]]:
    """Of each answer, the exact KL(model || base) of the next token at each token.

    Args:
        model: The policy that wrote the answers.
        base: What it is compared with, on the same device.
        prompts, answers: R tokens of each.
        pad: Token that fills up.
    """
    device = next(model.parameters()).device
    width = max(len(p) + len(a) for p, a in zip(prompts, answers, strict=True))
    ids = torch.full((len(prompts), width), pad)
    counts = torch.zeros(ids.shape, dtype=torch.bool)
    for row, (prompt, answer) in enumerate(zip(prompts, answers, strict=True)):
        start, end = len(prompt), len(prompt) + len(answer)
        ids[row, :end] = torch.from_numpy(np.concatenate([prompt, answer]))
        counts[row, start:end] = True
    found = []
    for some in torch.arange(len(ids)).split(ROWS // 4):
        given = ids[some].to(device), counts[some].to(device)
        ours, counted, _ = model.rows(*given)
        theirs, _, _ = base.rows(*given)
        each = token_divergence(theirs, ours).double().cpu().numpy()
        kept = counted.cpu().numpy()
        found += [row[chosen] for row, chosen in zip(each, kept, strict=True)]
    return found
