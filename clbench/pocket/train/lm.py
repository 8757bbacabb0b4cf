"""Pre-trains the pocket LM on prompts and answers of all manners."""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from clbench.pocket import reading, weights
from clbench.pocket.models import lm
from clbench.pocket.texts import FACTS
from clbench.pocket.train import loop
from clbench.pocket.train.corpus import CHUNK
from clbench.pocket.train.texts import Text, chunk, corpus, digest, encode

VERSION = 1
"""Version of this script: raised whenever it would train other weights."""

PROMPT = 0.1
"""Weight of a prompt's tokens in the loss, where an answer's have 1: scenes are drawn
at random, so that little can be learned of them."""

MOST_NEW = 48
"""Tokens that an answer may have when generated; the longest one has fewer."""


@dataclass(frozen=True, kw_only=True)
class Settings(loop.Settings):
    """Of texts."""

    chunks: int = 150
    held: int = 1
    steps: int = 6000
    batch: int = 32
    lr: float = 2e-3
    warmup: int = 300
    decay: float = 0.05
    seed: int = 0
    threads: int = 1


def train(settings: Settings, out: Path = weights.FOLDER) -> dict[str, float]:
    """Train, write the folder `lm` and `lm.json` to `out`, return what was reached.

    Returns:
        What `examine` finds on texts that were held back.
    """
    start = time.perf_counter()
    torch.set_num_threads(settings.threads)
    tokens = lm.tokenizer()
    table, begins = corpus(tokens, settings.chunks)
    held = [t for n in range(settings.held) for t in chunk(settings.chunks + n)]
    torch.manual_seed(settings.seed)
    model = lm.build()

    def loss(rng: np.random.Generator) -> Tensor:
        rows = rng.integers(len(table), size=settings.batch)
        texts = torch.from_numpy(table[rows])
        lost, kept = surprise(model, texts, tokens.pad_token_id)
        answers = answered(kept, torch.from_numpy(begins[rows]))
        weight = PROMPT * kept + (1 - PROMPT) * answers
        return (weight * lost).sum() / weight.sum()

    reached, log = loop.learn(
        model,
        settings,
        loss,
        lambda: examine(model, tokens, held),
        name="lm",
        shown={"right": ".2f"},
        betas=(0.9, 0.98),
    )
    model.save_pretrained(out / "lm")
    tokens.save_pretrained(out / "lm")
    facts = {
        "model": "transformers.LlamaForCausalLM",
        "parameters": model.num_parameters(),
        "script": "clbench.pocket.train lm",
        "script_version": VERSION,
        "settings": asdict(settings),
        "corpus": {
            "texts": settings.chunks * CHUNK,
            "tokens": int((table != tokens.pad_token_id).sum()),
            "first_chunk_sha256": digest(chunk(0)),
        },
        "torch": torch.__version__.split("+")[0],
        "seconds": round(time.perf_counter() - start),
        "held_out": reached,
        "log": log,
    }
    weights.note("lm", out / "lm" / "model.safetensors", facts, out)
    return reached


def surprise(model: Any, rows: Tensor, pad: int) -> tuple[Tensor, Tensor]:
    """Minus the log-probability of every token but the first, in nats.

    Args:
        model: A causal LM.
        rows: (B, L) tokens, padded on the right.
        pad: The token of padding.

    Returns:
        (B, L' - 1) of the longest row's length L', 0 at padding, and what is none.
    """
    rows = rows[:, : int((rows != pad).sum(dim=1).max())]
    # No mask: a token never sees what comes after it, and padding comes last.
    logits = model(input_ids=rows[:, :-1], use_cache=False).logits
    lost = nn.functional.cross_entropy(
        logits.transpose(1, 2), rows[:, 1:], ignore_index=pad, reduction="none"
    )
    return lost, rows[:, 1:] != pad


def answered(kept: Tensor, begins: Tensor) -> Tensor:
    """What of `kept` (B, L - 1), of which the first token is left out, is an answer."""
    return kept & (torch.arange(kept.shape[1]) >= begins[:, None] - 1)


@torch.no_grad()
def examine(model: Any, tokens: Any, held: list[Text]) -> dict[str, float]:
    """How well held-out texts are predicted, and prompts answered.

    Returns:
        perplexity: Of whole texts, per token.
        answer_perplexity: Of answers given their prompts, `<eos>` included.
        grammatical: Share of sampled answers that the world's grammar makes.
        right: Share of the most likely answers that state the fact asked for and
            nothing false, where a fact is asked for.
    """
    model.eval()
    table, begins = (torch.from_numpy(part) for part in encode(tokens, held))
    lost, kept = surprise(model, table, tokens.pad_token_id)
    answers = answered(kept, begins)
    prompts = list(dict.fromkeys(text.prompt for text in held))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        sampled = answer(model, tokens, prompts[:200], sample=True)
    read = [reading.prompt(text) for text in prompts]
    asked = [prompt for prompt in read if prompt.ask in FACTS][:200]
    best = answer(model, tokens, [prompt.text for prompt in asked], sample=False)
    right = 0
    for prompt, text in zip(asked, best, strict=True):
        claims = reading.claims(prompt, text)
        stated = any(fact == prompt.ask for _, fact, _ in claims.true)
        right += stated and not claims.false
    model.train()
    return {
        "perplexity": round(math.exp(lost[kept].mean()), 4),
        "answer_perplexity": round(math.exp(lost[answers].mean()), 4),
        "grammatical": sum(map(reading.grammatical, sampled)) / len(sampled),
        "right": round(right / len(asked), 4),
    }


def answer(model: Any, tokens: Any, prompts: list[str], *, sample: bool) -> list[str]:
    """Answers that `model` writes, sampled at temperature 1 or the likeliest tokens."""
    given = tokens(prompts, padding=True, padding_side="left", return_tensors="pt")
    written = model.generate(
        input_ids=given["input_ids"],
        attention_mask=given["attention_mask"],
        max_new_tokens=MOST_NEW,
        do_sample=sample,
        **({"top_k": 0} if sample else {}),
    )
    new = written[:, given["input_ids"].shape[1] :]
    texts: list[str] = tokens.batch_decode(new, skip_special_tokens=True)
    return texts
