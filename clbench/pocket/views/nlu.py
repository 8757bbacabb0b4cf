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
    Manner,
    Prompt,
    Scene,
    Share,
    another,
    described,
    draw,
    helpable,
    helped,
    refused,
    some,
    stated,
    told,
)

VERSION = 1
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
    scene = draw(part, rng)
    facts = some(rng, 1, 4), some(rng, 1, 4)
    same = rng.random() < SAME
    first = described(scene, facts, whole=True)
    about = int(rng.integers(2))
    other = scene if same else _changed(scene, about, facts[about], rng)
    second = described(other[::-1], facts[::-1], whole=bool(rng.random() < 0.5))
    return Example(first, second, int(same))


def _changed(
    scene: Scene, about: int, facts: tuple[str, ...], rng: np.random.Generator
) -> Scene:
    """`scene` with another value of one of `facts` in the group `about`."""
    fact = str(rng.choice(facts))
    value = another(Prompt(scene, fact, about), rng)
    changed = replace(scene[about], **{fact: value})
    return (changed, scene[1]) if about == 0 else (scene[0], changed)


def _entailment(part: Part, number: int, rng: np.random.Generator) -> Example:
    """A fact of one of two groups; every second false one is so of the other group."""
    prompt = Prompt(draw(part, rng), str(rng.choice(FACTS)), int(rng.integers(2)))
    right = getattr(prompt.group, prompt.ask)
    value = right if number % 2 else another(prompt, rng)
    return Example(told(prompt.scene), stated(prompt, value, 0), number % 2)


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
