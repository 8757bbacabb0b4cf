"""What the pocket LM is pre-trained on: answers of all manners, none preferred."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

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

VERSION = 1
"""Raised whenever a word of the corpus could change."""

ASKS = (LOOKS, FACTS, tuple(TOOLS))
"""What is asked, each sort with one probability."""

SORTS = (0.3, 0.5, 0.2)

MENTIONED = ((0, 1), (3, 4), (0, 4))
"""Fewest and most facts of each group in short, long and other descriptions."""

RIGHT = 0.8
"""Probability that an answer to a question for a fact is true."""

SLIP = 0.1
"""Probability that a description says something wrong of its first group."""

MANNERS: dict[Any, float] = {None: 0.5, "polite": 0.25, "rude": 0.25}
"""Probability of each manner."""

Tokens = NDArray[np.int64]
"""Numbers of tokens, or how many there are."""


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
    both = zip(prompts, answers["input_ids"], strict=True)
    rows = [prompt + answer + [tokens.eos_token_id] for prompt, answer in both]
    table = np.full((len(rows), max(map(len, rows))), tokens.pad_token_id)
    for number, row in enumerate(rows):
        table[number, : len(row)] = row
    return table, np.array([len(prompt) for prompt in prompts])


def corpus(tokens: Any, chunks: int) -> tuple[Tokens, Tokens]:
    """The chunks from 0 as `encode` gives them, with a progress bar."""
    numbers = tqdm(range(chunks), desc="write", unit="k texts", leave=False)
    parts = [encode(tokens, chunk(number)) for number in numbers]
    width = max(table.shape[1] for table, _ in parts)
    whole = np.full((CHUNK * chunks, width), tokens.pad_token_id)
    for number, (table, _) in enumerate(parts):
        whole[CHUNK * number : CHUNK * (number + 1), : table.shape[1]] = table
    return whole, np.concatenate([begins for _, begins in parts])
