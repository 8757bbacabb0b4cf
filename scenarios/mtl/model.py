"""One backbone and a decoder for each task; or a whole model for each task."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from clbench.contract import Batch
from clbench.data.augment import to_float
from clbench.models.pyramid import Pyramid

from .decoders import Kind, decoder

Output = dict[str, Tensor]
"""Task -> raw prediction (B, K, S, S)."""


class DenseModel(nn.Module):
    """A pyramid, and a decoder for each task on its stream of every scale.

    Args:
        pyramid: The backbone.
        outputs: Task -> K, channels of its prediction.
        kind: Of the decoders.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, pyramid: Pyramid, outputs: Mapping[str, int], *, kind: Kind
    ) -> None:
        super().__init__()
        self.pyramid = pyramid
        self.decoders = nn.ModuleDict(
            {task: decoder(kind, pyramid.widths, K) for task, K in outputs.items()}
        )
        self.register_buffer("mean", torch.tensor(pyramid.mean)[:, None, None], False)
        self.register_buffer("std", torch.tensor(pyramid.std)[:, None, None], False)

    def forward(self, batch: Batch) -> Output:
        """`image`, uint8 (B, S, S, 3) or float (B, 3, S, S) in [0, 1]."""
        images = (to_float(batch["image"]) - self.mean) / self.std
        scales = self.pyramid(images)
        return {
            task: decode(
                [_stream(scale, len(images), place) for scale in scales],
                images.shape[-1],
            )
            for place, (task, decode) in enumerate(self.decoders.items())
        }

    def branches(self) -> dict[str, tuple[str, ...]]:
        """Where streams may part, for all tasks; see `contract.model`."""
        tasks = tuple(self.decoders)
        return {f"pyramid.{path}": tasks for path in self.pyramid.branches()}


class SingleModels(nn.Module):
    """A model for each task, none of which knows of the others.

    Args:
        models: Task -> its own model.
    """

    def __init__(self, models: Mapping[str, DenseModel]) -> None:
        super().__init__()
        self.models = nn.ModuleDict(models)

    def forward(self, batch: Batch) -> Output:
        """Those tasks whose labels are in the batch; all tasks if none's are."""
        wanted = [task for task in self.models if task in batch] or list(self.models)
        return {task: self.models[task](batch)[task] for task in wanted}

    def branches(self) -> dict[str, tuple[str, ...]]:
        """Those of each model, for its own task."""
        return {
            f"models.{task}.{path}": tasks
            for task, model in self.models.items()
            if isinstance(model, DenseModel)
            for path, tasks in model.branches().items()
        }


def _stream(scale: Tensor, examples: int, place: int) -> Tensor:
    """The stream of the task at `place`; the shared one where nobody branched."""
    if len(scale) == examples:
        return scale
    start = (1 + place) * examples
    return scale[start : start + examples]
