"""The pocket encoder: transformers' own `BertModel`, in a folder as the hub has them.

`AutoModel` and `AutoTokenizer` load it like any other: configuration, weights and
tokenizer lie beside each other in transformers' format.
"""

from __future__ import annotations

import string
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clbench.pocket import texts, weights

if TYPE_CHECKING:
    from transformers import BertConfig, BertForPreTraining, PreTrainedTokenizerFast

SPECIAL: tuple[str, ...] = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")

CONTEXT = 128
"""Tokens of a text or a pair, the special ones included."""

CONFIG: dict[str, Any] = {
    "hidden_size": 128,
    "intermediate_size": 352,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "max_position_embeddings": CONTEXT,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
    # transformers' 0.02 is for wide layers, and these would hardly begin to learn.
    "initializer_range": 0.05,
}
"""Arguments of transformers' BertConfig; everything else is its default."""


def vocabulary() -> list[str]:
    """Every token: the special ones, marks, letters, then the world's words whole."""
    letters = [*string.ascii_lowercase, *string.digits]
    single = [*letters, *string.punctuation]
    known = {*SPECIAL, *single}
    words = [word for word in texts.vocabulary() if word not in known]
    return [*SPECIAL, *single, *(f"##{x}" for x in letters), *words]


def tokenizer() -> PreTrainedTokenizerFast:
    """Lower case; a word of the vocabulary is one token, another is spelled.

    Texts are `[CLS] a [SEP]`, pairs `[CLS] a [SEP] b [SEP]`, as BERT has them.
    """
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    ids = {token: number for number, token in enumerate(vocabulary())}
    pad, unknown, begin, end, mask = SPECIAL
    core = Tokenizer(models.WordPiece(ids, unk_token=unknown))
    core.normalizer = normalizers.Sequence(
        [normalizers.NFD(), normalizers.StripAccents(), normalizers.Lowercase()]
    )
    core.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    core.post_processor = processors.TemplateProcessing(
        single=f"{begin} $A {end}",
        pair=f"{begin} $A {end} $B:1 {end}:1",
        special_tokens=[(begin, ids[begin]), (end, ids[end])],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token=pad,
        unk_token=unknown,
        cls_token=begin,
        sep_token=end,
        mask_token=mask,
        model_max_length=CONTEXT,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )


def config() -> BertConfig:
    """Sizes and the number of the padding."""
    from transformers import BertConfig

    return BertConfig(vocab_size=len(vocabulary()), pad_token_id=0, **CONFIG)


def build() -> BertForPreTraining:
    """The architecture with BERT's two heads, drawn from torch's generator.

    One fills words in, one tells whether texts belong together. They serve pre-training
    only; what ships is the encoder beneath them.
    """
    from transformers import BertForPreTraining

    return BertForPreTraining(config())


def folder() -> Path:
    """The folder that `AutoModel.from_pretrained` reads.

    Raises:
        InputError: The weights are not those that the package records.
    """
    found = weights.FOLDER / "encoder"
    weights.verified("encoder", found / "model.safetensors")
    return found
