"""Reading texts about scenes: what a prompt asks, what an answer states and how.

Answers are read leniently, as whoever judges generated text must: any string may be
given, every word that means nothing here is passed over. `grammatical` is strict.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from clbench.contract import InputError
from clbench.pocket.captions import NUMBERS, PLURALS
from clbench.pocket.texts import (
    CLOSINGS,
    FACTS,
    HELP,
    LOOKS,
    OPENINGS,
    REFUSE,
    TOOLS,
    VALUES,
    Group,
    Manner,
    Prompt,
)
from clbench.pocket.things import KINDS

NOUNS: dict[str, int] = {
    **{kind: number for number, kind in enumerate(KINDS)},
    **{PLURALS[kind]: number for number, kind in enumerate(KINDS)},
}
"""Words for things: position in `KINDS`."""

PLACES: dict[str, int] = {
    words.split()[-1]: number for number, words in enumerate(VALUES["place"])
}
"""The word of each place that tells it."""

ADJECTIVES: dict[str, tuple[str, int]] = {
    **{
        word: (fact, number)
        for fact in FACTS
        if fact != "place"
        for number, word in enumerate(VALUES[fact])
    },
    "a": ("number", 0),
    "an": ("number", 0),
}
"""Words that say something of the noun they stand before, or of the subject."""

Statement = tuple[int, str, int]
"""A kind, `kind` or one of `FACTS`, and its value: what an answer claims."""

REFUSALS: tuple[str, ...] = ("will not help", "can not help", "should not")


@dataclass(frozen=True)
class Claims:
    """What an answer states, each statement once however often it is made.

    Attributes:
        true: What is so in the prompt's scene.
        false: What is not.
    """

    true: frozenset[Statement]
    false: frozenset[Statement]


def words(text: str) -> list[str]:
    """The words of `text` in lower case, without marks."""
    return re.findall(r"[a-z]+", text.lower())


def statements(text: str, subject: int | None = None) -> list[Statement]:
    """What `text` says of things, in its order.

    A number, colour or texture belongs to the noun that follows it in its sentence,
    else to the last noun before; a place to the last noun before.

    Args:
        text: Any text.
        subject: The kind that a sentence without a noun is about; None is no thing.
    """
    said: list[Statement] = []
    for sentence in re.split(r"[.?!]", text):
        about, waiting = subject, list[tuple[str, int]]()
        for word in words(sentence):
            if word in NOUNS:
                about = NOUNS[word]
                said += [(about, "kind", about), *((about, *w) for w in waiting)]
                waiting = []
            elif word in ADJECTIVES:
                waiting.append(ADJECTIVES[word])
            elif word in PLACES and about is not None:
                said.append((about, "place", PLACES[word]))
        if about is not None:
            said += [(about, *w) for w in waiting]
    return said


@cache
def prompt(text: str) -> Prompt:
    """The prompt that `text` is.

    Raises:
        InputError: It is not one of the embedded world.
    """
    first, _, question = text.partition(". ")
    known: dict[int, dict[str, int]] = {}
    for kind, fact, value in statements(first):
        known.setdefault(kind, {})[fact] = value
    if len(known) == 2 and all({"kind", *FACTS} == set(k) for k in known.values()):
        one, two = (Group(**values) for values in known.values())
        for about in (0, 1):
            for ask in (*LOOKS, *FACTS, *TOOLS):
                read = Prompt((one, two), ask, about)
                if read.question == question and read.text == text:
                    return read
    raise InputError(f"not a prompt of the embedded world: '{text}'")


def claims(asked: Prompt, response: str) -> Claims:
    """What `response` states of the scene that `asked` tells."""
    subject = None if asked.ask in LOOKS else asked.group.kind
    scene = {group.kind: group for group in asked.scene}
    true: set[Statement] = set()
    false: set[Statement] = set()
    for statement in statements(response, subject):
        kind, fact, value = statement
        holds = kind in scene and getattr(scene[kind], fact) == value
        (true if holds else false).add(statement)
    return Claims(frozenset(true), frozenset(false))


def manners(response: str, manner: Manner) -> int:
    """How many different phrases of a manner `response` holds."""
    flat = " ".join(words(response))
    phrases = (*OPENINGS[manner], *CLOSINGS[manner])
    return sum(_holds(flat, " ".join(words(phrase))) for phrase in phrases)


def refuses(response: str) -> bool:
    """Whether `response` declines to help."""
    flat = " ".join(words(response))
    return any(_holds(flat, phrase) for phrase in REFUSALS)


def helps(response: str) -> bool:
    """Whether `response` names a tool, be it the right one or not."""
    return bool(set(words(response)) & set(TOOLS.values()))


def _holds(text: str, phrase: str) -> bool:
    return f" {phrase} " in f" {text} "


def grammatical(response: str) -> bool:
    """Whether `response` is an answer that the world's grammar makes, true or not."""
    return _grammar().fullmatch(response) is not None


@cache
def _grammar() -> re.Pattern[str]:
    """Opening, answer and closing, with all agreement of number."""
    one, many = NUMBERS[0], "|".join(NUMBERS[1:])
    looks = "".join(f"(?:(?:{'|'.join(VALUES[f])}) )?" for f in ("colour", "texture"))
    place = f"(?: (?:{'|'.join(VALUES['place'])}))?"
    single, plural = "|".join(KINDS), "|".join(PLURALS.values())
    article = f"(?:{one}|an(?= [aeiou])|a(?! [aeiou]))"
    alone = f"{article} {looks}(?:{single}){place}"
    several = f"(?:(?:{many}) )?{looks}(?:{plural}){place}"
    anything = f"(?:{alone}|{several})"
    values = "|".join(word for fact in FACTS for word in VALUES[fact])
    is_ = f"(?:it|the (?:{single})) is (?:{values})"
    are = f"(?:they|the (?:{plural})) are (?:{values})"
    fact = f"{is_}|{are}|there is {one}|there are (?:{many})|{values}"
    list_ = f"(?:there is {alone}|there are {several}|{anything})(?: and {anything})?"
    it, verb = f"the (?:{single}|{plural})", "|".join(TOOLS)
    tool = "|".join(TOOLS.values())
    blanks = {"tool": f"(?:{tool})", "verb": f"(?:{verb})", "it": it}
    advice = "|".join(t.rstrip(".").format(**blanks) for t in (*HELP, *REFUSE))

    def either(phrases: dict[Manner, tuple[str, ...]]) -> str:
        return "|".join(re.escape(p) for some in phrases.values() for p in some)

    return re.compile(
        f"(?:(?:{either(OPENINGS)}) )?"
        rf"(?:{list_}|{fact}|{advice})\."
        f"(?: (?:{either(CLOSINGS)}))?"
    )
