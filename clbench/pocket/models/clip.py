"""The pocket CLIP: transformers' own `CLIPModel`, in a folder as the hub has them.

What loads `openai/clip-vit-base-patch16` loads this one: configuration, weights,
tokenizer and the statistics of pixels lie beside each other in transformers' format.
"""

from __future__ import annotations

import string
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clbench.pocket import weights
from clbench.pocket.captions import ADJECTIVES, MEDIA, NUMBERS, PHRASES, PLURALS
from clbench.pocket.scene import COLOURS
from clbench.pocket.things import KINDS

if TYPE_CHECKING:
    from transformers import CLIPConfig, CLIPModel, PreTrainedTokenizerFast

SPECIAL: tuple[str, ...] = ("<pad>", "<start>", "<unknown>", "<end>")

MEAN: tuple[float, float, float] = (0.5, 0.5, 0.5)
STD: tuple[float, float, float] = (0.25, 0.25, 0.25)
"""Pixels in [0, 1] are shifted by MEAN and divided by STD."""

IMAGE_SIZE = 32
"""Pixels on a side."""


def vocabulary() -> list[str]:
    """Every token: the world's words whole, any other word by its letters."""
    words = {"a", "an", "of", "the", "thing", "things", "number", "on", "at", "in"}
    words |= {*KINDS, *PLURALS.values(), *COLOURS, *ADJECTIVES.values(), *NUMBERS}
    words |= {*MEDIA, *(word for p in PHRASES.values() for word in p.split())}
    words |= {"zero", "five", "six", "seven", "eight", "nine"}
    letters = string.ascii_lowercase + string.digits
    single = [*letters, *string.punctuation]
    return [*SPECIAL, *single, *(f"##{x}" for x in letters), *sorted(words - {"a"})]


def tokenizer() -> PreTrainedTokenizerFast:
    """Lower case; a word of the vocabulary is one token, another is spelled."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    ids = {token: number for number, token in enumerate(vocabulary())}
    pad, start, unknown, end = SPECIAL
    core = Tokenizer(models.WordPiece(ids, unk_token=unknown))
    core.normalizer = normalizers.Sequence(
        [normalizers.NFD(), normalizers.StripAccents(), normalizers.Lowercase()]
    )
    core.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    core.post_processor = processors.TemplateProcessing(
        single=f"{start} $A {end}",
        special_tokens=[(start, ids[start]), (end, ids[end])],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token=start,
        eos_token=end,
        unk_token=unknown,
        pad_token=pad,
        model_max_length=TEXT["max_position_embeddings"],
    )


VISION: dict[str, Any] = {
    "image_size": IMAGE_SIZE,
    "patch_size": 8,
    "hidden_size": 128,
    "intermediate_size": 512,
    "num_hidden_layers": 5,
    "num_attention_heads": 4,
    "hidden_act": "quick_gelu",
}

TEXT: dict[str, Any] = {
    "hidden_size": 96,
    "intermediate_size": 384,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
    "hidden_act": "quick_gelu",
}

PROJECTION = 96
"""Features that image and text are compared by."""


def config() -> CLIPConfig:
    """Sizes of both towers and the numbers of the special tokens."""
    from transformers import CLIPConfig

    ids = {token: number for number, token in enumerate(vocabulary())}
    pad, start, _, end = SPECIAL
    text = {
        **TEXT,
        "vocab_size": len(ids),
        "pad_token_id": ids[pad],
        "bos_token_id": ids[start],
        "eos_token_id": ids[end],
    }
    return CLIPConfig(text_config=text, vision_config=VISION, projection_dim=PROJECTION)


def build() -> CLIPModel:
    """The architecture, initialised as transformers does, from torch's generator."""
    from transformers import CLIPModel

    return CLIPModel(config())


def folder() -> Path:
    """The folder that `CLIPModel.from_pretrained` reads.

    Raises:
        InputError: The weights are not those that the package records.
    """
    found = weights.FOLDER / "clip"
    weights.verified("clip", found / "model.safetensors")
    return found
