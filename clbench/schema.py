"""A plugin's explicit keywords, with defaults and annotations, as its schema."""

from __future__ import annotations

import dataclasses
import inspect
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from annotated_types import BaseMetadata, GroupedMetadata
from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError

from clbench.contract import Among, Between, InputError, Space, nearest
from clbench.grammar import write
from clbench.plugin import Kind
from clbench.registry import load, preset

RESERVED: dict[Kind, tuple[str, ...]] = {"strategy": (), "scenario": ("seed",)}
"""Keywords that the engine fills: no parameters of the command line."""


@dataclass(frozen=True)
class Parameter:
    """One keyword of a plugin.

    Attributes:
        name: The keyword.
        annotation: Its type, with ranges as `annotated_types` writes them.
        default: Its value where nobody gives one.
    """

    name: str
    annotation: Any
    default: Any

    def check(self, value: Any) -> Any:
        """`value` as the keyword takes it: a list becomes a tuple where one is wanted.

        Raises:
            ValueError: What is wrong with it, as the end of a sentence.
        """
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError("is no finite number")
        # The rules of JSON keep "8" and True from passing for numbers, and still let
        # a list be a tuple and a text be a path, which strict Python values do not.
        try:
            return self._adapter.validate_json(json.dumps(value), strict=True)
        except ValidationError as error:
            messages = [_message(e["loc"], e["msg"]) for e in error.errors()]
            raise ValueError(self._hint(value, messages)) from error

    @property
    def type_text(self) -> str:
        """Its type, for people: `integer`, `number`, `text`, `adam | adamw | sgd`."""
        return _type_text(self.annotation)

    @property
    def range_text(self) -> str:
        """The values it may take, for people: `>= 1`; empty where all may be."""
        return _range_text(self.annotation)

    @property
    def space(self) -> Space | None:
        """Its values that are worth a try; None where nobody said."""
        return _space(self.annotation)

    @property
    def whole(self) -> bool:
        """Whether it takes whole numbers and no others."""
        return _numbers(self.annotation) == {int}

    @property
    def has_entries(self) -> bool:
        """Whether its value has keys of its own, each of which can be set."""
        parts = (self.annotation, *get_args(self.annotation))
        return any(get_origin(part) is dict for part in parts)

    @cached_property
    def _adapter(self) -> TypeAdapter[Any]:
        try:
            return TypeAdapter(self.annotation)
        except PydanticSchemaGenerationError as error:
            raise InputError(
                f"parameter '{self.name}' has type {self.annotation}, which no command "
                f"line can give (numbers, texts, Literal, lists: docs/plugins.md)"
            ) from error

    def _hint(self, value: Any, messages: list[str]) -> str:
        text = " or ".join(dict.fromkeys(messages))
        if isinstance(value, str) and (words := _literals(self.annotation)):
            return f"{text}{nearest(value, words)}"
        return f"{text}, such as its default {write(self.default)}"


def parameters(cls: type, reserved: tuple[str, ...] = ()) -> dict[str, Parameter]:
    """The keywords of `cls`, in their order, but for `reserved` ones.

    Raises:
        InputError: One has no default or no annotation, or is no keyword.
    """
    if cls.__init__ is object.__init__:  # type: ignore[misc]
        return {}
    try:
        owner = cls if dataclasses.is_dataclass(cls) else cls.__init__  # type: ignore[misc]
        hints = get_type_hints(owner, include_extras=True)
    except NameError as error:
        raise InputError(
            f"{cls.__qualname__}: an annotation of __init__ cannot be read: {error}"
        ) from error
    found = {}
    for entry in list(inspect.signature(cls).parameters.values()):
        if entry.name in reserved:
            continue
        if entry.kind is not entry.KEYWORD_ONLY or entry.default is entry.empty:
            raise InputError(
                f"{cls.__qualname__}: parameter '{entry.name}' must be a keyword with "
                f"a default, as in `def __init__(self, *, {entry.name}: int = 4)`"
            )
        if entry.name not in hints or "." in entry.name or entry.name == "name":
            raise InputError(
                f"{cls.__qualname__}: parameter '{entry.name}' needs an annotation"
                if entry.name != "name"
                else f"{cls.__qualname__}: no parameter may be called 'name'"
            )
        found[entry.name] = Parameter(entry.name, hints[entry.name], entry.default)
    return found


