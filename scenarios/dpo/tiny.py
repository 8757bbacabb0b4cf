"""Three domains of a few words and a narrow Llama, for the toy."""

from __future__ import annotations

import numpy as np
import torch

from clbench.models.lm import CausalLm

from .domains import Domain
from .pairs import Pair

WORDS = ("say", "a", "b", "red", "blue", "now", "then", "please", "no", "yes")

DOMAINS: dict[str, tuple[str, str]] = {
    "red": ("red", "blue"),
    "polite": ("please yes", "no"),
    "blue": ("blue", "red"),
}
"""Name -> what is preferred, and to what."""

PAIRS = (8, 6)
"""Pairs to learn from, and to judge, of each domain."""


def domain(spec: str, name: str) -> Domain:
    """The domain `name`: prompts of a few words, the same two answers to all."""
    chosen, rejected = DOMAINS[name]
    rng = np.random.default_rng(sorted(DOMAINS).index(name))
    found: dict[str, Pair] = {}
    while len(found) < sum(PAIRS):
        words = rng.choice(WORDS, int(rng.integers(1, 5)))
        prompt = " ".join(["say", *map(str, words)])
        found.setdefault(prompt, Pair(prompt, chosen, rejected))
    pairs = list(found.values())
    return Domain(name, pairs[: PAIRS[0]], pairs[PAIRS[0] :], {}, wins)


def wins(prompt: str, response: str, other: str) -> float:
    """The shorter answer wins."""
    ours, theirs = len(response.split()), len(other.split())
    return 0.5 if ours == theirs else float(ours < theirs)


def lm() -> CausalLm:
    """A Llama of one block of width 16, drawn from a fixed seed; a word is a token."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    special = ("<pad>", "<bos>", "<eos>", "<unk>")
    ids = {word: number for number, word in enumerate((*special, *WORDS))}
    core = Tokenizer(models.WordLevel(ids, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    core.post_processor = processors.TemplateProcessing(
        single="<bos> $A", special_tokens=[("<bos>", ids["<bos>"])]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token="<pad>",
        bos_token="<bos>",
        eos_token="<eos>",
        unk_token="<unk>",
    )
    config = LlamaConfig(
        vocab_size=len(ids),
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=24,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        attention_bias=True,
        initializer_range=0.2,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = LlamaForCausalLM(config)
    return CausalLm(model, tokenizer)
