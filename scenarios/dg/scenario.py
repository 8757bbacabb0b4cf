"""Leave one domain out, by DomainBed's protocol."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any, Literal

import torch
from annotated_types import Interval
from torch import Tensor, nn

from clbench.assets.need import Need
from clbench.classification import Classification
from clbench.contract import (
    Batch,
    Budget,
    Card,
    Count,
    Experience,
    InputError,
    Layer,
    Recipe,
    Result,
    Scenario,
    nearest,
)
from clbench.matrix import Matrix
from clbench.models.roles import layers
from clbench.models.vision import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    ImageBackbone,
    image_backbone,
)
from clbench.seeding import derive

from . import datasets, selection, tiny
from . import needs as reads
from .data import Classifier, Sources
from .judge import judge
from .metrics import MAIN, METRICS, score
from .splits import Split, split

Dataset = Literal[
    "pocket", "folder", "pacs", "vlcs", "officehome", "terraincognita", "domainnet"
]

POCKET_STEPS, POCKET_EVERY, POCKET_BATCH = 300, 50, 16
BATCH = 32


class DomainGeneralization(Classification, Scenario):
    """Learn on all domains but one; be judged on that one, which training never sees.

    Defaults depend on the dataset: the embedded world is sized for two cores, real data
    follow DomainBed's protocol as PEGO trains it.

    Args:
        dataset: The embedded world, a published dataset, or any folder of
            domain/class/images.
        root: Folder of the data; not needed for the embedded world.
        target: The domain that is left out; `all` is one cell for each.
        arrival: `joint` trains on all sources at once, `sequential` on one after
            another.
        backbone: `pocket`, which ships with clbench and sees 32 x 32 pixels; a model of
            timm; a CLIP of transformers, such as openai/clip-vit-base-patch16; or a
            folder that holds one. Published protocols name theirs.
        steps: Optimizer steps; null is 300 for the embedded world, 15001 for DomainNet,
            else 5001.
        batch_per_domain: Examples of each source in a minibatch; null is 16 for the
            embedded world, else 32.
        evaluate_every: Steps between evaluations, among which one is selected; null is
            50 for the embedded world, 1000 for DomainNet, else 200.
        holdout: Part of each domain that is held out of training to select a model.
        augment: Whether training images are varied as in DomainBed; null does so for
            real data only.
        statistics: What pixels are normalised with: ImageNet's statistics, as PEGO's
            code has it, or the backbone's own; null is the backbone's for the embedded
            world and for the backbone `pocket`, else ImageNet's.
        image_size: Pixels on a side; null is the backbone's. Position embeddings of
            transformers are interpolated to it.
        cache: Whether decoded images are kept in the cache.
    """

    version = 1
    main = MAIN
    metrics = METRICS
    folds = "target"
    incidental = ("root", "cache")
    tuning = selection.TUNING
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
        dataset: Dataset = "pocket",
        root: str | None = None,
        target: str = "all",
        arrival: Literal["joint", "sequential"] = "joint",
        backbone: str = "pocket",
        steps: Count | None = None,
        batch_per_domain: Count | None = None,
        evaluate_every: Count | None = None,
        holdout: Annotated[float, Interval(gt=0, lt=1)] = 0.2,
        augment: bool | None = None,
        statistics: Literal["imagenet", "backbone"] | None = None,
        image_size: Count | None = None,
        cache: bool = True,
        seed: int = 0,
    ) -> None:
        embedded = dataset == "pocket"
        preset = datasets.PRESETS.get(dataset, datasets.PRESETS["pacs"])
        self.dataset, self.root = dataset, root
        self.target, self.arrival = target, arrival
        self.backbone = backbone
        own = embedded or backbone == "pocket"
        self.statistics = statistics or ("backbone" if own else "imagenet")
        self.augment = (not embedded) if augment is None else augment
        self.holdout, self.image_size, self.cache = holdout, image_size, cache
        self.seed = seed
        self.steps = steps or (POCKET_STEPS if embedded else preset.steps)
        self.batch_per_domain = batch_per_domain or (
            POCKET_BATCH if embedded else BATCH
        )
        self.evaluate_every = evaluate_every or (
            POCKET_EVERY if embedded else preset.evaluate_every
        )
        names = datasets.domain_names(dataset, root)
        if target not in names:
            raise InputError(_unknown(target, dataset, names))
        if arrival == "sequential" and self.steps < len(names) - 1:
            raise InputError(
                f"scenario.steps={self.steps}: {len(names) - 1} sources one after "
                f"another need at least {len(names) - 1} steps"
            )
        self._build: Callable[[], ImageBackbone] = lambda: image_backbone(
            backbone, image_size=image_size
        )
        self._read: Callable[[int], dict[str, datasets.Domain]] = lambda size: (
            datasets.read(dataset, root, size=size, cache=cache)
        )
        self._begin(names, datasets.class_names(dataset, root))

    def _begin(self, names: Sequence[str], classes: Sequence[str]) -> None:
        """State budget and recipe for domains `names` and `classes`."""
        self.domains, self.classes = tuple(names), tuple(classes)
        self.budget = Budget(
            steps=self.steps,
            batch_size=self.batch_per_domain * len(self.tasks),
            evaluate_every=self.evaluate_every,
        )
        self.recipe = Recipe(optimizer="adam", lr=5e-4)

    @classmethod
    def fold_values(cls, params: Mapping[str, Any]) -> Sequence[str]:
        """Every domain of the data that `params` name."""
        return datasets.domain_names(params["dataset"], params["root"])

    @property
    def tasks(self) -> tuple[str, ...]:
        """The sources: every domain but the target."""
        return tuple(name for name in self.domains if name != self.target)

    # --- what is learned ---

    def model(self) -> nn.Module:
        """Backbone, normalisation, and a linear head drawn from the seed."""
        backbone = self._backbone
        own = self.statistics == "backbone"
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive(self.seed, "head"))
            return Classifier(
                copy.deepcopy(backbone),
                classes=len(self.classes),
                mean=backbone.mean if own else IMAGENET_MEAN,
                std=backbone.std if own else IMAGENET_STD,
            )

    def stream(self) -> Sequence[Experience]:
        """One part with all sources, or one part for each of them."""
        parts = [self.tasks]
        if self.arrival == "sequential":
            parts = [(name,) for name in self.tasks]
        each, rest = divmod(self.steps, len(parts))
        shares = [each + (index < rest) for index in range(len(parts))]
        return [
            Experience(
                index=index,
                name="+".join(names),
                tasks=tuple(names),
                train=self._sources(names),
                steps=share,
            )
            for index, (names, share) in enumerate(zip(parts, shares, strict=True))
        ]

    def _sources(self, names: Sequence[str]) -> Sources:
        return Sources(
            [self._domains[name] for name in names],
            [self._splits[name].train for name in names],
            [self.tasks.index(name) for name in names],
            batch=self.budget.batch_size,
            vary=self.augment,
        )

    def losses(self, output: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Each source's share of the loss."""
        each = nn.functional.cross_entropy(output, batch["label"], reduction="none")
        return {
            self.tasks[number]: each[batch["domain"] == number].sum() / len(each)
            for number in batch["domain"].unique().tolist()
        }

    @property
    def shares_steps(self) -> bool:
        """Where all sources are learned at once."""
        return self.arrival == "joint" and len(self.tasks) > 1

    def adaptable(self, model: nn.Module) -> Iterator[Layer]:
        """The backbone's linear maps."""
        assert isinstance(model, Classifier)
        yield from layers(model.backbone, "backbone")

    def heads(self, model: nn.Module) -> Iterator[nn.Parameter]:
        """The classifier's linear head."""
        assert isinstance(model, Classifier)
        yield from model.head.parameters()

    # --- how it is judged ---

    def evaluate(self, model: nn.Module, upto: int) -> dict[str, Result]:
        """Sources on their held-out part, the target on both of its parts.

        `accuracy` is what is reported (a source's held-out part, the target's training
        part), `holdout` what selects.
        """
        row = {}
        for name, domain in self._domains.items():
            part = self._splits[name]
            source = name != self.target
            row[name] = judge(
                model,
                domain,
                reported=part.holdout if source else part.train,
                holdout=part.holdout,
                number=self.tasks.index(name) if source else None,
            )
        return row

    def card(self) -> Card:
        """Data, fingerprint and backbone; reads the data."""
        content = "".join(f"{n}:{d.fingerprint}/" for n, d in self._domains.items())
        content += "/".join(self.classes)
        return Card(
            data=self.dataset,
            fingerprint=hashlib.sha256(content.encode()).hexdigest(),
            backbone=self.backbone,
            details={
                "target": self.target,
                "classes": len(self.classes),
                "examples": {n: len(d.labels) for n, d in self._domains.items()},
                "held out": {n: len(p.holdout) for n, p in self._splits.items()},
                "selection": selection.VALIDATION.name,
            },
        )

    @classmethod
    def scores(cls, matrix: Matrix, params: Mapping[str, Any]) -> dict[str, float]:
        """Target and source accuracy at the row that a rule selects."""
        return score(matrix, params["target"])

    @classmethod
    def toy(cls) -> DomainGeneralization:
        """Three domains of coloured squares, a timm ViT of one block of width 32."""
        toy = cls(
            target="photo", steps=4, batch_per_domain=4, evaluate_every=2, cache=False
        )
        toy.target = "blue"
        toy._build, toy._read = tiny.backbone, tiny.domains
        toy._begin(tiny.DOMAINS, tiny.CLASSES)
        return toy

    # --- what is read once ---

    @cached_property
    def _backbone(self) -> ImageBackbone:
        return self._build()

    @cached_property
    def _domains(self) -> dict[str, datasets.Domain]:
        return self._read(self.image_size or self._backbone.image_size)

    @cached_property
    def _splits(self) -> dict[str, Split]:
        found = {
            name: split(
                len(domain.labels), self.holdout, trial=self.seed, domain=number
            )
            for number, (name, domain) in enumerate(self._domains.items())
        }
        for name, part in found.items():
            if not (len(part.train) and len(part.holdout)):
                raise InputError(
                    f"scenario.holdout={self.holdout}: of the "
                    f"{len(part.train) + len(part.holdout)} images of '{name}' "
                    f"{len(part.holdout)} would be held out; some must be, and some not"
                )
        return found


def _unknown(target: str, dataset: str, names: Sequence[str]) -> str:
    """One line about a target that is no domain; `all` is for the command line."""
    known = f"the domains are {', '.join(names)}, and 'all' is one cell for each"
    if target == "all":
        return f"scenario.target=all is no single domain: {known}"
    return (
        f"scenario.target={target} is no domain of {dataset}{nearest(target, names)} "
        f"({known})"
    )
