"""Pre-trains the pocket encoder with BERT's two objectives.

It fills in words that were masked, and tells from the first token whether two texts are
about one scene.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm import tqdm

from clbench.pocket import weights
from clbench.pocket.models import encoder
from clbench.pocket.scene import generator
from clbench.pocket.texts import (
    Manner,
    Scene,
    described,
    draw,
    fewer,
    mannered,
    share,
    some,
)
from clbench.pocket.train import loop
from clbench.pocket.train.corpus import CHUNK
from clbench.pocket.views.nlu import answer

VERSION = 2
"""Version of this script: raised whenever it would train other weights."""

SORTS = (0.25, 0.4, 0.35)
"""Of single answers, of two descriptions in the same words, of one that says less."""

MANNERS: tuple[Manner, ...] = ("polite", "rude")

MASKED = (0.15, 0.3)
"""Part of the tokens that are asked for, of a first and of a second text."""

HIDDEN, RANDOM = 0.8, 0.1
"""Of those: part that is replaced by the mask, and by any token; the rest stays."""

NONE = -100
"""Of a single text: it is not asked whether it is about the scene of another."""

Text = tuple[str, str | None, int]
"""A text, one beside it if there is one, whether both are about one scene."""

Tokens = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Settings(loop.Settings):
    """Of texts; the seed also draws masks."""

    chunks: int = 60
    held: int = 1
    steps: int = 3000
    batch: int = 64
    lr: float = 2e-3
    warmup: int = 200
    decay: float = 0.05
    seed: int = 0
    threads: int = 1


def chunk(number: int) -> list[Text]:
    """`CHUNK` texts and pairs about scenes that no learner and no judge sees."""
    rng = generator("encoder corpus", VERSION, number)
    return [_text(rng) for _ in range(CHUNK)]


def digest(texts: list[Text]) -> str:
    """SHA-256 of texts."""
    lines = "\n".join(
        f"{first}\t{second or ''}\t{same}" for first, second, same in texts
    )
    return hashlib.sha256(lines.encode()).hexdigest()


def _text(rng: np.random.Generator) -> Text:
    sort = rng.choice(len(SORTS), p=SORTS)
    if sort == 0:
        text = answer("corpus", rng)
        if rng.random() < 0.5:
            text = mannered(text, MANNERS[rng.integers(2)], rng)
        return text, None, NONE
    scene = _scene(rng)
    facts = some(rng, 1, 4), some(rng, 1, 4)
    first = described(scene, facts, whole=bool(rng.random() < 0.5))
    if sort == 2:
        facts = fewer(facts, rng)
    whole = bool(rng.random() < 0.5)
    right, other = (
        described(seen[::-1], facts[::-1], whole=whole)
        for seen in (scene, elsewhere(scene, rng))
    )
    second = right if rng.random() < 0.5 else other
    # Of another scene may be said what is so of this one.
    return first, second, int(second == right)


def _scene(rng: np.random.Generator) -> Scene:
    while True:
        scene = draw("corpus", rng)
        if unseen(scene):
            return scene


def elsewhere(scene: Scene, rng: np.random.Generator) -> Scene:
    """The same two things as those of another scene, or each as the other is here."""
    while True:
        other = _scene(rng) if rng.random() < 0.5 else scene[::-1]
        pairs = zip(scene, other, strict=True)
        one, two = (replace(now, kind=group.kind) for group, now in pairs)
        if unseen((one, two)):
            return one, two


def unseen(scene: Scene) -> bool:
    """Whether no learner and no judge sees `scene`, in whichever order it is told."""
    return all(share(order) == "corpus" for order in (scene, scene[::-1]))


def encode(tokens: Any, texts: list[Text]) -> tuple[Tokens, Tokens]:
    """(N, L) tokens, padded on the right, and (N, L) to which text each belongs."""
    given = [tokens(*text[:2]) if text[1] else tokens(text[0]) for text in texts]
    longest = max(len(row["input_ids"]) for row in given)
    ids = np.full((len(given), longest), tokens.pad_token_id)
    types = np.zeros_like(ids)
    for number, row in enumerate(given):
        ids[number, : len(row["input_ids"])] = row["input_ids"]
        types[number, : len(row["input_ids"])] = row["token_type_ids"]
    return ids, types


def masked(
    ids: Tokens, types: Tokens, tokens: Any, rng: np.random.Generator
) -> tuple[Tokens, Tokens]:
    """What the model sees of `ids`, and what it is asked for, -100 elsewhere.

    As BERT has it: 80 % of the tokens asked for are hidden, 10 % are any other token.
    """
    special = np.isin(ids, tokens.all_special_ids)
    part = np.where(types == 0, *MASKED)
    asked = (rng.random(ids.shape) < part) & ~special
    kind = rng.random(ids.shape)
    anything = rng.integers(len(encoder.SPECIAL), len(tokens), size=ids.shape)
    seen = np.where(asked & (kind < HIDDEN), tokens.mask_token_id, ids)
    swapped = asked & (kind >= HIDDEN) & (kind < HIDDEN + RANDOM)
    return np.where(swapped, anything, seen), np.where(asked, ids, -100)


def train(settings: Settings, out: Path = weights.FOLDER) -> dict[str, float]:
    """Train, write the folder `encoder` and `encoder.json` to `out`.

    Returns:
        What `examine` finds on texts that were held back.
    """
    start = time.perf_counter()
    torch.set_num_threads(settings.threads)
    tokens = encoder.tokenizer()
    numbers = tqdm(range(settings.chunks), desc="write", unit="k texts", leave=False)
    texts = [text for number in numbers for text in chunk(number)]
    table, types = encode(tokens, texts)
    same = torch.tensor([text[2] for text in texts])
    held = [t for n in range(settings.held) for t in chunk(settings.chunks + n)]
    torch.manual_seed(settings.seed)
    model = encoder.build()

    def loss(rng: np.random.Generator) -> Tensor:
        rows = rng.integers(len(table), size=settings.batch)
        seen, asked = masked(table[rows], types[rows], tokens, rng)
        words, pairs = surprise(model, seen, types[rows], asked, same[rows])
        return words.lost.mean() + pairs.lost.mean()

    reached, log = loop.learn(
        model,
        settings,
        loss,
        lambda: examine(model, tokens, held),
        name="encoder",
        shown={"second": ".2f", "same": ".2f"},
    )
    # The encoder alone: heads are made for each task, and the pooler is a part of them.
    model.bert.pooler = None
    model.bert.save_pretrained(out / "encoder")
    tokens.save_pretrained(out / "encoder")
    facts = {
        "model": "transformers.BertModel",
        "parameters": model.bert.num_parameters(),
        "script": "clbench.pocket.train encoder",
        "script_version": VERSION,
        "settings": asdict(settings),
        "corpus": {
            "texts": len(texts),
            "tokens": int((table != tokens.pad_token_id).sum()),
            "first_chunk_sha256": digest(chunk(0)),
        },
        "torch": torch.__version__.split("+")[0],
        "seconds": round(time.perf_counter() - start),
        "held_out": reached,
        "log": log,
    }
    weights.note("encoder", out / "encoder" / "model.safetensors", facts, out)
    return reached


@dataclass(frozen=True)
class Guesses:
    """How well a question was answered, for each time it was asked.

    Attributes:
        lost: Minus the log-probability of the right answer.
        right: Whether it was the likeliest.
    """

    lost: Tensor
    right: Tensor

    @classmethod
    def of(cls, logits: Tensor, target: Tensor) -> Guesses:
        """Those with (N, C) `logits` where `target` (N,) is the right answer."""
        lost = nn.functional.cross_entropy(logits, target, reduction="none")
        return cls(lost, logits.argmax(-1) == target)


def surprise(
    model: Any, seen: Tokens, types: Tokens, asked: Tokens, same: Tensor
) -> tuple[Guesses, Guesses]:
    """Of every token asked for; of every pair, whether it is about one scene.

    Args:
        model: With both heads of pre-training.
        seen, types, asked: (B, L), as `encode` and `masked` give them.
        same: (B,) 0 or 1, or `NONE`.
    """
    mask = seen != 0
    longest = int(mask.sum(axis=1).max())
    given = [torch.from_numpy(part[:, :longest]) for part in (seen, types, mask, asked)]
    ids, kinds, attend, target = given
    read = model.bert(input_ids=ids, token_type_ids=kinds, attention_mask=attend.long())
    wanted, pairs = target >= 0, same >= 0
    words = model.cls.predictions(read.last_hidden_state[wanted])
    belong = model.cls.seq_relationship(read.pooler_output[pairs])
    return Guesses.of(words, target[wanted]), Guesses.of(belong, same[pairs])


@torch.no_grad()
def examine(model: Any, tokens: Any, held: list[Text]) -> dict[str, float]:
    """How well held-out texts are understood.

    Returns:
        guessed: Part of the masked tokens that are guessed.
        second: Of those in second texts.
        same: Part of the pairs, with nothing masked, of which is told whether they are
            about one scene.
    """
    model.eval()
    rng = np.random.default_rng(1)
    ids, types = encode(tokens, held)
    same = torch.tensor([text[2] for text in held])
    seen, asked = masked(ids, types, tokens, rng)
    words, _ = surprise(model, seen, types, asked, same)
    _, pairs = surprise(model, ids, types, asked, same)
    second = torch.from_numpy(types[asked >= 0] == 1)
    model.train()
    return {
        "guessed": round(words.right.float().mean().item(), 4),
        "second": round(words.right[second].float().mean().item(), 4),
        "same": round(pairs.right.float().mean().item(), 4),
    }
