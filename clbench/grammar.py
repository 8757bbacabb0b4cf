"""The command line's `key=value`, in Hydra's override grammar."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import (
    ChoiceSweep,
    Override,
    OverrideType,
    Quote,
    QuotedString,
    RangeSweep,
)
from hydra.errors import HydraException
from pydantic_core import to_jsonable_python

from clbench.contract import InputError

HELP = "the grammar: clbench run --help"

_BARE = re.compile(r"(\.{0,2}/)?[A-Za-z_][\w/.+-]*")
_WORDS = frozenset({"true", "false", "null", "nan", "inf"})


@dataclass(frozen=True)
class Setting:
    """A key and what it is set to.

    Attributes:
        key: Dotted name, such as `strategy.rank`.
        values: Plain values; more than one is a sweep.
    """

    key: str
    values: tuple[Any, ...]

    @property
    def value(self) -> Any:
        """The only value.

        Raises:
            InputError: It is a sweep.
        """
        if len(self.values) != 1:
            texts = ",".join(write(value) for value in self.values)
            raise InputError(
                f"{self.key}={texts} has several values; {self.key} takes one, such "
                f"as {self.key}={write(self.values[0])} ({HELP})"
            )
        return self.values[0]


def parse(text: str) -> Setting:
    """What `key=value` sets; the key keeps a leading `+`.

    Raises:
        InputError: It is no `key=value`, or asks for something that has no meaning
            here; says what would.
    """
    try:
        override = OverridesParser.create().parse_override(text)
    except HydraException as error:
        first = str(error).splitlines()[0]
        raise InputError(f"'{text}' is no key=value: {first} ({HELP})") from error
    if override.package is not None:
        raise InputError(
            f"'{text}' names a package with '@'; write the key as it is, such as "
            f"strategy.rank=8 ({HELP})"
        )
    if override.type in (OverrideType.DEL, OverrideType.FORCE_ADD):
        sign = "~" if override.type == OverrideType.DEL else "++"
        raise InputError(
            f"'{text}' begins with '{sign}', but keys are neither added nor deleted: "
            f"write {override.key_or_group}=VALUE ({HELP})"
        )
    prefix = "+" if override.type == OverrideType.ADD else ""
    return Setting(prefix + override.key_or_group, _values(override, text))


def write(value: Any) -> str:
    """`value` as the command line takes it; `parse` reads it back.

    Texts are quoted where they would be read as something else.
    """
    value = to_jsonable_python(value)
    if isinstance(value, str):
        if _BARE.fullmatch(value) and value.lower() not in _WORDS:
            return value
        return str(QuotedString(text=value, quote=Quote.single).with_quotes())
    if isinstance(value, list):
        return f"[{','.join(write(v) for v in value)}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{write(k)}:{write(v)}' for k, v in value.items())}}}"
    if isinstance(value, bool):
        return str(value).lower()
    return "null" if value is None else repr(value)


def read(path: Path) -> list[list[Setting]]:
    """What a file of saved configurations sets, one list for each YAML document.

    A mapping's keys are joined by dots, and `name` within `strategy` or `scenario`
    is the plugin itself. A text is read as on the command line, so that
    `seed: 0,1,2` is a sweep; other values are taken as they are.

    Raises:
        InputError: It cannot be read; names the line.
    """
    try:
        documents = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(
            f"+experiment={path}: {reason}; name a file that `clbench run --config` "
            f"printed"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        line = " ".join(str(error).split())
        raise InputError(f"+experiment={path} is no YAML: {line} ({HELP})") from error
    found = []
    for document in documents:
        if not isinstance(document, dict):
            raise InputError(
                f"+experiment={path} holds {type(document).__name__}, not keys such "
                f"as `seed: 0` ({HELP})"
            )
        found.append(_flatten(document, ""))
    return found


def _flatten(tree: Mapping[Any, Any], prefix: str) -> list[Setting]:
    found = []
    for name, value in tree.items():
        key = f"{prefix}{name}"
        if key in ("strategy.name", "scenario.name"):
            key = key.removesuffix(".name")
        if isinstance(value, dict):
            found += _flatten(value, f"{key}.")
        elif isinstance(value, str):
            found.append(parse(f"{key}={value}"))
        else:
            found.append(Setting(key, (value,)))
    return found


def _values(override: Override, text: str) -> tuple[Any, ...]:
    if "${" in text:
        raise InputError(
            f"'{text}' interpolates with '${{'; write the value itself ({HELP})"
        )
    if not override.is_sweep_override():
        return (_plain(override.value()),)
    # The parser keeps what it read in this attribute and has no public way to it.
    sweep = override._value
    if not isinstance(sweep, ChoiceSweep | RangeSweep):
        reason = (
            "an interval names no values"
            if "interval" in text
            else "names are not matched against patterns"
        )
        raise InputError(
            f"'{text}': {reason}; list them, as in {override.key_or_group}=1,2 ({HELP})"
        )
    if sweep.shuffle:
        raise InputError(
            f"'{text}' shuffles, but the order of cells means nothing; leave it out "
            f"({HELP})"
        )
    values = tuple(_plain(value) for value in override.sweep_iterator())
    if not values:
        raise InputError(f"'{text}' is an empty sweep; give at least one value")
    return values


def _plain(value: Any) -> Any:
    """`value` without the parser's own types."""
    if isinstance(value, QuotedString):
        return value.text
    if isinstance(value, list):
        return [_plain(v) for v in value]
    if isinstance(value, dict):
        return {str(_plain(k)): _plain(v) for k, v in value.items()}
    return value
