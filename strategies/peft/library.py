"""What the installed PEFT library offers: its types of adapters, read from itself."""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping
from dataclasses import Field, dataclass, field, fields
from importlib.util import find_spec
from types import UnionType
from typing import Any

import peft
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING, PEFT_TYPE_TO_TUNER_MAPPING

from clbench.contract import InputError, nearest

FROM_DATA = ("eva", "corda", "lora_ga")
"""Ways to start a LoRA that look at training data first."""

NO_METHODS = ("gaussian", "megatron", "runtime")
"""Settings of LoRA that are no adapters of their own."""

PROMPTS = (
    "PEFT puts prompts before the tokens of one transformers model, wrapped as its "
    "`PeftModel`; a scenario's model takes a whole batch and may see no tokens"
)

REASONS: Mapping[str, str] = {
    "adaption_prompt": PROMPTS,
    "shadow": "PEFT runs a second decoder beside the layers of a language model",
    "poly": "PEFT's Poly asks for a `task_ids` at each call of the model",
    "xlora": "X-LoRA mixes LoRAs that were trained before, and needs their folders",
    "arrow": "Arrow routes between LoRAs that were trained before, and needs them",
    "qalora": "QALoRA is for GPTQ's quantised layers, and no layer here is quantised",
    "loftq": "LoftQ makes up for the error of quantised weights, and none here are",
    "kasa": (
        "KaSA cuts the smallest singular values off every weight it adapts: the model "
        "would no longer compute what it computed"
    ),
}
"""Types that can run nowhere here, with what stands in the way."""


@dataclass(frozen=True)
class Adapter:
    """A type of adapter.

    Attributes:
        name: As in `strategy.type`.
        config: PEFT's class of its configuration.
        tuner: PEFT's class that puts it into a model; None where there is none.
        preset: Entries of the configuration that make it this type.
    """

    name: str
    config: type[Any]
    tuner: type[Any] | None
    preset: Mapping[str, Any] = field(default_factory=dict)

    @property
    def fields(self) -> dict[str, Any]:
        """Names of the configuration's entries -> their defaults."""
        return {f.name: _default(f) for f in fields(self.config)}

    @property
    def reason(self) -> str | None:
        """Why it can run nowhere here; None where it may."""
        if self.name in REASONS:
            return REASONS[self.name]
        if issubclass(self.config, peft.PromptLearningConfig):
            return PROMPTS
        if self.name == "corda" and find_spec("attr") is None:
            return "PEFT's CorDA needs the package attrs: pip install attrs"
        if self.tuner is None:
            return "PEFT has no module that it could put into a model"
        return None


def adapters() -> dict[str, Adapter]:
    """Every type by its name: PEFT's own types, and the named variants of LoRA."""
    found = {}
    for kind, config in PEFT_TYPE_TO_CONFIG_MAPPING.items():
        name = kind.value.lower()
        found[name] = Adapter(name, config, PEFT_TYPE_TO_TUNER_MAPPING.get(kind))
    lora = found["lora"]
    for name, preset in _variants(lora.config):
        found.setdefault(name, Adapter(name, lora.config, lora.tuner, preset))
    return dict(sorted(found.items()))


def adapter(name: str) -> Adapter:
    """The type that is called `name`.

    Raises:
        InputError: PEFT has none.
    """
    known = adapters()
    if name not in known:
        raise InputError(
            f"strategy.type={name} is no adapter of peft {peft.__version__}"
            f"{nearest(name, known)} (all: clbench list adapters)"
        )
    return known[name]


def _variants(lora: type[Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Variants of LoRA: flags `use_X`, parts `X_config`, and named initialisations."""
    known = {f.name: f for f in fields(lora)}
    hints = typing.get_type_hints(lora)
    starts = {*_words(hints["init_lora_weights"]), *FROM_DATA}
    for name in known:
        variant = name.removeprefix("use_").removesuffix("_config")
        if variant == name or variant in NO_METHODS:
            continue
        preset: dict[str, Any] = {name: True if hints[name] is bool else {}}
        if variant in starts:
            preset["init_lora_weights"] = variant
        yield variant, preset
    for start in sorted(starts):
        if start.isidentifier() and start not in NO_METHODS:
            yield start, {"init_lora_weights": start}


def _words(annotation: Any) -> list[str]:
    """The words that a Literal within `annotation` allows."""
    if typing.get_origin(annotation) is typing.Literal:
        return [str(word) for word in typing.get_args(annotation)]
    if typing.get_origin(annotation) in (typing.Union, UnionType):
        return [w for part in typing.get_args(annotation) for w in _words(part)]
    return []


def _default(entry: Field[Any]) -> Any:
    if callable(entry.default_factory):
        return entry.default_factory()
    return entry.default
