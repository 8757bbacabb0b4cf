"""A world of three tasks of a few words and a narrow BERT, for the toy."""

from __future__ import annotations

import numpy as np
import torch

from clbench.models.encoder import Encoder, without_pooler
from clbench.pocket.models import encoder as pocket

from .parts import Part, Texts

TASKS = ("order", "manner", "paraphrase")

PARTS = (12, 9)
"""Texts to learn from, and to judge, of each task."""

ANSWERS = {"order": ("red are they.", "they are red."), "manner": ("no.", "gladly.")}

COLOURS = ("red", "blue", "green")


def texts(name: str) -> Texts:
    """Two answers to choose between, before and behind some words drawn at random."""
    rng = np.random.default_rng(TASKS.index(name))
    train, test = (_part(name, count, rng) for count in PARTS)
    return Texts(train, test)


def _part(name: str, count: int, rng: np.random.Generator) -> Part:
    labels = np.arange(count, dtype=np.int64) % 2
    colours = rng.choice(COLOURS, (count, 2))
    if name in ANSWERS:
        first = [
            f"{ANSWERS[name][n]} {a} {b}"
            for n, (a, b) in zip(labels, colours, strict=True)
        ]
        return Part(tuple(first), None, labels)
    first = [f"{a} cars." for a, _ in colours]
    second = [
        f"{a if n else 'two'} cars." for n, (a, _) in zip(labels, colours, strict=True)
    ]
    return Part(tuple(first), tuple(second), labels)


def encoder() -> Encoder:
    """transformers' BERT of one block of width 16, drawn from a fixed seed."""
    from transformers import BertConfig, BertModel

    small = {
        "hidden_size": 16,
        "intermediate_size": 24,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
    }
    config = BertConfig(**{**pocket.config().to_dict(), **small})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return without_pooler(Encoder(BertModel(config), pocket.tokenizer()))
