"""The pocket LM: transformers' own `LlamaForCausalLM`, in a folder as the hub has them.

`AutoModelForCausalLM` and `AutoTokenizer` load it like any other: configuration,
weights and tokenizer lie beside each other in transformers' format.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from clbench.pocket import texts, weights

if TYPE_CHECKING:
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

SPECIAL: tuple[str, ...] = ("<pad>", "<bos>", "<eos>", "<unk>")

CONTEXT = 96
"""Tokens of prompt and answer together, the special ones included."""

CONFIG: dict[str, Any] = {
    "hidden_size": 128,
    "intermediate_size": 344,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "max_position_embeddings": CONTEXT,
    "tie_word_embeddings": True,
    # transformers' 0.02 is for wide layers, and these would hardly begin to learn.
    "initializer_range": 0.05,
}
"""Arguments of transformers' LlamaConfig; everything else is its default."""


def vocabulary() -> list[str]:
    """Every token: the special ones, then the world's words and marks."""
    return [*SPECIAL, *texts.vocabulary()]


def tokenizer() -> PreTrainedTokenizerFast:
    """Lower case; a word or mark of the vocabulary is one token, another is unknown.

    A text begins with `<bos>`; whoever writes an answer ends it with `<eos>`.
    """
    from tokenizers import (
        Tokenizer,
        decoders,
        models,
        normalizers,
        pre_tokenizers,
        processors,
    )
    from transformers import PreTrainedTokenizerFast

    ids = {token: number for number, token in enumerate(vocabulary())}
    pad, bos, eos, unknown = SPECIAL
    core = Tokenizer(models.WordLevel(ids, unk_token=unknown))
    core.normalizer = normalizers.Lowercase()
    core.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    core.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A", special_tokens=[(bos, ids[bos])]
    )
    # Words with spaces between them, none before a mark.
    core.decoder = decoders.WordPiece(cleanup=True)
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token=pad,
        bos_token=bos,
        eos_token=eos,
        unk_token=unknown,
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
    )


def config() -> LlamaConfig:
    """Sizes and the numbers of the special tokens."""
    from transformers import LlamaConfig

    ids = {token: number for number, token in enumerate(vocabulary())}
    pad, bos, eos, _ = SPECIAL
    return LlamaConfig(
        vocab_size=len(ids),
        pad_token_id=ids[pad],
        bos_token_id=ids[bos],
        eos_token_id=ids[eos],
        **CONFIG,
    )


def build() -> LlamaForCausalLM:
    """The architecture, initialised as transformers does, from torch's generator."""
    from transformers import LlamaForCausalLM

    return LlamaForCausalLM(config())


def folder() -> Path:
    """The folder that `AutoModelForCausalLM.from_pretrained` reads.

    Raises:
        InputError: The weights are not those that the package records.
    """
    found = weights.FOLDER / "lm"
    weights.verified("lm", found / "model.safetensors")
    return found
