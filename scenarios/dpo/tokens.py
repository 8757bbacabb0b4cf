"""Pairs as tokens: chat templates, truncation, padding."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from clbench.contract import Batch, InputError
from clbench.models.lm import CausalLm

from .pairs import Message, Pair, Text, shared

Ids = NDArray[np.int64]

SPEAKERS = {"user": "\n\nHuman: ", "assistant": "\n\nAssistant: ", "system": "\n\n"}
"""How a turn begins where a tokenizer has no chat template: as Anthropic's do."""


DONE = ("prompts cut", "responses cut", "pairs equal as tokens")
"""What tokenizing may do to a pair."""


@dataclass(frozen=True)
class Tokens:
    """Pairs as numbers of tokens.

    Attributes:
        prompts: Of each pair, the tokens that do not count.
        chosen: The response, and what ends it.
        rejected: Likewise.
        pad: Token that fills up batches.
    """

    prompts: Sequence[Ids]
    chosen: Sequence[Ids]
    rejected: Sequence[Ids]
    pad: int

    def __len__(self) -> int:
        return len(self.prompts)

    @cached_property
    def sizes(self) -> NDArray[np.int64]:
        """(N, 2) tokens of each response, chosen first."""
        both = [map(len, side) for side in (self.chosen, self.rejected)]
        return np.array(list(zip(*both, strict=True)), dtype=np.int64).reshape(-1, 2)

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """(N,) tokens of the prompt and the longer response."""
        prompts = np.array([len(ids) for ids in self.prompts], dtype=np.int64)
        found: NDArray[np.int64] = prompts + self.sizes.max(1, initial=0)
        return found

    @cached_property
    def sha256(self) -> str:
        """Hash of all tokens, and of where responses begin."""
        digest = hashlib.sha256()
        for side in (self.prompts, self.chosen, self.rejected):
            for ids in side:
                digest.update(len(ids).to_bytes(8, "little"))
                digest.update(ids.astype("<i8").tobytes())
        return digest.hexdigest()

    def batch(self, rows: Sequence[int] | Ids, length: int | None = None) -> Batch:
        """Some pairs, padded on the right.

        Args:
            rows: B of them.
            length: L, tokens to pad to; None is the longest of these.

        Returns:
            `input_ids` (B, 2, L), chosen first; `attention_mask` (B, 2, L), 1 for what
            is there; `response` (B, 2, L), whether a token counts.
        """
        longest = int(self.lengths[np.asarray(rows)].max(initial=1))
        shape = (len(rows), 2, length or longest)
        ids = np.full(shape, self.pad, dtype=np.int64)
        mask = np.zeros(shape, dtype=np.int64)
        response = np.zeros(shape, dtype=bool)
        for place, row in enumerate(rows):
            prompt = self.prompts[row]
            for side, texts in enumerate((self.chosen, self.rejected)):
                start, end = len(prompt), len(prompt) + len(texts[row])
                ids[place, side, :start] = prompt
                ids[place, side, start:end] = texts[row]
                mask[place, side, :end] = 1
                response[place, side, start:end] = True
        return {
            "input_ids": torch.from_numpy(ids),
            "attention_mask": torch.from_numpy(mask),
            "response": torch.from_numpy(response),
        }

    def by_length(self, budget: int) -> Iterator[Ids]:
        """Rows of all pairs in batches of like length.

        Args:
            budget: Tokens in a batch at the most, padding and both responses included;
                one pair is always taken.
        """
        rows = np.argsort(self.lengths, kind="stable")[::-1]
        start = 0
        while start < len(rows):
            count = max(1, budget // int(2 * self.lengths[rows[start]]))
            yield rows[start : start + count]
            start += count


class Tokenized:
    """Turns pairs into tokens by stated rules, and counts what they did.

    A prompt and a response are tokenized apart, with nothing between them: where the
    response begins does not depend on what it is. The model's token for an end closes
    every response that is whole.

    Where both do not fit into `length`, the prompt loses its beginning (the token that
    begins a text stays), until it has half of the length or the longer response fits;
    responses lose their ends. Pairs that are equal then are left out.

    Args:
        lm: Whose tokenizer.
        length: Most tokens of prompt and response.

    Attributes:
        counts: What was done -> how often.
    """

    def __init__(self, lm: CausalLm, length: int) -> None:
        self._lm, self._length = lm, length
        self.counts = Counter(dict.fromkeys(DONE, 0))

    def __call__(self, pairs: Sequence[Pair], name: str) -> tuple[Tokens, list[Pair]]:
        """Tokens of `pairs`, and those that they are of.

        Raises:
            InputError: No pair of the domain called `name` is left, or the tokenizer
                makes nothing of a prompt.
        """
        written = [rendered(pair, self._lm.tokenizer) for pair in pairs]
        prompts = self._prompts(written)
        answers = [
            self._ids([w[1] for w in written]),
            self._ids([w[2] for w in written]),
        ]
        kept: list[Pair] = []
        sides: tuple[list[Ids], list[Ids], list[Ids]] = ([], [], [])
        for row, pair in enumerate(pairs):
            if not len(prompts[row]):
                raise InputError(
                    f"domain '{name}': the tokenizer makes no token of the prompt "
                    f"{written[row][0][:40]!r}"
                )
            closed = [self._closed(answer[row]) for answer in answers]
            prompt, chosen, rejected = self._cut(prompts[row], *closed)
            if np.array_equal(chosen, rejected):
                self.counts["pairs equal as tokens"] += 1
                continue
            kept.append(pair)
            for side, ids in zip(sides, (prompt, chosen, rejected), strict=True):
                side.append(ids)
        if not kept:
            raise InputError(
                f"domain '{name}': no pair differs within scenario.max_length="
                f"{self._length} tokens"
            )
        return Tokens(*sides, self._lm.pad), kept

    def _prompts(self, written: Sequence[tuple[str, str, str, bool]]) -> list[Ids]:
        """Of each prompt, with what begins a text where no template wrote it."""
        plain = self._ids([w[0] for w in written], special=True)
        chat = self._ids([w[0] for w in written])
        end = self._lm.end
        found = []
        for one, other, w in zip(plain, chat, written, strict=True):
            ids = other if w[3] else one
            closes = len(ids) > 1 and ids[-1] == end and not w[3]
            found.append(ids[:-1] if closes else ids)
        return found

    def _ids(self, texts: Sequence[str], *, special: bool = False) -> list[Ids]:
        given = self._lm.tokenizer(
            list(texts), add_special_tokens=special, verbose=False
        )
        return [np.array(ids, dtype=np.int64) for ids in given["input_ids"]]

    def _closed(self, ids: Ids) -> Ids:
        end = self._lm.end
        if end is None or (len(ids) and ids[-1] == end):
            return ids
        return np.append(ids, end)

    def _cut(self, prompt: Ids, chosen: Ids, rejected: Ids) -> tuple[Ids, Ids, Ids]:
        whole = self._length
        longer = max(len(chosen), len(rejected))
        room = max(whole - longer, whole // 2)
        if len(prompt) > room:
            self.counts["prompts cut"] += 1
            prompt = left_cut(prompt, room, self._lm.tokenizer.bos_token_id)
        room = whole - len(prompt)
        self.counts["responses cut"] += sum(len(r) > room for r in (chosen, rejected))
        return prompt, chosen[:room], rejected[:room]


def left_cut(prompt: Ids, room: int, begin: int | None) -> Ids:
    """The last `room` tokens of `prompt`; `begin` stays if it is the first."""
    if len(prompt) <= room:
        return prompt
    if begin is not None and prompt[0] == begin:
        return np.append(prompt[:1], prompt[len(prompt) - room + 1 :])
    return prompt[len(prompt) - room :]


def rendered(pair: Pair, tokenizer: Any) -> tuple[str, str, str, bool]:
    """Prompt, chosen and rejected as texts; whether a template wrote special tokens.

    Messages go through the tokenizer's chat template. Where it has none they become a
    transcript as Anthropic writes them, so that every model can learn from them.
    """
    if isinstance(pair.prompt, str):
        return pair.prompt, _text(pair.chosen), _text(pair.rejected), False
    prompt, chosen, rejected = pair.prompt, pair.chosen, pair.rejected
    assert not isinstance(chosen, str)
    assert not isinstance(rejected, str)
    if not tokenizer.chat_template:
        begun = "".join(SPEAKERS.get(role, f"\n\n{role}: ") + c for role, c in prompt)
        return f"{begun}\n\nAssistant:", _turns(chosen), _turns(rejected), False
    begun = _templated(tokenizer, prompt, begin=True)
    whole = [_templated(tokenizer, (*prompt, *answer)) for answer in (chosen, rejected)]
    # Some templates end a prompt as they do not when a response follows.
    start = shared(begun, *whole)
    one, other = (text[start:] for text in whole)
    return begun[:start], one, other, True


def _templated(
    tokenizer: Any, messages: Sequence[Message], *, begin: bool = False
) -> str:
    given = [{"role": role, "content": content} for role, content in messages]
    try:
        text: str = tokenizer.apply_chat_template(
            given, tokenize=False, add_generation_prompt=begin
        )
    except Exception as error:  # Whatever a template raises of roles it does not know.
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        roles = ", ".join(role for role, _ in messages)
        raise InputError(
            f"the tokenizer's chat template refuses a conversation of {roles}: {reason}"
        ) from error
    return text


def _turns(messages: Sequence[Message]) -> str:
    """Messages after `Assistant:`; the first one's speaker is known."""
    (_, first), *rest = messages
    return f" {first}" + "".join(
        SPEAKERS.get(role, f"\n\n{role}: ") + content for role, content in rest
    )


def _text(text: Text) -> str:
    assert isinstance(text, str)
    return text
