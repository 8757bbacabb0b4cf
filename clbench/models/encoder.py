"""Text encoders of transformers: network, tokenizer, how long a text may be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clbench.contract import InputError
from clbench.models.hub import (
    place_of,
    plain_weights,
    quiet,
    remote_code,
    unusable,
)

LONGEST = 100_000
"""Tokenizers that know no limit of their model give a larger number than this."""


@dataclass(frozen=True)
class Encoder:
    """A pre-trained encoder.

    Attributes:
        model: Of transformers, in float32, without a pooler: `last_hidden_state` is
            what is read.
        tokenizer: Texts, or pairs of them, -> `input_ids` and what the model wants
            beside them.
    """

    model: Any
    tokenizer: Any

    @property
    def width(self) -> int:
        """D, features of each token."""
        width: int = self.model.config.hidden_size
        return width

    @property
    def context(self) -> int:
        """Most tokens that the model takes."""
        known = [getattr(self.model.config, "max_position_embeddings", LONGEST)]
        known.append(self.tokenizer.model_max_length)
        return min(int(length) for length in known)

    def tokenize(
        self, first: Sequence[str], second: Sequence[str] | None, longest: int
    ) -> dict[str, list[list[int]]]:
        """Tokens of texts, or of pairs, cut to `longest` at the longer one's end."""
        pairs = (list(first),) if second is None else (list(first), list(second))
        given = self.tokenizer(*pairs, truncation=True, max_length=longest)
        return {name: given[name] for name in self.tokenizer.model_input_names}


def load_encoder(name: str) -> Encoder:
    """The encoder that `name` stands for.

    Args:
        name: `pocket`, a folder in transformers' format, or `owner/model` on the
            Hugging Face hub, such as `microsoft/deberta-v3-base`.

    Raises:
        InputError: There is no such model here, or it is no encoder.
    """
    from transformers import AutoModel, AutoTokenizer

    from clbench.pocket.models import encoder as pocket

    place = place_of(
        name, pocket=pocket.folder, check=_check, example="microsoft/deberta-v3-base"
    )
    try:
        _check_kind(name, place)
        with quiet(), _without_report():
            model = AutoModel.from_pretrained(place, **plain_weights(), **remote_code())
        tokenizer = AutoTokenizer.from_pretrained(place, **remote_code())
    except InputError:
        raise
    except Exception as error:  # Of the network, of parsing, of shapes that differ.
        raise unusable(name, error) from error
    return without_pooler(Encoder(model, tokenizer))


def without_pooler(encoder: Encoder) -> Encoder:
    """`encoder`, with the pooler that some models bring along taken out of it.

    Heads have their own; it would be trained and counted for nothing.
    """
    if getattr(encoder.model, "pooler", None) is not None:
        encoder.model.pooler = None
    return encoder


@contextmanager
def _without_report() -> Iterator[None]:
    """Within, transformers says nothing of weights that are missing or left over.

    Those are a pooler, which is taken out again, and the heads of pre-training.
    """
    from transformers.utils import logging

    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)


def _check_kind(name: str, place: str) -> None:
    from transformers import AutoConfig
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_MASKED_LM_MAPPING_NAMES as ENCODERS,
    )

    config = AutoConfig.from_pretrained(place, **remote_code())
    if config.model_type not in ENCODERS or config.is_encoder_decoder:
        raise InputError(
            f"scenario.backbone={name} is a model of type '{config.model_type}' of "
            f"transformers, no encoder such as bert, roberta or deberta-v2, in which "
            f"every token sees the whole text"
        )


def _check(name: str, folder: Path) -> None:
    if not (folder / "config.json").is_file():
        raise InputError(
            f"scenario.backbone={name}: no config.json in that folder; save an encoder "
            f"and its tokenizer there with save_pretrained"
        )
    if not any(folder.glob("tokenizer*")) and not any(folder.glob("vocab.*")):
        raise InputError(
            f"scenario.backbone={name}: no tokenizer in that folder (tokenizer.json, "
            f"or what its class needs); save it there with save_pretrained"
        )
