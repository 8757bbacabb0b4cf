"""Pre-trains the pocket CLIP on pictures and what can truly be said of them."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm import tqdm

from clbench.pocket import captions, weights
from clbench.pocket.captions import Facts
from clbench.pocket.models import clip
from clbench.pocket.render import render
from clbench.pocket.scene import (
    COLOURS,
    MOST,
    PLACES,
    Scenes,
    alike,
    generator,
    placed,
    single,
)
from clbench.pocket.style import HELD_OUT, draw
from clbench.pocket.things import KINDS
from clbench.pocket.train import loop
from clbench.pocket.train.corpus import CHUNK, traits

VERSION = 1
"""Version of this script: raised whenever it would train other weights."""

SHARES = (0.5, 0.3, 0.2)
"""Of large single things, of several small ones, of one small one at a place."""


@dataclass(frozen=True, kw_only=True)
class Settings(loop.Settings):
    """Of pictures, each with a new caption in every step; the seed also draws these."""

    chunks: int = 120
    held: int = 2
    steps: int = 8000
    batch: int = 160
    lr: float = 1e-3
    warmup: int = 300
    decay: float = 0.05
    seed: int = 0
    threads: int = 2


def chunk(number: int) -> tuple[NDArray[np.uint8], Facts]:
    """`CHUNK` pictures, every one in a style of its own, and what is so in them."""
    rng = generator("clip corpus", VERSION, number)
    big, many, small = (round(CHUNK * share) for share in SHARES)

    def kinds(count: int) -> NDArray[np.int64]:
        return rng.permutation(np.arange(count) % len(KINDS))

    places = rng.permutation(np.arange(small) % len(PLACES))
    scenes: list[tuple[Scenes, NDArray[np.int64]]] = [
        (single(kinds(big), rng), np.full(big, captions.UNSAID)),
        (
            alike(kinds(many), rng.permutation(np.arange(many) % MOST) + 1, rng),
            np.full(many, captions.UNSAID),
        ),
        (placed(kinds(small), places, rng), places),
    ]
    images, tables = [], []
    for drawn, place in scenes:
        styles = [draw(rng) for _ in range(len(drawn))]
        images.append(render(drawn, styles, size=clip.IMAGE_SIZE, rng=rng).image)
        tables.append(captions.facts(drawn, place))
    return np.concatenate(images), Facts.join(tables)


def corpus(chunks: int, first: int = 0) -> tuple[NDArray[np.uint8], Facts]:
    """Chunks `first` to `first + chunks`, with a progress bar."""
    numbers = tqdm(
        range(first, first + chunks), desc="draw", unit="k pictures", leave=False
    )
    drawn = [chunk(number) for number in numbers]
    return np.concatenate([i for i, _ in drawn]), Facts.join([f for _, f in drawn])


def train(settings: Settings, out: Path = weights.FOLDER) -> dict[str, float]:
    """Train, write the folder `clip` and `clip.json` to `out`, return what was reached.

    Returns:
        Zero-shot accuracy of each fact on pictures that were held back.
    """
    start = time.perf_counter()
    torch.set_num_threads(settings.threads)
    images, known = corpus(settings.chunks)
    held = corpus(settings.held, first=settings.chunks)
    pixels = torch.from_numpy(images)
    tokens = clip.tokenizer()
    torch.manual_seed(settings.seed)
    model = clip.build()

    def loss(rng: np.random.Generator) -> Tensor:
        rows = rng.integers(len(images), size=settings.batch)
        here = known[rows]
        texts, told = captions.say(here, rng)
        fit = torch.from_numpy(captions.true_of(told, here))
        return contrast(_logits(model, tokens, pixels[rows], texts), fit)

    @torch.no_grad()
    def cool() -> None:
        # As in CLIP: the temperature never falls below 1 / 100.
        model.logit_scale.clamp_(max=float(np.log(100)))

    reached, log = loop.learn(
        model,
        settings,
        loss,
        lambda: examine(model, tokens, *held),
        name="clip",
        shown={"kind": ".3f"},
        after=cool,
    )
    _save(model, tokens, out)
    facts = {
        "model": "transformers.CLIPModel",
        "script": "clbench.pocket.train clip",
        "script_version": VERSION,
        "settings": asdict(settings),
        "corpus": {
            "pictures": settings.chunks * CHUNK,
            "distance_to_named_styles": HELD_OUT,
            **traits(images[:CHUNK]),
        },
        "torch": torch.__version__.split("+")[0],
        "seconds": round(time.perf_counter() - start),
        "held_out": reached,
        "log": log,
    }
    weights.note("clip", out / "clip" / "model.safetensors", facts, out)
    return reached


def contrast(logits: Tensor, fit: Tensor) -> Tensor:
    """Symmetric contrastive loss where several captions may be true of a picture.

    Args:
        logits: (N, N) similarity of caption i and picture j.
        fit: (N, N) whether caption i is true of picture j; the diagonal always is.
    """
    each_text = fit / fit.sum(dim=1, keepdim=True)
    each_image = (fit / fit.sum(dim=0, keepdim=True)).T
    cross_entropy = nn.functional.cross_entropy
    return (cross_entropy(logits, each_text) + cross_entropy(logits.T, each_image)) / 2


def _logits(model: Any, tokens: Any, images: Tensor, texts: list[str]) -> Tensor:
    given = tokens(texts, padding=True, return_tensors="pt")
    image = model.get_image_features(pixel_values=_normal(images)).pooler_output
    text = model.get_text_features(
        input_ids=given["input_ids"], attention_mask=given["attention_mask"]
    ).pooler_output
    image, text = (nn.functional.normalize(part, dim=-1) for part in (image, text))
    logits: Tensor = model.logit_scale.exp() * text @ image.T
    return logits


def _normal(images: Tensor) -> Tensor:
    """(B, S, S, 3) uint8 -> (B, 3, S, S) normalised."""
    mean, std = torch.tensor(clip.MEAN), torch.tensor(clip.STD)
    return ((images / 255 - mean) / std).permute(0, 3, 1, 2)


QUESTIONS: dict[str, list[str]] = {
    "kind": [f"a photo of a {kind}." for kind in KINDS],
    "colour": [f"a photo of a {colour} thing." for colour in COLOURS],
    "texture": [f"a photo of a {a} thing." for a in captions.ADJECTIVES.values()],
    "number": [
        f"a photo of {number} thing{'s' if i else ''}."
        for i, number in enumerate(captions.NUMBERS)
    ],
    "place": [f"a photo of a thing {p}." for p in captions.PHRASES.values()],
}
"""Of each fact the captions that it is read from without training."""


@torch.no_grad()
def examine(
    model: Any, tokens: Any, images: NDArray[np.uint8], known: Facts
) -> dict[str, float]:
    """Zero-shot accuracy of each fact, on the pictures that have it."""
    model.eval()
    reached = {}
    for name, texts in QUESTIONS.items():
        answers = getattr(known, name)
        asked = np.flatnonzero(answers != captions.UNSAID)
        if name == "number":
            # Most pictures show one thing: those of several are what is to be counted.
            asked = asked[known.several[asked] == 1]
        elif name != "place":
            asked = asked[known.several[asked] == 0]
        chosen = torch.from_numpy(images[asked])
        guess = _logits(model, tokens, chosen, texts).argmax(dim=0).numpy()
        reached[name] = round(float((guess == answers[asked]).mean()), 4)
    model.train()
    return reached


def _save(model: Any, tokens: Any, out: Path) -> None:
    """In the format that transformers reads, statistics of pixels included."""
    model.save_pretrained(out / "clip")
    tokens.save_pretrained(out / "clip")
    size = {"height": clip.IMAGE_SIZE, "width": clip.IMAGE_SIZE}
    statistics = {
        "image_processor_type": "CLIPImageProcessor",
        "crop_size": size,
        "size": {"shortest_edge": clip.IMAGE_SIZE},
        "image_mean": clip.MEAN,
        "image_std": clip.STD,
    }
    path = out / "clip" / "preprocessor_config.json"
    path.write_text(json.dumps(statistics, indent=2) + "\n")
