"""Dense multi-task learning: one backbone, several predictions of every pixel.

The PASCAL benchmark of Maninis et al. (CVPR 2019) as MTLoRA (CVPR 2024) trains it.
"""

from __future__ import annotations

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
from clbench.data.cache import Album
from clbench.data.root import folder
from clbench.matrix import Matrix
from clbench.models.pyramid import Pyramid, pyramid
from clbench.models.roles import layers
from clbench.seeding import derive

from . import needs as reads
from . import tiny
from .data import Examples, Scenes
from .datasets import OUTPUTS, SIZES, Dataset, Part, check_tasks, read
from .decoders import Kind
from .judge import each, judge
from .layout import Layout
from .metrics import COMPARED, DELTA_M, METRICS, TUNING, gain, score
from .model import DenseModel, Output, SingleModels
from .tasks import DEFAULT, TASKS

VALIDATION = 5
"""One of so many training pictures judges where settings are chosen."""

POCKET_STEPS, POCKET_BATCH = 300, 16
BATCH = 32
EPOCHS, WARMUP_EPOCHS = 300, 20
"""Of MTLoRA on PASCAL."""


class DenseMultiTask(Scenario):
    """One backbone learns several dense tasks, judged beside a model for each task.

    Args:
        dataset: The embedded world, the PASCAL multi-task folders, or a folder of
            pictures with PASCAL-Part annotations.
        root: Folder of the data; not needed for the embedded world.
        tasks: Any of semseg, human_parts, sal, normals, edge, depth, in the order in
            which they arrive; empty is the first four as far as the data have them.
        arrival: `joint` learns all tasks at once, `sequential` one after another;
            `single` trains a model for each, which delta-m compares with.
        backbone: `pocket`, or a hierarchical model of timm such as
            swin_tiny_patch4_window7_224, by name, as MODEL@FILE or in a folder.
        decoder: `hrnet` as in MTLoRA, or `light`; null is light on the pocket backbone.
        image_size: Pixels on a side; null is 64 on the pocket backbone, else 448 for
            PASCAL and 224 for other pictures.
        steps: Optimizer steps, of each model where they are trained singly; null is 300
            for the embedded world, else 300 epochs.
        batch_size: Pictures in a step; null is 16 for the embedded world, else 32.
        drop_path: Stochastic depth of the last block; null is 0.2 on real data.
        augment: Whether training pictures are mirrored, scaled and turned; null does so
            on real data.
        judged_on: `validation` holds a fifth of the training pictures out and judges on
            those: for choosing settings, which must never see the test pictures.
        cache: Whether decoded pictures are kept in the cache.
        seed: The cell's seed.
    """

    version = 1
    main: ClassVar[Metric] = DELTA_M
    metrics: ClassVar[tuple[Metric, ...]] = METRICS
    compared: ClassVar[tuple[Metric, ...]] = COMPARED
    reference: ClassVar[Literal["own", "all"]] = "all"
    variants: ClassVar[Mapping[str, tuple[Any, ...]]] = {"arrival": ("single",)}
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
        dataset: Dataset = "pocket",
        root: str | None = None,
        tasks: tuple[str, ...] = (),
        arrival: Literal["joint", "sequential", "single"] = "joint",
        backbone: str = "pocket",
        decoder: Kind | None = None,
        image_size: Count | None = None,
        steps: Count | None = None,
        batch_size: Count | None = None,
        drop_path: Fraction | None = None,
        augment: bool | None = None,
        judged_on: Literal["test", "validation"] = "test",
        cache: bool = True,
        seed: int = 0,
    ) -> None:
        embedded = dataset == "pocket"
        wanted = tasks or tuple(t for t in DEFAULT if t in OUTPUTS[dataset])
        check_tasks(dataset, wanted)
        self.dataset, self.root, self.arrival = dataset, root, arrival
        self.backbone, self.judged_on = backbone, judged_on
        small = backbone == "pocket"
        self.decoder: Kind = decoder or ("light" if small else "hrnet")
        self.image_size = image_size or SIZES["pocket" if small else dataset]
        self.steps, self.batch_size = steps, batch_size
        self.drop_path = drop_path if drop_path is not None else 0.2 * (not embedded)
        self.augment = (not embedded) if augment is None else augment
        self.cache, self.seed = cache, seed
        place = folder(root)
        if place is not None and not place.is_dir():
            raise InputError(f"scenario.root={root}: there is no such folder")
        if embedded and self.image_size != SIZES["pocket"]:
            raise InputError(
                f"scenario.image_size={image_size}: the embedded world has pictures of "
                f"{SIZES['pocket']} pixels on a side"
            )
        self._build: Callable[[], Pyramid] = lambda: pyramid(
            backbone, image_size=self.image_size, drop_path=self.drop_path
        )
        self._read: Callable[[Part, Sequence[str]], Album] = lambda part, names: read(
            dataset, place, part, tasks=names, size=self.image_size, cache=cache
        )
        self._begin({task: OUTPUTS[dataset][task] for task in wanted})

    def _begin(self, outputs: Mapping[str, int]) -> None:
        """State budget and recipe for the tasks of `outputs`."""
        self._outputs = dict(outputs)
        embedded = self.dataset == "pocket"
        batch = self.batch_size or (POCKET_BATCH if embedded else BATCH)
        steps = self.steps or POCKET_STEPS
        warmup = steps // 10
        if not embedded and self.steps is None:
            epoch = max(1, len(self._train) // batch)
            steps, warmup = EPOCHS * epoch, WARMUP_EPOCHS * epoch
        if self.arrival == "sequential" and steps < len(outputs):
            raise InputError(
                f"scenario.steps={steps}: {len(outputs)} tasks one after another need "
                f"at least {len(outputs)} steps"
            )
        parted = len(outputs) if self.arrival == "single" else 1
        self.budget = Budget(steps=steps, batch_size=batch, models=parted)
        self.recipe = Recipe(
            optimizer="adamw",
            # 5e-4 for a batch of 512, as MTLoRA scales it.
            lr=1e-3 if embedded else 5e-4 * batch / 512,
            weight_decay=0.05,
            schedule="cosine",
            warmup=warmup,
            clip=5.0,
        )

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks, in the order of arrival."""
        return tuple(self._outputs)

    @property
    def shares_steps(self) -> bool:
        """Where all tasks are learned at once."""
        return self.arrival == "joint" and len(self._outputs) > 1

    # --- what is learned ---

    def model(self) -> nn.Module:
        """Backbone and decoders drawn from the seed; one such model for each task."""
        if self.arrival != "single":
            return self._model(self._outputs)
        return SingleModels(
            {task: self._model({task: K}) for task, K in self._outputs.items()}
        )

    def _model(self, outputs: Mapping[str, int]) -> DenseModel:
        body = self._build()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive(self.seed, "decoders"))
            return DenseModel(body, outputs, kind=self.decoder)

    def stream(self) -> Sequence[Experience]:
        """One part with all tasks, or one for each."""
        parts = [self.tasks] if self.arrival == "joint" else [(t,) for t in self.tasks]
        total = self.budget.steps * self.budget.models
        each_gets, rest = divmod(total, len(parts))
        return [
            Experience(
                index=index,
                name="+".join(names),
                tasks=tuple(names),
                train=Scenes(
                    self._train,
                    names,
                    batch=self.budget.batch_size,
                    vary=self.augment,
                ),
                steps=each_gets + (index < rest),
            )
            for index, names in enumerate(parts)
        ]

    def loss(self, output: Output, batch: Batch) -> Tensor:
        """Weighted sum over the tasks that the batch has labels of."""
        return torch.stack(list(self.losses(output, batch).values())).sum()

    def losses(self, output: Output, batch: Batch) -> dict[str, Tensor]:
        """The weighted loss of each task that the batch has labels of."""
        return {
            task: TASKS[task].weight * TASKS[task].loss(made, batch[task])
            for task, made in output.items()
            if task in batch
        }

    def merit(self, output: Output, batch: Batch) -> Tensor:
        """(B,) minus the weighted loss of each picture."""
        parts = [
            TASKS[task].weight * each(task, made, batch[task])
            for task, made in output.items()
            if task in batch
        ]
        return -torch.stack(parts).sum(0)

    def distance(self, new: Output, old: Output, batch: Batch) -> Tensor:
        """Weighted sum over all tasks of how far their predictions are."""
        parts = [
            TASKS[task].weight * TASKS[task].distance(new[task], old[task])
            for task in new
        ]
        return torch.stack(parts).sum()

    def adaptable(self, model: nn.Module) -> Iterator[Layer]:
        """The backbone's linear maps, patch merging included."""
        for path, part in _dense(model):
            yield from layers(part.pyramid, f"{path}pyramid")

    def heads(self, model: nn.Module) -> Iterator[nn.Parameter]:
        """The decoders."""
        for _, part in _dense(model):
            yield from part.decoders.parameters()

    # --- how it is judged ---

    def evaluate(self, model: nn.Module, upto: int) -> dict[str, Result]:
        """Every task on the pictures that judge."""
        return judge(model, self._test, self._outputs)

    def card(self) -> Card:
        """Data, tasks and sizes; reads the data."""
        content = f"{self._train.album.sha256}/{self._test.album.sha256}"
        return Card(
            data=self.dataset,
            fingerprint=hashlib.sha256(content.encode()).hexdigest(),
            backbone=self.backbone,
            details={
                "tasks": list(self.tasks),
                "outputs": self._outputs,
                "image size": self.image_size,
                "decoder": self.decoder,
                "learned from": len(self._train),
                "judged on": len(self._test),
                "selection": "last step",
            },
        )

    @classmethod
    def headline(cls, task: str) -> Metric:
        """The task's own first metric."""
        return TASKS[task].main

    @classmethod
    def scores(cls, matrix: Matrix, params: Mapping[str, Any]) -> dict[str, float]:
        """Every task's numbers after the last experience, and forgetting."""
        return score(matrix)

    @classmethod
    def against(cls, matrix: Matrix, bound: Matrix) -> dict[str, float]:
        """Delta-m, of a record beside that of a model for each task."""
        return {DELTA_M.name: gain(matrix, bound)}

    @classmethod
    def toy(cls) -> DenseMultiTask:
        """Three tasks on coloured squares, a Swin of two stages of width 16."""
        toy = cls(steps=4, batch_size=4, cache=False)
        toy._build, toy._read = tiny.backbone, tiny.album
        toy._begin(tiny.OUTPUTS)
        return toy

    # --- what is read once ---

    @cached_property
    def _albums(self) -> dict[Part, Examples]:
        layout = Layout(sorted(self._outputs))
        found: dict[Part, Examples] = {}
        parts: tuple[Part, ...] = ("train", "test")
        for part in parts:
            album = self._read(part, layout.tasks)
            found[part] = Examples(album, layout, np.arange(len(album.pictures)))
        if self.judged_on == "validation":
            learned, held = found["train"].split(VALIDATION)
            return {"train": learned, "test": held}
        return found

    @property
    def _train(self) -> Examples:
        return self._albums["train"]

    @property
    def _test(self) -> Examples:
        return self._albums["test"]


def _dense(model: nn.Module) -> Iterator[tuple[str, DenseModel]]:
    """The dense models in `model`, each with the beginning of its paths."""
    if isinstance(model, DenseModel):
        yield "", model
    if isinstance(model, SingleModels):
        for task, part in model.models.items():
            assert isinstance(part, DenseModel)
            yield f"models.{task}.", part
