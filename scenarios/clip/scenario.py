"""Continual learning of a CLIP: task after task, every task scored at every stage.

Zheng et al. (ZSCL, ICCV 2023) for MTIL, Xu et al. (RAIL, NeurIPS 2024) for X-TAIL.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn

from clbench.assets.need import Need
from clbench.contract import (
    Batch,
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
from clbench.models.clip import Clip, load_clip
from clbench.models.roles import layers

from . import needs as reads
from . import protocol, tiny
from .judge import Judge
from .losses import image_loss, text_loss
from .metrics import COMPARED, MAIN, METRICS, TUNING, score
from .model import ClipClassifier
from .parts import Images, held_out
from .protocol import Labels, Objective, Protocol, TaskSpec
from .sources import read
from .tasks import Pairs, Task, task

Dataset = Literal["pocket", "mtil", "mtil-fewshot", "xtail", "folder"]


class ContinualClip(Scenario):
    """A CLIP learns classification tasks one after another.

    Args:
        dataset: Protocol: the embedded world, `mtil`, `mtil-fewshot`, `xtail`, or any
            stream of folders.
        datasets: With `folder`: names of folders in `root`, in the order of the stream.
        root: Folder of the data.
        order: Named order of the protocol; None is its first.
        order_seed: Shuffles the tasks; None leaves them in the named order.
        arrival: All tasks one after another, or at once (the upper bound).
        backbone: `pocket`, a folder in transformers' format, or a CLIP on the hub, such
            as openai/clip-vit-base-patch16.
        objective: `image` is the images' cross-entropy; `symmetric` adds the texts', as
            CoDyRA's code has it; `balanced` weighs texts alike. None is the protocol's.
        labels: `own` scores a task among its own classes, `union` among those of all
            tasks. None is the protocol's.
        label_smoothing: Of the images' cross-entropy; None is the protocol's.
        judged_on: `validation` holds a fifth of the training images out and judges on
            those: for choosing settings, which must never see the test images.
        shots: Training images of each class, drawn by the seed; None is the protocol's.
        steps_per_task: Optimizer steps on each task; None is the protocol's.
        batch_size: Images in a step; None is the protocol's.
        augment: Whether training images are cropped at random; None does so on real
            data.
        cache: Whether decoded pictures and features are kept in the cache.
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

    @classmethod
    def sources(cls) -> Sequence[Need]:
        """Data sets that are known to it, wherever they lie."""
        return reads.sources()

    @classmethod
    def needs(cls, params: Mapping[str, Any]) -> Sequence[Need]:
        """What its data and its backbone are read from."""
        return reads.needs(params)

    def __init__(
        self,
        *,
        dataset: Dataset = "pocket",
        datasets: tuple[str, ...] = (),
        root: str | None = None,
        order: str | None = None,
        order_seed: int | None = None,
        arrival: Literal["sequential", "joint"] = "sequential",
        backbone: str = "pocket",
        objective: Objective | None = None,
        labels: Labels | None = None,
        label_smoothing: Fraction | None = None,
        judged_on: Literal["test", "validation"] = "test",
        shots: Count | None = None,
        steps_per_task: Count | None = None,
        batch_size: Count | None = None,
        augment: bool | None = None,
        cache: bool = True,
        seed: int = 0,
    ) -> None:
        if datasets and dataset != "folder":
            raise InputError(
                f"scenario.datasets names folders: it needs scenario.dataset=folder, "
                f"not {dataset}"
            )
        stated = (
            protocol.of_folders(datasets)
            if dataset == "folder"
            else protocol.read(dataset)
        )
        self.dataset, self.datasets, self.root = dataset, datasets, root
        self.order, self.order_seed = order, order_seed
        self.arrival, self.backbone = arrival, backbone
        self.objective: Objective = objective or stated.objective
        self.labels: Labels = labels or stated.labels
        self.label_smoothing = (
            stated.label_smoothing if label_smoothing is None else label_smoothing
        )
        self.judged_on = judged_on
        self.shots = shots or stated.shots
        self.steps_per_task = steps_per_task or stated.steps_per_task
        self.batch_size = batch_size or stated.batch_size
        self.augment = dataset != "pocket" if augment is None else augment
        self.cache, self.seed = cache, seed
        self._load: Callable[[], Clip] = lambda: load_clip(backbone)
        place = folder(root)
        if place is not None and not place.is_dir():
            raise InputError(f"scenario.root={root}: there is no such folder")
        self._read: Callable[[str, TaskSpec, int], Images] = lambda name, spec, size: (
            read(name, spec, place, size=size, cache=cache)
        )
        self._follow(stated)

    def _follow(self, stated: Protocol) -> None:
        """State order, budget and recipe of the protocol `stated`."""
        self._protocol = stated
        self._order = stated.order(self.order, self.order_seed)
        self.budget = Budget(
            steps=self.steps_per_task * len(self._order), batch_size=self.batch_size
        )
        real = self.dataset != "pocket"
        self.recipe = Recipe(
            optimizer="adamw",
            lr=1e-5 if real else 1e-4,
            schedule="cosine",
            warmup=min(100, self.steps_per_task // 10) if real else 0,
        )

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks in the order of arrival."""
        return self._order

    @property
    def zero_shot(self) -> bool:
        """Prompts answer before any training."""
        return True

    # --- what is learned ---

    def model(self) -> nn.Module:
        """Both towers and the training prompts of every class."""
        return ClipClassifier(
            copy.deepcopy(self._clip),
            [entry.prompts(entry.templates[:1]) for entry in self._tasks],
            union=self.labels == "union",
        )

    def stream(self) -> Sequence[Experience]:
        """A part for each task, or one with all of them."""
        everything = tuple(range(len(self._order)))
        parts = [everything]
        if self.arrival == "sequential":
            parts = [(number,) for number in everything]
        first = np.cumsum([0, *(len(entry.classes) for entry in self._tasks)])
        return [
            Experience(
                index=index,
                name="+".join(self._order[number] for number in numbers),
                tasks=tuple(self._order[number] for number in numbers),
                train=Pairs(
                    [self._tasks[number] for number in numbers],
                    numbers,
                    [int(first[number]) for number in numbers],
                    batch=self.batch_size,
                    vary=self.augment,
                ),
                steps=self.budget.steps // len(parts),
            )
            for index, numbers in enumerate(parts)
        ]

    def begin(self, model: nn.Module, experience: Experience) -> None:
        """Keep the texts of the classes learned so far, as they are now."""
        assert isinstance(model, ClipClassifier)
        model.begin(experience.index)

    def loss(self, output: Mapping[str, Tensor], batch: Batch) -> Tensor:
        """Cross-entropy of images over classes; of classes over images if wanted."""
        classes, seen = output["classes"], len(output["seen"])
        target = torch.searchsorted(classes, batch["label"])
        loss = image_loss(output["logits"], target, self.label_smoothing)
        if self.objective == "image":
            return loss
        again = int((classes < seen).sum())
        return loss + text_loss(
            output["image"],
            output["text"],
            target,
            output["scale"],
            rows=seen - again + len(classes),
            balanced=self.objective == "balanced",
        )

    def merit(self, output: Mapping[str, Tensor], batch: Batch) -> Tensor:
        """(B,) log-probability of the label."""
        target = torch.searchsorted(output["classes"], batch["label"])
        return -nn.functional.cross_entropy(output["logits"], target, reduction="none")

    def distance(
        self, new: Mapping[str, Tensor], old: Mapping[str, Tensor], batch: Batch
    ) -> Tensor:
        """Kullback-Leibler divergence of the new similarities from the old.

        Of images over the texts of earlier and present classes, and of these texts over
        images, means added: what ZSCL distils on its two sides. Earlier texts are those
        that `new` keeps, in both.
        """

        def similarity(output: Mapping[str, Tensor]) -> Tensor:
            texts = torch.cat([new["seen"], output["text"]])
            return output["scale"] * output["image"] @ texts.T

        one, other = similarity(new), similarity(old)
        return _divergence(one, other) + _divergence(one.T, other.T)

    def adaptable(self, model: nn.Module) -> Iterator[Layer]:
        """The linear maps of both towers' blocks."""
        assert isinstance(model, ClipClassifier)
        yield from layers(model.vision_model, "vision_model")
        yield from layers(model.text_model, "text_model")

    def heads(self, model: nn.Module) -> Iterator[nn.Parameter]:
        """None: classes are texts."""
        yield from ()

    # --- how it is judged ---

    def evaluate(self, model: nn.Module, upto: int) -> dict[str, Result]:
        """Every task's test images, among its own classes or those of all tasks."""
        assert isinstance(model, ClipClassifier)
        return self._judge.row(model, upto)

    def card(self) -> Card:
        """Data, prompts and order; reads the data."""
        content = "".join(f"{t.name}:{t.fingerprint}/" for t in self._in_name_order)
        return Card(
            data=self.dataset,
            fingerprint=hashlib.sha256(content.encode()).hexdigest(),
            backbone=self.backbone,
            details={
                "order": list(self._order),
                "labels": self.labels,
                "objective": self.objective,
                "protocol": f"version {self._protocol.version}",
                "prompts": self._prompts_hash,
                "classes": {t.name: len(t.classes) for t in self._tasks},
                "learned from": {t.name: len(t.rows) for t in self._tasks},
                "judged on": {t.name: len(t.test.labels) for t in self._tasks},
                "drawn": _rows_hash(self._tasks),
            },
        )

    @classmethod
    def scores(cls, matrix: Matrix, params: Mapping[str, Any]) -> dict[str, float]:
        """MTIL's three numbers, forgetting, transfer and calibration."""
        return score(matrix)

    @classmethod
    def against(cls, matrix: Matrix, bound: Matrix) -> dict[str, float]:
        """Intransigence, of a sequence beside joint training."""
        return stream.beside_joint(matrix, bound, "accuracy")

    @classmethod
    def toy(cls) -> ContinualClip:
        """Three tasks of coloured squares, a CLIP of one narrow block in each tower."""
        toy = cls(steps_per_task=4, batch_size=6, cache=False)
        toy._load = tiny.clip
        toy._read = tiny.images
        toy._follow(tiny.PROTOCOL)
        return toy

    # --- what is read once ---

    @cached_property
    def _clip(self) -> Clip:
        return self._load()

    @cached_property
    def _tasks(self) -> tuple[Task, ...]:
        size = self._clip.image_size
        specs = self._protocol.tasks
        made = []
        for name in self._order:
            images = self._read(name, specs[name], size)
            if self.judged_on == "validation":
                images = held_out(images)
            made.append(task(name, specs[name], images, self.shots, self.seed))
        return tuple(made)

    @cached_property
    def _judge(self) -> Judge:
        return Judge(
            self._tasks,
            self._clip,
            union=self.labels == "union",
            ensemble=self._protocol.ensemble,
            cache=self.cache,
        )

    @property
    def _in_name_order(self) -> list[Task]:
        return sorted(self._tasks, key=lambda entry: entry.name)

    @property
    def _prompts_hash(self) -> str:
        """Of every class in every template: what a few words in a prompt change."""
        texts = [text for t in self._in_name_order for text in t.prompts(t.templates)]
        return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]


def _divergence(new: Tensor, old: Tensor) -> Tensor:
    return nn.functional.kl_div(
        new.log_softmax(-1), old.log_softmax(-1), reduction="batchmean", log_target=True
    )


def _rows_hash(tasks: Sequence[Task]) -> str:
    """Of the training images that were drawn."""
    digest = hashlib.sha256()
    for entry in tasks:
        digest.update(entry.rows.astype("<i8").tobytes())
    return digest.hexdigest()[:16]
