"""Causal language models of transformers: network, tokenizer, and what both lack."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from clbench.assets import door
from clbench.contract import InputError
from clbench.models.hub import (
    place_of,
    plain_weights,
    quiet,
    remote_code,
    unusable,
)
from clbench.models.needs import hub

ADAPTER = "adapter_config.json"
"""What a folder of PEFT has that holds adapters without the model beneath them."""

HEADS = ("ForCausalLM", "LMHeadModel")
"""How the names of transformers' causal language models end."""


@dataclass(frozen=True)
class CausalLm:
    """A pre-trained causal language model.

    Attributes:
        model: Of transformers, in float32, every dropout at 0; linear maps that are
            `Conv1D`, as GPT-2 has them, are equal `nn.Linear`.
        tokenizer: Texts -> `input_ids`.
        merged: Whether it came as adapters, which were merged into their base.
    """

    model: Any
    tokenizer: Any
    merged: bool = False

    @property
    def context(self) -> int | None:
        """Most tokens that the model takes; None where it does not say."""
        config = self.model.config
        for name in ("max_position_embeddings", "n_positions", "max_seq_len"):
            if isinstance(value := getattr(config, name, None), int):
                return value
        return None

    @property
    def end(self) -> int | None:
        """Token that ends a response, if there is one."""
        found: int | None = self.tokenizer.eos_token_id
        return found

    @property
    def pad(self) -> int:
        """Token that fills up batches: never attended to and never counted.

        The tokenizer's own; where it has none that which ends a text, else 0.
        """
        for token in (self.tokenizer.pad_token_id, self.end):
            if token is not None:
                return int(token)
        return 0


def load_lm(name: str) -> CausalLm:
    """The causal language model that `name` stands for.

    Code that a repository brings along is not run unless the user trusts it.

    Args:
        name: `pocket`, a folder in transformers' or PEFT's format, or `owner/model` on
            the Hugging Face hub, such as `openai-community/gpt2`. Adapters of PEFT are
            merged into the model that they name.

    Raises:
        InputError: There is no such model here, or it is no causal language model.
    """
    from transformers import AutoTokenizer

    from clbench.pocket.models import lm as pocket

    place = place_of(
        name, pocket=pocket.folder, check=_check, example="openai-community/gpt2"
    )
    adapters = _adapters(place)
    try:
        with quiet():
            model = _merged(place) if adapters else _network(name, place)
        tokenizer = AutoTokenizer.from_pretrained(place, **remote_code())
    except InputError:
        raise
    except Exception as error:  # Of the network, of parsing, of shapes that differ.
        raise unusable(name, error) from error
    return CausalLm(plain(model), tokenizer, adapters)


def plain(model: nn.Module) -> nn.Module:
    """`model`, its `Conv1D` modules replaced in place by equal `nn.Linear`.

    Those of GPT-2 hold their weights the other way round; low-rank layers, and hashes
    of what a layer computes, know one way.
    """
    from transformers.pytorch_utils import Conv1D

    for path, module in list(model.named_modules()):
        if isinstance(module, Conv1D):
            d_in, d_out = module.weight.shape
            linear = nn.Linear(d_in, d_out, device="meta")
            linear.weight = nn.Parameter(module.weight.detach().T.contiguous())
            linear.bias = module.bias
            model.set_submodule(path, linear)
    return model


def _network(name: str, place: str) -> nn.Module:
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(place, **remote_code())
    kinds = getattr(config, "architectures", None) or ()
    if config.is_encoder_decoder or (kinds and not any(map(_causal, kinds))):
        raise InputError(
            f"scenario.backbone={name} is {', '.join(kinds) or 'an encoder-decoder'} "
            f"of transformers, no causal language model, which is what is needed here"
        )
    without_dropout(config)
    model: nn.Module = AutoModelForCausalLM.from_pretrained(
        place, config=config, **plain_weights(), **remote_code()
    )
    return model


def without_dropout(config: Any) -> None:
    """Set every dropout of `config` to 0, whatever its architecture calls it."""
    for key, value in vars(config).items():
        if isinstance(value, float) and ("dropout" in key or key.endswith("pdrop")):
            setattr(config, key, 0.0)


def _merged(place: str) -> nn.Module:
    """The model that the adapters in `place` name, with these merged into it."""
    from peft import PeftConfig, PeftModel

    if not (Path(place) / "adapter_model.safetensors").is_file():
        raise InputError(
            f"scenario.backbone={place}: no adapter_model.safetensors there; PEFT's "
            f"save_pretrained writes it (adapter_model.bin is a pickle, which can run "
            f"code when it is read)"
        )
    base = PeftConfig.from_pretrained(place).base_model_name_or_path
    beneath = base if Path(base).is_dir() else str(door.current().open(hub(base)))
    model = PeftModel.from_pretrained(_network(base, beneath), place)
    merged: nn.Module = model.merge_and_unload()
    return merged.requires_grad_(True)


def _causal(kind: str) -> bool:
    return kind.endswith(HEADS)


def _adapters(place: str) -> bool:
    """Whether `place` is a folder of PEFT, that holds adapters."""
    return (Path(place) / ADAPTER).is_file()


def _check(name: str, folder: Path) -> None:
    """See that `folder` holds a model, or adapters of one.

    Raises:
        InputError: It does not.
    """
    if _adapters(str(folder)):
        return
    if not (folder / "config.json").is_file():
        raise InputError(
            f"scenario.backbone={name}: no config.json in that folder; save a causal "
            f"language model and its tokenizer there with save_pretrained"
        )
    if not any(folder.glob("tokenizer*")) and not (folder / "vocab.json").is_file():
        raise InputError(
            f"scenario.backbone={name}: no tokenizer in that folder (tokenizer.json, "
            f"or what its class needs); save it there with save_pretrained"
        )
