"""Preference pairs, and the forms in which data sets have them."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from clbench.contract import InputError

Message = tuple[str, str]
"""Role and content."""

Text = str | tuple[Message, ...]
"""Plain text, or the messages of a conversation."""

TURN = "\n\nAssistant:"
"""Begins a turn of the assistant in Anthropic's transcripts."""

TEST_SHARE = 10
"""One of so many prompts judges."""

VALIDATION_SHARE = 5
"""One of so many prompts that are learned from judges where settings are chosen."""


@dataclass(frozen=True)
class Pair:
    """Two responses to one prompt, of which the first is preferred."""

    prompt: Text
    chosen: Text
    rejected: Text

    def judges(self, purpose: str, share: int) -> bool:
        """Whether its prompt is among the one of `share` that judge.

        A hash of the prompt decides, so that all pairs with one prompt are on one side,
        in every file and whatever the seed.

        Args:
            purpose: Gives independent choices.
            share: One of how many.
        """
        prompt = self.prompt.strip() if isinstance(self.prompt, str) else self.prompt
        digest = hashlib.sha256(f"{purpose}/{json.dumps(prompt)}".encode()).digest()
        return int.from_bytes(digest[:8], "big") % share == 0


@dataclass
class Pairs:
    """The pairs of a source, and what was left out.

    Attributes:
        found: All that can be learned from.
        dropped: Why pairs were left out -> how many.
    """

    found: list[Pair] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)

    def add(self, row: Any, place: str) -> None:
        """Take the pair of one row of data.

        Pairs whose responses are equal, or one of which is empty, say nothing of a
        preference: they are left out, and counted.

        Args:
            row: As parsed.
            place: File and line, for messages.

        Raises:
            InputError: It holds no pair.
        """
        pair = parse(row, place)
        if _empty(pair.chosen) or _empty(pair.rejected):
            self.dropped["empty response"] += 1
        elif pair.chosen == pair.rejected:
            self.dropped["equal responses"] += 1
        else:
            self.found.append(pair)


def parse(row: Any, place: str) -> Pair:
    """The pair that one row of data holds, in whatever form.

    - `prompt`, `chosen` and `rejected`, all texts, taken as they are;
    - `chosen` and `rejected` texts alone: Anthropic's transcripts. The prompt is what
      both share, up to the last turn of the assistant that begins there;
    - `chosen` and `rejected` lists of messages, alone or after a `prompt` (a list, or
      the text of a user's message), which may be called `messages`. The prompt is every
      message that both share.

    Raises:
        InputError: A field is missing, or is of another kind.
    """
    if not isinstance(row, Mapping):
        raise InputError(f"{place}: a JSON object is needed, not {_kind(row)}")
    fields: dict[str, Any] = {n: row.get(n) for n in ("chosen", "rejected")}
    prompt = row["prompt"] if row.get("prompt") is not None else row.get("messages")
    for name, value in fields.items():
        if value is None:
            there = ", ".join(map(str, row)) or "nothing"
            raise InputError(f"{place}: no '{name}' in it (it has: {there})")
        if not isinstance(value, str | list):
            raise InputError(
                f"{place}: '{name}' is {_kind(value)}; a text or a list of messages is "
                f"needed"
            )
    chosen, rejected = fields["chosen"], fields["rejected"]
    if isinstance(chosen, str) != isinstance(rejected, str):
        raise InputError(
            f"{place}: 'chosen' is {_kind(chosen)}, 'rejected' {_kind(rejected)}: both "
            f"must be of one kind"
        )
    if isinstance(chosen, list):
        return _conversation(prompt, chosen, rejected, place)
    if prompt is None:
        return _transcript(chosen, rejected, place)
    if not isinstance(prompt, str):
        raise InputError(f"{place}: 'prompt' is {_kind(prompt)}, the responses texts")
    if not prompt.strip():
        raise InputError(f"{place}: the prompt is empty: there is nothing to answer")
    return Pair(prompt, chosen, rejected)


def _transcript(chosen: str, rejected: str, place: str) -> Pair:
    turn = chosen[: shared(chosen, rejected)].rfind(TURN)
    if turn < 0:
        raise InputError(
            f"{place}: no 'prompt', and no turn of the assistant ({TURN!r}) that both "
            f"transcripts share"
        )
    start = turn + len(TURN)
    return Pair(chosen[:start], chosen[start:], rejected[start:])


def _conversation(
    prompt: Any, chosen: list[Any], rejected: list[Any], place: str
) -> Pair:
    begun: tuple[Message, ...] = ()
    if isinstance(prompt, list):
        begun = _messages(prompt, "prompt", place)
    one = (*begun, *_messages(chosen, "chosen", place))
    other = (*begun, *_messages(rejected, "rejected", place))
    begins = shared(one, other)
    if one == other:
        # A pair without a preference: counted by the caller.
        begins = min(begins, len(one) - 1)
    if isinstance(prompt, str) and begins == 0:
        return Pair((("user", prompt),), one, other)
    if begins == 0:
        raise InputError(f"{place}: no message that both conversations begin with")
    return Pair(one[:begins], one[begins:], other[begins:])


def _messages(value: list[Any], name: str, place: str) -> tuple[Message, ...]:
    found = []
    for message in value:
        role, content = (
            (message.get("role"), message.get("content"))
            if isinstance(message, Mapping)
            else (None, None)
        )
        if not isinstance(role, str) or not isinstance(content, str):
            raise InputError(
                f"{place}: a message of '{name}' has no 'role' and 'content' that are "
                f"texts"
            )
        found.append((role, content))
    return tuple(found)


def shared(*sequences: Sequence[Any]) -> int:
    """Number of first items that all of them have alike."""
    count = 0
    for items in zip(*sequences, strict=False):
        if any(item != items[0] for item in items):
            break
        count += 1
    return count


def _empty(text: Text) -> bool:
    if isinstance(text, str):
        return not text.strip()
    return not any(content.strip() for _, content in text)


def _kind(value: Any) -> str:
    names = {"str": "a text", "list": "a list", "dict": "an object", "NoneType": "null"}
    return names.get(type(value).__name__, f"a value of type {type(value).__name__}")


def split(
    pairs: Iterable[Pair], purpose: str, share: int
) -> tuple[list[Pair], list[Pair]]:
    """Those that are learned from, and those that judge; see `Pair.judges`."""
    sides: tuple[list[Pair], list[Pair]] = ([], [])
    for pair in pairs:
        sides[pair.judges(purpose, share)].append(pair)
    return sides
