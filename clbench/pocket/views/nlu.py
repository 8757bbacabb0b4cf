"""The world as questions about texts, in the four forms that GLUE's tasks have.

`order` mirrors CoLA: is this sentence well formed? `manner` SST-2: is this polite or
rude? `paraphrase` MRPC: do two descriptions say the same? `entailment` RTE: does the
second text follow from the first? The world's grammar and its scenes know every answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

import numpy as np

from clbench.pocket import reading
from clbench.pocket.scene import generator
from clbench.pocket.texts import (
    CLOSINGS,
    FACTS,
    FORMS,
    OPENINGS,
    TOOLS,
    Facts,
    Manner,
    Prompt,
    Scene,
    Share,
    another,
    described,
    draw,
    fewer,
    helpable,
    helped,
    refused,
    some,
    stated,
)

VERSION = 2
"""Raised whenever a word could change."""

COUNTS: dict[str, int] = {"train": 600, "test": 300}
"""Examples of each task."""

SAME = 2 / 3
"""Part of the pairs of `paraphrase` that say the same, as in MRPC."""

UNSEEN = 1
"""Phrases of every kind of manner that are in no training text."""

Part = Literal["train", "test"]


@dataclass(frozen=True)
class Example:
    """A text, or two, and the position of the answer among the task's labels."""

    first: str
    second: str | None
    label: int


def answer(part: Share, rng: np.random.Generator) -> str:
    """One sentence on a scene: a description, a fact, help or a refusal."""
    scene = draw(part, rng)
    sort = rng.integers(3)
    if sort == 0:
        facts = some(rng, 1, 4), some(rng, 1, 4)
        return described(scene, facts, whole=bool(rng.random() < 0.5))
    if sort == 1:
        prompt = Prompt(scene, str(rng.choice(FACTS)), int(rng.integers(2)))
        # Whole sentences: a value by itself has no order.
        form = int(rng.integers(FORMS - 1))
        return stated(prompt, getattr(prompt.group, prompt.ask), form)
    prompt = Prompt(scene, str(rng.choice(list(TOOLS))), helpable(scene, rng))
    reply = helped if rng.random() < 0.5 else refused
    return reply(prompt, int(rng.integers(FORMS)))


def _order(part: Part, number: int, rng: np.random.Generator) -> Example:
    """Every other sentence has two neighbouring words exchanged, and no parse."""
    while True:
        text = answer(part, rng)
        if number % 2:
            return Example(text, None, 1)
        words = text.rstrip(".").split()
        places = rng.permutation(len(words) - 1).tolist()
        for i in places:
            swapped = [*words[:i], words[i + 1], words[i], *words[i + 2 :]]
            broken = f"{' '.join(swapped)}."
            if not reading.grammatical(broken):
                return Example(broken, None, 0)


def _manner(part: Part, number: int, rng: np.random.Generator) -> Example:
    """One phrase in every three is in no training text, only among those that judge."""
    manner: Manner = "polite" if number % 2 else "rude"
    text = answer(part, rng)
    where = rng.integers(3)

    def phrase(known: tuple[str, ...]) -> str:
        return str(rng.choice(known[: -UNSEEN if part == "train" else None]))

    if where != 1:
        text = f"{phrase(OPENINGS[manner])} {text}"
    if where != 0:
        text = f"{text} {phrase(CLOSINGS[manner])}"
    return Example(text, None, number % 2)


def _paraphrase(part: Part, number: int, rng: np.random.Generator) -> Example:
    """The second description names the things in the other order; a third errs."""
    facts = some(rng, 1, 4), some(rng, 1, 4)
    return _pair(draw(part, rng), facts, facts, bool(rng.random() < SAME), rng)


def _entailment(part: Part, number: int, rng: np.random.Generator) -> Example:
    """The second says less, half of the time of one thing alone; every other errs."""
    facts = some(rng, 2, 4), some(rng, 2, 4)
    one, two = fewer(facts, rng)
    left_out = int(rng.integers(4))
    less = () if left_out == 0 else one, () if left_out == 1 else two
    return _pair(draw(part, rng), facts, less, bool(number % 2), rng)


def _pair(
    scene: Scene, first: Facts, second: Facts, right: bool, rng: np.random.Generator
) -> Example:
    """Two descriptions, the second in the other order and silent of what has no facts.

    One that is not right errs in one of the facts that it mentions. Every other wrong
    value is that of the other group: its word is in the first description, and only
    what it is said of gives it away.
    """
    seen = list(scene)
    if not right:
        places = [(n, fact) for n, facts in enumerate(second) for fact in facts]
        about, fact = places[rng.integers(len(places))]
        value = another(Prompt(scene, fact, about), rng)
        seen[about] = replace(scene[about], **{fact: value})
    said = [(group, facts) for group, facts in zip(seen, second, strict=True) if facts]
    groups, known = zip(*said[::-1], strict=True)
    whole = bool(rng.random() < 0.5)
    return Example(
        described(scene, first, whole=True),
        described(groups, known, whole=whole),
        int(right),
    )


@dataclass(frozen=True)
class Task:
    """One question about texts.

    Attributes:
        labels: Names of its answers, in the order of their positions.
        make: Part, number and generator -> an example.
    """

    labels: tuple[str, str]
    make: Callable[[Part, int, np.random.Generator], Example]


TASKS: dict[str, Task] = {
    "order": Task(("broken", "well formed"), _order),
    "manner": Task(("rude", "polite"), _manner),
    "paraphrase": Task(("different", "same"), _paraphrase),
    "entailment": Task(("does not follow", "follows"), _entailment),
}
"""The tasks, in the order of the default stream."""


@cache
def examples(task: str, part: Part, *, seed: int = 0) -> tuple[Example, ...]:
    """The examples of one task; no two are alike, and none that judges is learned from.

    Args:
        task: One of `TASKS`.
        part: What is learned from, or what judges.
        seed: Seed 0 is the benchmark.
    """
    known: set[tuple[str, str | None]] = set()
    if part == "test":
        known.update(map(_words, examples(task, "train", seed=seed)))
    rng = generator("nlu", VERSION, task, part, seed)
    made: list[Example] = []
    while len(made) < COUNTS[part]:
        example = TASKS[task].make(part, len(made), rng)
        if _words(example) not in known:
            known.add(_words(example))
            made.append(example)
    return tuple(made)


def _words(example: Example) -> tuple[str, str | None]:
    return example.first, example.second
