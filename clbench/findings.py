"""What a cell has found and spent so far, in all processes that ran it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn

from clbench import outcomes
from clbench.contract import Result, trainable
from clbench.matrix import Row
from clbench.metrics.cost import Clock, Parameters, PeakMemory
from clbench.record import Cost, Trainable


class Findings:
    """Rows, outcomes, log and costs of one cell.

    Args:
        device: Where it runs.

    Attributes:
        clock: Seconds of each activity.
        parameters: Counts of what was trained; None before there is a model.
        rows: Of the matrix.
        outcomes: Of every row, as they are kept.
        pictures: Of the last row.
        log: What the strategy logged.
        examples, steps: Learned from, and taken.
    """

    def __init__(self, device: torch.device) -> None:
        self.clock = Clock()
        self.parameters: Parameters | None = None
        self.rows: list[Row] = []
        self.outcomes: list[Mapping[str, Mapping[str, Any]]] = []
        self.pictures: dict[str, Mapping[str, Any]] = {}
        self.log: dict[str, list[tuple[int, float]]] = {}
        self.examples = 0
        self.steps = 0
        self._device = device
        self._memory = PeakMemory(device)
        self._peak = 0
        self._before = 0.0

    def begin(self, model: nn.Module, heads: Iterable[nn.Parameter]) -> None:
        """There is a model, which no strategy has touched."""
        self.parameters = Parameters(model, heads)

    def count(
        self, model: nn.Module, trained: Iterable[nn.Parameter] | None = None
    ) -> None:
        """Note what is trained now; all that requires a gradient unless it is given."""
        assert self.parameters is not None
        if trained is None:
            trained = trainable(model.parameters())
        self.parameters.count(model, trained)

    def add(
        self, results: Mapping[str, Result], *, experience: int, boundary: bool
    ) -> None:
        """One row of the matrix.

        Raises:
            TypeError: A score is no number, or an outcome is no array of numbers.
        """
        # What cannot be written is refused now, not when all is computed.
        scores = {
            task: {name: float(value) for name, value in result.metrics.items()}
            for task, result in results.items()
        }
        found = {task: result.outcomes for task, result in results.items()}
        kept = outcomes.small(found)
        self.rows.append(
            Row(
                experience=experience, step=self.steps, boundary=boundary, scores=scores
            )
        )
        self.outcomes.append(kept)
        self.pictures = {t: r.pictures for t, r in results.items() if r.pictures}

    def note(self, name: str, step: int, value: float) -> None:
        """Something that the strategy logs."""
        self.log.setdefault(name, []).append((step, float(value)))

    def learning(self) -> None:
        """From now on evaluations are within what is learned, as seconds count."""
        self._before = self.clock.seconds["evaluate"]

    def state(self) -> dict[str, Any]:
        """All that `go_on` needs, as tensors and plain values."""
        assert self.parameters is not None
        return {
            "rows": [dataclasses.asdict(row) for row in self.rows],
            "outcomes": self.outcomes,
            "pictures": self.pictures,
            "log": self.log,
            "steps": self.steps,
            "examples": self.examples,
            "trainable": self.parameters.trainable,
            "parameters": self.parameters.total,
            "seconds": self.clock.so_far(),
            "total": self.clock.total,
            "before": self._before,
            "peak": self._largest,
        }

    def go_on(self, state: Mapping[str, Any]) -> None:
        """Take over what an earlier process has found and spent."""
        assert self.parameters is not None
        self.rows = [Row(**row) for row in state["rows"]]
        self.outcomes, self.pictures = state["outcomes"], state["pictures"]
        self.log = state["log"]
        self.steps, self.examples = state["steps"], state["examples"]
        self.parameters.go_on(state["trainable"], state["parameters"])
        self.clock.go_on(state["seconds"], state["total"])
        self._before, self._peak = state["before"], state["peak"]

    def cost(self, step_flops: int) -> Cost:
        """What the cell took.

        Args:
            step_flops: Operations of one step.
        """
        assert self.parameters is not None
        spent = self.clock.seconds
        kept = spent.get("checkpoint", 0.0)
        inside = spent.get("evaluate", 0.0) - self._before + kept
        train = max(spent.get("learn", 0.0) - inside, 0.0)
        return Cost(
            trainable=Trainable(**self.parameters.trainable),
            parameters=self.parameters.total,
            steps=self.steps,
            examples=self.examples,
            seconds={
                "prepare": round(spent.get("prepare", 0.0), 3),
                "train": round(train, 3),
                "evaluate": round(spent.get("evaluate", 0.0), 3),
                "checkpoint": round(kept, 3),
                "total": round(self.clock.total, 3),
            },
            examples_per_second=round(self.examples / train, 1) if train else 0.0,
            peak_bytes=self._largest,
            flops=step_flops * self.steps,
            device=_device_name(self._device),
        )

    @property
    def _largest(self) -> int:
        return max(self._peak, self._memory.bytes)


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return device.type