def plugin_parameters(kind: Kind, name: str) -> dict[str, Parameter]:
    """The keywords of a plugin, by its name, but for those that the name sets.

    Raises:
        InputError: There is no such plugin, or its keywords are no schema.
    """
    _, fixed = preset(kind, name)
    return parameters(load(kind, name), (*RESERVED[kind], *fixed))


def see(what: str, name: str | None = None) -> str:
    """The command that lists what is valid for a plugin, `recipe` or `options`."""
    return f"clbench show {what}" + (f"={name}" if name else "")


def check(
    schema: Mapping[str, Parameter], name: str, value: Any, *, key: str, see: str
) -> Any:
    """`value` as the parameter `name` takes it.

    Args:
        schema: The parameters there are.
        name: The one that is given.
        value: What the user wrote, as plain values.
        key: What the user calls it, for the message: `strategy.rank`.
        see: The command that lists the valid ones.

    Raises:
        InputError: There is no such parameter, or the value does not fit.
    """
    if name not in schema:
        prefix = key.removesuffix(name)
        near = nearest(name, schema).replace("'", f"'{prefix}", 1)
        raise InputError(f"unknown key '{key}'{near or ': there are no keys'} ({see})")
    try:
        return schema[name].check(value)
    except ValueError as error:
        raise InputError(f"{key}={write(value)} {error} ({see})") from error


def _message(place: tuple[int | str, ...], text: str) -> str:
    """One complaint of pydantic's, with its place in a list."""
    item = "".join(f"item {i}: " for i in place if isinstance(i, int))
    return item + (text[0].lower() + text[1:]).removeprefix("input ")


def _literals(annotation: Any) -> list[str]:
    """The words a Literal allows, wherever it stands in `annotation`."""
    if get_origin(annotation) is Literal:
        return [str(v) for v in get_args(annotation)]
    if get_origin(annotation) is Annotated:
        return _literals(get_args(annotation)[0])
    return [w for a in get_args(annotation) for w in _literals(a)]


def _type_text(annotation: Any) -> str:
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type_text(args[0])
    if origin is Literal:
        return " | ".join(str(a) for a in args)
    if origin in (Union, UnionType):
        return " | ".join(_type_text(a) for a in args)
    if origin is dict:
        return "keys"
    if origin is not None:
        if args[1:] in ((), (Ellipsis,)):
            return f"list of {_type_text(args[0])}"
        return f"[{', '.join(_type_text(a) for a in args)}]"
    names = {int: "integer", float: "number", str: "text", bool: "true | false"}
    return (
        "null" if annotation is NoneType else names.get(annotation, _name(annotation))
    )


def _range_text(annotation: Any) -> str:
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        signs = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
        signs |= {"min_length": "length >=", "max_length": "length <="}
        parts = []
        for bound in args[1:]:
            parts += list(bound) if isinstance(bound, GroupedMetadata) else [bound]
        texts = [
            f"{signs[field]} {value}"
            for bound in parts
            if isinstance(bound, BaseMetadata)
            for field in signs
            if (value := getattr(bound, field, None)) is not None
        ]
        return ", ".join(texts)
    texts = [_range_text(a) for a in args]
    return ", ".join(dict.fromkeys(t for t in texts if t))


def _space(annotation: Any) -> Space | None:
    found = getattr(annotation, "__metadata__", ())
    spaces = [entry for entry in found if isinstance(entry, Between | Among)]
    spaces += [space for part in get_args(annotation) if (space := _space(part))]
    return spaces[-1] if spaces else None


def _numbers(annotation: Any) -> set[type]:
    """The kinds of numbers that `annotation` takes."""
    if annotation in (int, float):
        return {annotation}
    if get_origin(annotation) is Annotated:
        return _numbers(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return {kind for part in get_args(annotation) for kind in _numbers(part)}
    return set()


def _name(annotation: Any) -> str:
    return getattr(annotation, "__name__", str(annotation)).lower()
