"""What must not be read in a record: secrets are masked, a home folder is `~`.

Everything that a record holds passes `clean` before it is written. Parameters of a cell
have their homes shortened when the cell is made, so that its key, its command and its
record agree; plugins are handed whole paths.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

MASK = "***"

_NAMES = r"(?:token|secret|password|passwd|pwd|api_?key|access_?key|credentials?)"
"""How keys end whose values are nobody's business; `max_tokens` does not."""

_SECRET_KEY = re.compile(rf"(?:^|[_.\-]){_NAMES}$", re.IGNORECASE)

_SECRETS = (
    # Users and passwords in addresses: https://user:password@host
    (re.compile(r"(\b[a-z][a-z0-9+.\-]*://)[^/\s@]+@", re.IGNORECASE), rf"\1{MASK}@"),
    # key=value, in addresses, commands and messages
    (
        re.compile(
            rf"((?<![A-Za-z])[\w.\-]*{_NAMES}=|[?&](?:sig|signature|auth|key)=)"
            rf"[^\s&'\"]+",
            re.IGNORECASE,
        ),
        rf"\1{MASK}",
    ),
    (re.compile(r"\b(Bearer|Basic)\s+[\w.~+/\-]{8,}=*"), rf"\1 {MASK}"),
    # Tokens that say whose they are
    (re.compile(r"\b(hf_|api_org_)[A-Za-z0-9]{8,}"), rf"\1{MASK}"),
    (re.compile(r"\b(wandb_v\d+_)\w{8,}"), rf"\1{MASK}"),
    (re.compile(r"\b(local-)[0-9a-f]{40}\b"), rf"\1{MASK}"),
    (re.compile(r"\b(gh[pousr]_|github_pat_|glpat-)[\w\-]{16,}"), rf"\1{MASK}"),
    (re.compile(r"\b(sk-|xox[abprs]-)[\w\-]{16,}"), rf"\1{MASK}"),
    (re.compile(r"\b(AKIA|ASIA)[0-9A-Z]{16}\b"), rf"\1{MASK}"),
    (re.compile(r"\beyJ[\w\-]{8,}\.[\w\-]{8,}\.[\w\-]*"), MASK),
)
"""What a secret looks like, and what is left of it."""


def clean(value: Any) -> Any:
    """Plain `value` with every secret masked and every home folder as `~`.

    Keys of mappings stay. Of a key that is called like a secret (`api_key`) the whole
    text is masked. A text that has nothing to hide is the same object.
    """
    if isinstance(value, str):
        return homely(masked(value))
    if isinstance(value, Mapping):
        return {
            key: MASK
            if isinstance(key, str)
            and isinstance(entry, str)
            and entry
            and _SECRET_KEY.search(key)
            else clean(entry)
            for key, entry in value.items()
        }
    if isinstance(value, list | tuple):
        return type(value)(clean(entry) for entry in value)
    return value


def masked(text: str) -> str:
    """`text` with everything masked that looks like a secret."""
    for pattern, rest in _SECRETS:
        text = pattern.sub(rest, text)
    return text


def homely(value: Any) -> Any:
    """`value` with the user's home folder written as `~`, in texts at any depth."""
    home = _home()
    if home is None:
        return value
    # Only where a path begins, and not in /srv/home/me or /home/melanie.
    pattern = re.compile(rf"(?<![\w/.~\-]){re.escape(home)}(?=/|$|[\s'\",;:)\]}}])")
    return _each(value, lambda text: pattern.sub("~", text))


def expanded(value: Any) -> Any:
    """`value` with `~/` written out where a path begins: what `homely` took away."""
    home = _home()
    if home is None:
        return value
    pattern = re.compile(r"(?:^|(?<=[@:]))~(?=/|$)")
    return _each(value, lambda text: pattern.sub(lambda _: home, text))


def _each(value: Any, change: Callable[[str], str]) -> Any:
    """`value` with `change` done to the texts in it."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Path):
        return Path(change(str(value)))
    if isinstance(value, Mapping):
        return {key: _each(entry, change) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_each(entry, change) for entry in value)
    return value


def _home() -> str | None:
    """The home folder; None where there is none to speak of."""
    try:
        home = Path.home()
    except RuntimeError:
        return None
    # The root of the disk, and what is no whole path, name nobody.
    return str(home) if home.is_absolute() and len(home.parts) > 1 else None
