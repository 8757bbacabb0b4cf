"""Continual learning of text tasks: one encoder, a head and a metric for each task."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import nn

from clbench.assets.need import Need
from clbench.classification import Classification
from clbench.contract import (
    Budget,
    Card,
    Count,
    Experience,
    Fraction,
    InputError,
    Layer,
    Metric,
    Recipe,
    Result,
    Scenario,
)
from clbench.data.root import folder
from clbench.matrix import Matrix
from clbench.metrics import stream
from clbench.models.encoder import Encoder, load_encoder
from clbench.models.roles import layers
from clbench.pocket.views import nlu as pocket
from clbench.seeding import derive

from . import glue, tiny
from . import needs as reads
from .data import TaskTexts
from .judge import judge
from .metrics import COMPARED, MAIN, METRICS, TUNING, score
from .model import TextClassifier
from .parts import Part, Texts, Tokens, tokenize
from .tasks import HEADLINES, NUMBERS, TASKS, Dataset, check_tasks, names_of

STEPS: dict[Dataset, int] = {"pocket": 150, "glue": 500}
"""Optimizer steps on each task."""

LONGEST = 128
"""Tokens of a text, or of a pair, at the most."""


class TextTasks(Classification, Scenario):
    """An encoder learns to answer questions about texts.

    Args:
        dataset: The embedded world's tasks, or GLUE's format in `root`; null is glue
            where a root is given.
        root: Folder with CoLA, SST-2, MRPC and RTE, each with train.tsv and dev.tsv.
        tasks: Names in the order of the stream: cola, sst2, mrpc, rte, or of the
            embedded world order, manner, paraphrase, entailment; empty is all four.
        order_seed: Shuffles the tasks; null leaves them in the order given.
        arrival: All tasks one after another, or at once (the upper bound).
        backbone: `pocket`, a folder in transformers' format, or an encoder on the hub,
            such as microsoft/deberta-v3-base.
        max_length: Tokens at which texts are cut; null is 128, or fewer where the
            encoder takes fewer.
        steps_per_task: Optimizer steps on each task; null is 150 on the embedded world
            and 500 on GLUE.
        batch_size: Texts in a step.
        dropout: Of what heads read; null is 0 on the pocket encoder, else 0.1. An
            encoder's own is as its configuration has it.
        judged_on: `validation` holds a fifth of the training texts out and judges on
            those: for choosing settings, which must never see the texts that judge.
        seed: The cell's seed.
    """

    version = 2
    per_example = True
    main: ClassVar[Metric] = MAIN
    metrics: ClassVar[tuple[Metric, ...]] = METRICS
    compared: ClassVar[tuple[Metric, ...]] = COMPARED
    replicates = ("order_seed",)
    variants: ClassVar[Mapping[str, tuple[Any, ...]]] = {"arrival": ("joint",)}
    incidental = ("root",)
    tuning = TUNING

    @classmethod
    def sources(cls) -> Sequence[Need]:
        """Data sets that are known to it, wherever they lie."""
        return reads.SOURCES

    @classmethod
    def needs(cls, params: Mapping[str, Any]) -> Sequence[Need]:
        """What its data and its backbone are read from."""
        return reads.needs(params)

    def __init__(
        self,
        *,
        dataset: Dataset | None = None,
        root: str | None = None,
        tasks: tuple[str, ...] = (),
        order_seed: int | None = None,
        arrival: Literal["sequential", "joint"] = "sequential",
        backbone: str = "pocket",
        max_length: Count | None = None,
        steps_per_task: Count | None = None,
        batch_size: Count = 32,
        dropout: Fraction | None = None,
        judged_on: Literal["test", "validation"] = "test",
        seed: int = 0,
    ) -> None:
        known: Dataset = dataset or ("pocket" if root is None else "glue")
        if known == "glue" and root is None:
            raise InputError(
                "scenario.dataset=glue needs scenario.root=DIR, a folder with CoLA, "
                "SST-2, MRPC and RTE"
            )
        place = folder(root)
        if place is not None and not place.is_dir():
            raise InputError(f"scenario.root={root}: there is no such folder")
        check_tasks(tasks, known)
        self.dataset, self.root, self.order_seed = dataset, root, order_seed
        self.arrival, self.backbone = arrival, backbone
        self.max_length, self.judged_on = max_length, judged_on
        self.steps_per_task, self.batch_size = steps_per_task, batch_size
        self.dropout = dropout if dropout is not None else 0.1 * (backbone != "pocket")
        self.seed = seed
        self._data = known
        self._load: Callable[[], Encoder] = lambda: load_encoder(backbone)
        self._read: Callable[[str], Texts] = lambda name: (
            _pocket(name) if place is None else glue.read(name, place)
        )
        self._follow(tasks or names_of(known))

    def _follow(self, tasks: Sequence[str]) -> None:
        """State order, budget and recipe for `tasks`."""
        self._order = tuple(tasks)
        if self.order_seed is not None:
            rng = np.random.default_rng(self.order_seed)
            self._order = tuple(rng.permutation(tasks).tolist())
        steps = self.steps_per_task or STEPS[self._data]
        self.budget = Budget(steps=steps * len(self._order), batch_size=self.batch_size)
        self.recipe = Recipe(
            optimizer="adamw",
            lr=1e-3 if self.backbone == "pocket" else 2e-5,
            weight_decay=0.01,
            schedule="cosine",
            warmup=steps // 10,
            clip=1.0,
        )

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks in the order of arrival."""
        return self._order

    # --- what is learned ---

    def model(self) -> nn.Module:
        """The encoder, and heads drawn from the seed."""
        encoder = Encoder(copy.deepcopy(self._encoder.model), self._encoder.tokenizer)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive(self.seed, "heads"))
            return TextClassifier(
                encoder,
                {name: len(TASKS[name].labels) for name in self._order},
                dropout=self.dropout,
            )

    def stream(self) -> Sequence[Experience]:
        """A part for each task, or one with all of them."""
        everything = tuple(range(len(self._order)))
        parts = [everything]
        if self.arrival == "sequential":
            parts = [(number,) for number in everything]
        return [
            Experience(
                index=index,
                name="+".join(self._order[number] for number in numbers),
                tasks=tuple(self._order[number] for number in numbers),
                train=TaskTexts(
                    [self._tokens[self._order[number]][0] for number in numbers],
                    numbers,
                    batch=self.batch_size,
                ),
                steps=self.budget.steps // len(parts),
            )
            for index, numbers in enumerate(parts)
        ]

    def adaptable(self, model: nn.Module) -> Iterator[Layer]:
        """The encoder's linear maps."""
        assert isinstance(model, TextClassifier)
        yield from layers(model.encoder, "encoder")

    def heads(self, model: nn.Module) -> Iterator[nn.Parameter]:
        """The heads of all tasks."""
        assert isinstance(model, TextClassifier)
        yield from model.heads.parameters()

    # --- how it is judged ---

    def evaluate(self, model: nn.Module, upto: int) -> dict[str, Result]:
        """Every task on the texts that judge; of GLUE those of dev.tsv."""
        return judge(model, {name: self._tokens[name][1] for name in self._order})

    def card(self) -> Card:
        """Data, order and lengths; reads the data."""
        parts = sorted(self._texts.items())
        content = "".join(
            f"{name}:{texts.train.fingerprint}:{texts.test.fingerprint}/"
            for name, texts in parts
        )
        return Card(
            data=self._data,
            fingerprint=hashlib.sha256(content.encode()).hexdigest(),
            backbone=self.backbone,
            details={
                "order": list(self._order),
                "numbers": {n: list(NUMBERS[TASKS[n].form]) for n in self._order},
                "learned from": {n: len(texts.train) for n, texts in parts},
                "judged on": {n: len(texts.test) for n, texts in parts},
                "tokens": self._longest,
                "cut": {
                    n: [part.cut for part in both]
                    for n, both in sorted(self._tokens.items())
                },
                "selection": "last step",
            },
        )

    @classmethod
    def headline(cls, task: str) -> Metric:
        """GLUE's number for the task."""
        return HEADLINES[TASKS[task].form]

    @classmethod
    def scores(cls, matrix: Matrix, params: Mapping[str, Any]) -> dict[str, float]:
        """GLUE's average, each task's own numbers, forgetting and calibration."""
        return score(matrix)

    @classmethod
    def against(cls, matrix: Matrix, bound: Matrix) -> dict[str, float]:
        """Intransigence, of a sequence beside joint training."""
        return stream.beside_joint(matrix, bound, "score")

    @classmethod
    def toy(cls) -> TextTasks:
        """Three tasks of a few words, a BERT of one block of width 16."""
        toy = cls(steps_per_task=4, batch_size=6)
        toy._load, toy._read = tiny.encoder, tiny.texts
        toy._follow(tiny.TASKS)
        return toy

    # --- what is read once ---

    @cached_property
    def _encoder(self) -> Encoder:
        return self._load()

    @cached_property
    def _texts(self) -> dict[str, Texts]:
        read = {name: self._read(name) for name in self._order}
        if self.judged_on == "validation":
            return {name: texts.held_out() for name, texts in read.items()}
        return read

    @property
    def _longest(self) -> int:
        return min(self.max_length or LONGEST, self._encoder.context)

    @cached_property
    def _tokens(self) -> dict[str, tuple[Tokens, Tokens]]:
        parts = [part for t in self._texts.values() for part in (t.train, t.test)]
        made = iter(tokenize(parts, self._encoder, self._longest))
        return {name: (next(made), next(made)) for name in self._texts}


def _pocket(name: str) -> Texts:
    """A task of the embedded world."""
    parts: tuple[pocket.Part, ...] = ("train", "test")
    train, test = (_part(pocket.examples(name, part)) for part in parts)
    return Texts(train, test)


def _part(examples: Sequence[pocket.Example]) -> Part:
    second = tuple(e.second for e in examples if e.second is not None)
    labels = np.array([e.label for e in examples], dtype=np.int64)
    return Part(tuple(e.first for e in examples), second or None, labels)
