"""Pre-trains the pocket LM on prompts and answers of all manners, none preferred."""

from __future__ import annotations

import hashlib
import math
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm import tqdm

from clbench.pocket import reading, weights
from clbench.pocket.models import lm
from clbench.pocket.scene import generator
from clbench.pocket.texts import (
    FACTS,
    FORMS,
    LOOKS,
    TOOLS,
    VALUES,
    Prompt,
    another,
    described,
    draw,
    helpable,
    helped,
    mannered,
    refused,
    some,
    stated,
)
from clbench.pocket.train.corpus import CHUNK
from clbench.pocket.train.schedule import half_cosine

VERSION = 1
"""Version of this script: raised whenever it would train other weights."""

ASKS = (LOOKS, FACTS, tuple(TOOLS))
"""What is asked, each sort with one probability."""

SORTS = (0.4, 0.35, 0.25)

MENTIONED = ((0, 1), (3, 4), (0, 4))
"""Fewest and most facts of each group in short, long and other descriptions."""

RIGHT = 0.7
"""Probability that an answer to a question for a fact is true."""

SLIP = 0.1
"""Probability that a description says something wrong of its first group."""

MANNERS: dict[Any, float] = {None: 0.5, "polite": 0.25, "rude": 0.25}
"""Probability of each manner."""

MOST_NEW = 48
"""Tokens that an answer may have when generated; the longest one has fewer."""


Tokens = NDArray[np.int64]
"""Numbers of tokens, or how many there are."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What decides the weights, besides the script's version.

    Attributes:
        chunks: Thousands of texts in the corpus.
        held: Thousands of further texts that training does not see.
        steps: Optimizer steps.
        batch: Texts in a step.
        lr: Largest learning rate of AdamW; a linear warm-up, then half a cosine to 0.
        warmup: Steps of the warm-up.
        decay: Weight decay.
        seed: Of initialisation and order.
        threads: CPU threads; other numbers round differently.
    """

    chunks: int = 150
    held: int = 1
    steps: int = 3000
    batch: int = 64
    lr: float = 3e-3
    warmup: int = 200
    decay: float = 0.05
    seed: int = 0
    threads: int = 1


@dataclass(frozen=True)
class Text:
    """A prompt and one answer."""

    prompt: str
    answer: str


def chunk(number: int) -> list[Text]:
    """`CHUNK` texts about scenes that neither learners nor judges of `dpo` see."""
    rng = generator("lm corpus", VERSION, number)
    return [_text(rng) for _ in range(CHUNK)]


def digest(texts: list[Text]) -> str:
    """SHA-256 of texts."""
    lines = "\n".join(f"{text.prompt}\t{text.answer}" for text in texts)
    return hashlib.sha256(lines.encode()).hexdigest()


def _text(rng: np.random.Generator) -> Text:
    scene = draw("corpus", rng)
    asks = ASKS[rng.choice(len(ASKS), p=SORTS)]
    prompt = Prompt(scene, str(rng.choice(asks)))
    if asks is LOOKS:
        answer = _description(prompt, rng)
    elif asks is FACTS:
        prompt = replace(prompt, about=int(rng.integers(2)))
        right = getattr(prompt.group, prompt.ask)
        value = right if rng.random() < RIGHT else another(prompt, rng)
        answer = stated(prompt, value, int(rng.integers(FORMS)))
    else:
        prompt = replace(prompt, about=helpable(scene, rng))
        reply = helped if rng.random() < 0.5 else refused
        answer = reply(prompt, int(rng.integers(FORMS)))
    manner = list(MANNERS)[rng.choice(len(MANNERS), p=list(MANNERS.values()))]
    if manner is not None:
        answer = mannered(answer, manner, rng)
    return Text(prompt.text, answer)


def _description(prompt: Prompt, rng: np.random.Generator) -> str:
    """Of any length, and now and then wrong in one fact."""
    first, second = prompt.scene
    if rng.random() < SLIP:
        fact = str(rng.choice(FACTS))
        first = replace(first, **{fact: int(rng.integers(len(VALUES[fact])))})
    bounds = MENTIONED[rng.integers(len(MENTIONED))]
    mentioned = some(rng, *bounds), some(rng, *bounds)
    return described((first, second), mentioned, whole=bool(rng.random() < 0.5))


def encode(tokens: Any, texts: list[Text]) -> tuple[Tokens, Tokens]:
    """Texts as tokens.

    Returns:
        (N, L) tokens from `<bos>` to `<eos>`, padded on the right, and (N,) how many
        of them are the prompt's.
    """
    prompts = tokens([text.prompt for text in texts])["input_ids"]
    answers = tokens([text.answer for text in texts], add_special_tokens=False)
    ends = [*answers["input_ids"]]
    rows = [p + a + [tokens.eos_token_id] for p, a in zip(prompts, ends, strict=True)]
    table = np.full((len(rows), max(map(len, rows))), tokens.pad_token_id)
    for number, row in enumerate(rows):
        table[number, : len(row)] = row
    return table, np.array([len(prompt) for prompt in prompts])


def corpus(tokens: Any, chunks: int) -> Tokens:
    """(N, L) tokens of the chunks from 0, with a progress bar."""
    numbers = tqdm(range(chunks), desc="write", unit="k texts", leave=False)
    tables = [encode(tokens, chunk(number))[0] for number in numbers]
    width = max(table.shape[1] for table in tables)
    corpus = np.full((CHUNK * chunks, width), tokens.pad_token_id)
    for number, table in enumerate(tables):
        corpus[CHUNK * number : CHUNK * (number + 1), : table.shape[1]] = table
    return corpus


def train(settings: Settings, out: Path = weights.FOLDER) -> dict[str, float]:
    """Train, write the folder `lm` and `lm.json` to `out`, return what was reached.

    Returns:
        What `examine` finds on texts that were held back.
    """
    start = time.perf_counter()
    torch.set_num_threads(settings.threads)
    tokens = lm.tokenizer()
    table = corpus(tokens, settings.chunks)
    held = [t for n in range(settings.held) for t in chunk(settings.chunks + n)]
    torch.manual_seed(settings.seed)
    model = lm.build()
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=settings.lr, weight_decay=settings.decay, fused=True
    )
    schedule = half_cosine(optimizer, settings.warmup, settings.steps)
    rng = np.random.default_rng(settings.seed)
    log: list[dict[str, float]] = []
    bar = tqdm(range(settings.steps), desc="train lm", unit="step")
    for step in bar:
        rows = table[rng.integers(len(table), size=settings.batch)]
        lost, kept = surprise(model, torch.from_numpy(rows), tokens.pad_token_id)
        loss = lost.sum() / kept.sum()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if (step + 1) % max(1, settings.steps // 20) == 0:
            reached = examine(model, tokens, held)
            log.append({"step": step + 1, "loss": round(loss.item(), 4), **reached})
            bar.set_postfix(loss=f"{loss.item():.3f}", right=f"{reached['right']:.2f}")
    reached = examine(model, tokens, held)
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
    answers = kept & (torch.arange(lost.shape[1]) >= begins[:, None] - 1)
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
        top_k=0,
    )
    new = written[:, given["input_ids"].shape[1] :]
    texts: list[str] = tokens.batch_decode(new, skip_special_tokens=True)
    return texts
