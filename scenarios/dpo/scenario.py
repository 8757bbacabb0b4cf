"""Cross-domain preference learning: one language model, domain after domain, by DPO.

Rafailov et al. (DPO, NeurIPS 2023) for loss and margins.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Lt
from torch import Tensor, nn

from clbench.assets.need import Need
from clbench.contract import (
    Batch,
    Budget,
    Card,
    Count,
    Experience,
    InputError,
    Layer,
    Metric,
    Positive,
    Recipe,
    Result,
    Scenario,
)
from clbench.data.root import folder
from clbench.matrix import Matrix
from clbench.metrics import stream
from clbench.models.lm import CausalLm, load_lm
from clbench.models.roles import layers
from clbench.pocket.views import dpo as pocket

from . import domains as sources
from . import needs as reads
from . import tiny
from .data import Preferences, Sides
from .domains import Domain
from .judge import Judge, Judged
from .losses import Loss, margins, preference_losses, token_divergence
from .metrics import COMPARED, HEADLINE, MAIN, METRICS, TUNING, score
from .model import PreferenceModel
from .references import Base, sequence_logps
from .tokens import Tokenized, Tokens

LENGTH = 512
"""Tokens of prompt and response, unless the model takes fewer or the user says so."""


class CrossDomainPreferences(Scenario):
    """A language model learns preference domains one after another.

    Args:
        domains: In the order of the stream: domains of the embedded world by name,
            files (*.jsonl, *.jsonl.gz) or folders of them, data sets that `datasets`
            loads as hub:NAME or hub:NAME:SPLIT. None is the embedded world's five.
        root: Folder that paths of `domains` start from.
        order_seed: Shuffles the domains; null leaves them in their order.
        arrival: All domains one after another, or at once (the upper bound).
        backbone: `pocket`, a folder in transformers' format, or a causal language model
            on the hub, such as openai-community/gpt2.
        reference: What the loss measures from: `base`, the model that was named, or
            `previous`, the policy as it was when the experience began. Scores are
            always measured from the base.
        beta: How strongly the policy is held to the reference.
        loss: `sigmoid` is DPO's, `ipo` and `hinge` are variants of it.
        label_smoothing: Chance that a preference is the wrong way round; sigmoid only.
        steps: Optimizer steps on each domain.
        batch_size: Pairs in a step.
        max_length: Tokens of prompt and response; null is 512, or what the model takes.
        train_pairs: Pairs of each domain to learn from at the most; null is all.
        test_pairs: Pairs of each domain that judge at the most; null is all.
        judged_on: `validation` holds pairs out of those to learn from and judges on
            them: for choosing settings, which must never see the test pairs.
        responses: Held-out prompts of each domain that the policy answers, for
            divergence and win rate; 0 leaves these out.
        response_length: Tokens of such an answer at the most.
        cache: Whether the base's log-probabilities and answers are kept in the cache.
        seed: The cell's seed.
    """

    version = 1
    main: ClassVar[Metric] = MAIN
    metrics: ClassVar[tuple[Metric, ...]] = METRICS
    compared: ClassVar[tuple[Metric, ...]] = COMPARED
    replicates = ("order_seed",)
    variants: ClassVar[Mapping[str, tuple[Any, ...]]] = {"arrival": ("joint",)}
    incidental = ("root", "cache")
    tuning = TUNING
    per_example = True

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
        domains: tuple[str, ...] = (),
        root: str | None = None,
        order_seed: int | None = None,
        arrival: Literal["sequential", "joint"] = "sequential",
        backbone: str = "pocket",
        reference: Literal["base", "previous"] = "base",
        beta: Positive = 0.1,
        loss: Loss = "sigmoid",
        label_smoothing: Annotated[float, Ge(0), Lt(0.5)] = 0.0,
        steps: Count = 100,
        batch_size: Count = 16,
        max_length: Annotated[int, Ge(4)] | None = None,
        train_pairs: Count | None = None,
        test_pairs: Count | None = 200,
        judged_on: Literal["test", "validation"] = "test",
        responses: Annotated[int, Ge(0)] = 16,
        response_length: Count = 48,
        cache: bool = True,
        seed: int = 0,
    ) -> None:
        if label_smoothing and loss != "sigmoid":
            raise InputError(
                f"scenario.label_smoothing={label_smoothing} has a meaning with "
                f"scenario.loss=sigmoid, not {loss}"
            )
        self.domains, self.root, self.order_seed = domains, root, order_seed
        self.arrival, self.backbone = arrival, backbone
        # Both names are taken: by a method, and by how boards compare.
        self._loss: Loss = loss
        self._reference = reference
        self.beta, self.label_smoothing = beta, label_smoothing
        self.steps, self.batch_size = steps, batch_size
        self.max_length = max_length
        self.train_pairs, self.test_pairs = train_pairs, test_pairs
        self.judged_on = judged_on
        self.responses, self.response_length = responses, response_length
        self.cache, self.seed = cache, seed
        place = folder(root)
        if place is not None and not place.is_dir():
            raise InputError(f"scenario.root={root}: there is no such folder")
        self._load: Callable[[], CausalLm] = lambda: load_lm(backbone)
        self._read: Callable[[str, str], Domain] = lambda spec, name: sources.read(
            spec,
            name,
            place,
            train_pairs=train_pairs,
            test_pairs=test_pairs,
            validation=judged_on == "validation",
        )
        self._previous: dict[int, Tensor] = {}
        self._follow(domains or pocket.DOMAINS)

    def _follow(self, specs: Sequence[str]) -> None:
        """State order, budget and recipe of the stream of `specs`."""
        order = list(range(len(specs)))
        if self.order_seed is not None:
            order = np.random.default_rng(self.order_seed).permutation(order).tolist()
        self._specs = tuple(specs[number] for number in order)
        self._order = sources.names(self._specs)
        self.budget = Budget(
            steps=self.steps * len(self._order), batch_size=self.batch_size
        )
        small = self.backbone == "pocket"
        self.recipe = Recipe(
            optimizer="adamw",
            lr=5e-4 if small else 5e-5,
            schedule="cosine",
            warmup=self.steps // 10,
            clip=1.0,
        )

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the domains in the order of arrival."""
        return self._order

    @property
    def zero_shot(self) -> bool:
        """The base answers prompts: it is what wins and divergences are against."""
        return True

    # --- what is learned ---

    def model(self) -> nn.Module:
        """The language model, all of which can be trained."""
        return PreferenceModel(copy.deepcopy(self._lm.model))

    def stream(self) -> Sequence[Experience]:
        """A part for each domain, or one with all of them."""
        everything = tuple(range(len(self._order)))
        parts = [everything]
        if self.arrival == "sequential":
            parts = [(number,) for number in everything]
        return [
            Experience(
                index=index,
                name="+".join(self._order[number] for number in numbers),
                tasks=tuple(self._order[number] for number in numbers),
                train=Preferences(
                    [self._train[number] for number in numbers],
                    numbers,
                    self._reference_of,
                    batch=self.batch_size,
                    length=max(int(part.lengths.max()) for part in self._train),
                ),
                steps=self.budget.steps // len(parts),
            )
            for index, numbers in enumerate(parts)
        ]

    def begin(self, model: nn.Module, experience: Experience) -> None:
        """Have the reference's log-probabilities of the pairs that are learned now."""
        assert isinstance(model, PreferenceModel)
        self._base.device = next(model.parameters()).device
        numbers = [self._order.index(name) for name in experience.tasks]
        if self._reference == "base":
            for number in numbers:
                self._reference_of(number)
            return
        was = model.training
        model.eval()
        for number in numbers:
            self._previous[number] = sequence_logps(model, self._train[number])
        model.train(was)

    def state(self) -> dict[str, Any]:
        """Log-probabilities under the policy as it was when experiences began."""
        return {"previous": dict(self._previous)}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take them back."""
        self._previous = dict(state["previous"])

    def loss(self, output: Mapping[str, Tensor], batch: Batch) -> Tensor:
        """Mean loss of the pairs."""
        return preference_losses(
            self.merit(output, batch),
            self._loss,
            beta=self.beta,
            smoothing=self.label_smoothing,
        ).mean()

    def merit(self, output: Mapping[str, Tensor], batch: Batch) -> Tensor:
        """(B,) DPO's margin."""
        return margins(output["logp"], batch["reference"], self.beta)

    def distance(
        self, new: Mapping[str, Tensor], old: Mapping[str, Tensor], batch: Batch
    ) -> Tensor:
        """Mean KL(old || new) of the next token, over the tokens of all responses."""
        counts = new["counts"]
        each = token_divergence(new["logits"], old["logits"])
        return (each * counts).sum() / counts.sum()

    def adaptable(self, model: nn.Module) -> Iterator[Layer]:
        """The linear maps of the language model's blocks."""
        assert isinstance(model, PreferenceModel)
        yield from layers(model.lm, "lm")

    def heads(self, model: nn.Module) -> Iterator[nn.Parameter]:
        """None: words are classes."""
        yield from ()

    # --- how it is judged ---

    def evaluate(self, model: nn.Module, upto: int) -> dict[str, Result]:
        """Every domain's held-out pairs, and answers to their prompts."""
        assert isinstance(model, PreferenceModel)
        self._base.device = next(model.parameters()).device
        return self._judge.row(model, upto)

    def card(self) -> Card:
        """Data, base and what tokenizing did; reads the data and the base."""
        by_name = sorted(self._domains, key=lambda domain: domain.name)
        content = "".join(f"{d.name}:{d.fingerprint}/" for d in by_name)
        embedded = all(spec in pocket.DOMAINS for spec in self._specs)
        return Card(
            data="pocket" if embedded else "+".join(d.name for d in by_name),
            fingerprint=hashlib.sha256(content.encode()).hexdigest(),
            backbone=self.backbone,
            details={
                "order": list(self._order),
                "reference": self._reference,
                "base": self._base.hash,
                "adapters merged": self._lm.merged,
                "loss": self._loss,
                "beta": self.beta,
                "max length": self._length,
                "learned from": _sizes(self._order, self._train),
                "judged on": _sizes(self._order, self._test),
                "left out": {d.name: dict(d.dropped) for d in self._domains},
                "tokenized": dict(self._tokenized.counts),
                "exact judge": [d.name for d in self._domains if d.wins is not None],
                "selection": "last step",
            },
        )

    @classmethod
    def headline(cls, task: str) -> Metric:
        """Preference accuracy."""
        return HEADLINE

    @classmethod
    def scores(cls, matrix: Matrix, params: Mapping[str, Any]) -> dict[str, float]:
        """Accuracy, forgetting and transfer; margins and the like at the end."""
        return score(matrix)

    @classmethod
    def against(cls, matrix: Matrix, bound: Matrix) -> dict[str, float]:
        """Intransigence, of a sequence beside joint training."""
        return stream.beside_joint(matrix, bound, "accuracy")

    @classmethod
    def toy(cls) -> CrossDomainPreferences:
        """Three domains of a few words, a Llama of one block of width 16."""
        toy = cls(steps=4, batch_size=4, responses=2, response_length=6, cache=False)
        toy._load, toy._read = tiny.lm, tiny.domain
        toy._follow(tuple(tiny.DOMAINS))
        return toy

    # --- what is read once ---

    @cached_property
    def _lm(self) -> CausalLm:
        return self._load()

    @cached_property
    def _base(self) -> Base:
        return Base(
            lambda: PreferenceModel(copy.deepcopy(self._lm.model)), cache=self.cache
        )

    def _reference_of(self, number: int) -> Tensor:
        """(N, 2) of the training pairs of one domain, under the reference."""
        if number in self._previous:
            return self._previous[number]
        return self._base.logps(self._train[number])

    @cached_property
    def _length(self) -> int:
        most = self._lm.context
        if self.max_length is None:
            return min(LENGTH, most or LENGTH)
        if most is not None and self.max_length > most:
            raise InputError(
                f"scenario.max_length={self.max_length}: {self.backbone} takes {most} "
                f"tokens at the most"
            )
        return self.max_length

    @cached_property
    def _domains(self) -> tuple[Domain, ...]:
        pairs = zip(self._specs, self._order, strict=True)
        return tuple(self._read(spec, name) for spec, name in pairs)

    @cached_property
    def _tokenized(self) -> Sides:
        make = Tokenized(self._lm, self._length)
        return Sides.of(self._domains, make, prompts=self.responses)

    @property
    def _train(self) -> tuple[Tokens, ...]:
        return self._tokenized.train

    @property
    def _test(self) -> tuple[Tokens, ...]:
        return self._tokenized.test

    @cached_property
    def _judge(self) -> Judge:
        sides = self._tokenized
        judged = [
            Judged(domain.name, tokens, prompts, domain.wins)
            for domain, tokens, prompts in zip(
                self._domains, sides.test, sides.prompts, strict=True
            )
        ]
        return Judge(
            judged,
            self._base,
            self._lm,
            beta=self.beta,
            most=min(self.response_length, self._length - 1),
            length=self._length,
        )


def _sizes(names: Sequence[str], parts: Sequence[Tokens]) -> dict[str, int]:
    return {name: len(part) for name, part in zip(names, parts, strict=True)}
