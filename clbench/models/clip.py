"""CLIP models of transformers: both towers, the tokenizer, how pixels are prepared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from clbench.contract import InputError
from clbench.models.hub import (
    place_of,
    plain_weights,
    quiet,
    remote_code,
    unusable,
)

Statistics = tuple[float, float, float]


@dataclass(frozen=True)
class Clip:
    """A pre-trained CLIP.

    Attributes:
        model: transformers' `CLIPModel`, in float32; its own activation (QuickGELU in
            OpenAI's) is kept.
        tokenizer: Texts -> `input_ids` and `attention_mask`.
        mean: What pixels in [0, 1] are shifted by.
        std: What they are divided by.
    """

    model: Any
    tokenizer: Any
    mean: Statistics
    std: Statistics

    @property
    def image_size(self) -> int:
        """S, pixels on a side."""
        size: int = self.model.config.vision_config.image_size
        return size

    def tokenize(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """(N, L) token numbers and mask of `texts`, cut to what the model takes."""
        most = self.model.config.text_config.max_position_embeddings
        given = self.tokenizer(
            list(texts),
            padding=True,
            truncation=True,
            max_length=most,
            return_tensors="pt",
        )
        return given["input_ids"], given["attention_mask"]


def load_clip(name: str) -> Clip:
    """The CLIP that `name` stands for.

    Args:
        name: `pocket`, a folder in transformers' format, or `owner/model` on the
            Hugging Face hub, such as `openai/clip-vit-base-patch16`.

    Raises:
        InputError: There is no such model here, or it is no CLIP.
    """
    from transformers import AutoConfig, AutoTokenizer, CLIPModel

    from clbench.pocket.models import clip as pocket

    place = place_of(
        name,
        pocket=pocket.folder,
        check=_check,
        example="openai/clip-vit-base-patch16",
    )
    try:
        kind = AutoConfig.from_pretrained(place, **remote_code()).model_type
        if kind == "clip":
            with quiet():
                model = CLIPModel.from_pretrained(place, **plain_weights())
            tokenizer = AutoTokenizer.from_pretrained(place, **remote_code())
            mean, std = _statistics(place)
    except Exception as error:  # Of the network, of parsing, of shapes that differ.
        raise unusable(name, error) from error
    if kind != "clip":
        raise InputError(
            f"scenario.backbone={name} is a model of type '{kind}' of transformers, "
            f"not 'clip': images and texts are compared by both towers of a CLIP"
        )
    return Clip(model, tokenizer, mean, std)


def _check(name: str, folder: Path) -> None:
    if not (folder / "config.json").is_file():
        raise InputError(
            f"scenario.backbone={name}: no config.json in that folder; save a "
            f"CLIPModel and its tokenizer there with save_pretrained"
        )
    if not any((folder / f).is_file() for f in ("tokenizer.json", "vocab.json")):
        raise InputError(
            f"scenario.backbone={name}: no tokenizer in that folder (tokenizer.json, "
            f"or vocab.json and merges.txt); save it there with save_pretrained"
        )


def _statistics(place: str) -> tuple[Statistics, Statistics]:
    """Mean and deviation of pixels; OpenAI's where a folder does not say."""
    from transformers import CLIPImageProcessor
    from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

    folder = Path(place)
    if folder.is_dir() and not (folder / "preprocessor_config.json").is_file():
        return tuple(OPENAI_CLIP_MEAN), tuple(OPENAI_CLIP_STD)
    facts = CLIPImageProcessor.from_pretrained(place)
    return tuple(facts.image_mean), tuple(facts.image_std)
