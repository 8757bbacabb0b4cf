"""One cell, timed for a few steps: nothing of it is written."""

from __future__ import annotations

import dataclasses
import itertools
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from clbench import compose, writing
from clbench.assets import door
from clbench.building import build_scenario, prepared
from clbench.cell import terms
from clbench.checkpoint.state import Position, gather
from clbench.contract import Batch, Experience, Scenario, Strategy
from clbench.data.cache import cache_folder
from clbench.devices import Plan, pick_device
from clbench.engine import Loop
from clbench.estimate import sizes
from clbench.estimate.timed import Part, Sizes, Timed
from clbench.execution import Execution
from clbench.findings import Findings
from clbench.masking import expanded
from clbench.optim import Unnamed
from clbench.problem import view
from clbench.seeding import global_seed
from clbench.session import Session, Watch

if TYPE_CHECKING:
    from clbench.options import Options
    from clbench.resolved import Cell

EXPERIENCES = 6
"""At most so many are begun: the first ones, as a strategy would meet them."""

FEWEST, MOST = 4, 30
"""Steps of each, the first of which warms up."""

LONG = 0.7
"""Seconds of steps after which there are enough."""

PATIENCE = 15.0
"""Seconds after which no further experience is begun."""

CHEAP = 1.0
"""Seconds of an evaluation that is worth being timed again."""


class Unsupported(Exception):
    """The strategy says that it has no meaning here; the message says why."""


def measure(cell: Cell, options: Options) -> Timed:
    """Build `cell`, learn a few steps of its first experiences, judge it twice or more.

    Global generators are given back; features of the weights that come to be here are
    kept out of the cache.

    Args:
        cell: What is timed.
        options: How it would run.

    Raises:
        Unsupported: The strategy has no meaning on this scenario.
        Exception: Whatever a plugin raises.
    """
    with terms(options), global_seed(cell.seed):
        strategy = compose.build(cell)
        scenario = build_scenario(cell)
        door.current().survey(scenario.needs(expanded(cell.scenario.params)))
        reason = strategy.unsupported(view(scenario))
        if reason is not None:
            raise Unsupported(reason)
        start = time.perf_counter()
        build_scenario(cell).stream()
        caches = time.perf_counter() - start
        return _Trial(cell, options, strategy).run(caches)


@contextmanager
def features_aside() -> Iterator[None]:
    """Within, features are kept in a folder that goes away; those there are found."""
    root, known = cache_folder().parent, os.environ.get("CLBENCH_CACHE")
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        (scratch / "features").mkdir()
        entries = list(root.iterdir()) if root.is_dir() else []
        kept = root / "features"
        entries += list(kept.iterdir()) if kept.is_dir() else []
        for entry in entries:
            if entry != kept:
                (scratch / entry.relative_to(root)).symlink_to(entry.absolute())
        os.environ["CLBENCH_CACHE"] = name
        try:
            yield
        finally:
            del os.environ["CLBENCH_CACHE"]
            if known is not None:
                os.environ["CLBENCH_CACHE"] = known


class _Enough(Exception):
    """It has taken long enough."""


class _Trial(Watch):
    """Times one cell; told of every step."""

    def __init__(self, cell: Cell, options: Options, strategy: Strategy) -> None:
        self._cell, self._options, self._strategy = cell, options, strategy
        self._device = pick_device(options.device)
        self._found = Findings(self._device)
        self._scenario: Scenario
        self._mark = self._begun = 0.0
        self._trained = False
        self._before = 0.0
        self._steps: list[float] = []
        self._parts: list[Part] = []
        self._rows: list[float] = []
        self._checkpoints: list[int] = []

    def run(self, caches: float) -> Timed:
        """Build it, time it, and say what was found."""
        start = time.perf_counter()
        scenario = self._scenario = build_scenario(self._cell)
        plan = Plan(Execution(**self._cell.execution), self._device)
        model = prepared(scenario, self._strategy, plan, self._found)
        stream = scenario.stream()
        self._found.count(model)
        prepare = time.perf_counter() - start
        first = self._judge(model, 0)
        session = Session(model, view(scenario), self._device, self._found.note)
        with features_aside():
            self._learn(session, stream)
        timed = Timed(
            steps=[experience.steps for experience in stream],
            every=scenario.budget.evaluate_every,
            tasks=len(self._found.rows[0].scores),
            # Those that are filled now are found later.
            caches=max(0.0, caches - prepare),
            prepare=prepare,
            first=first,
            rows=self._rows,
            parts=self._parts,
            sizes=Sizes(),
            peak=0,
        )
        return self._sized(timed, session, stream)

    def _learn(self, session: Session, stream: Sequence[Experience]) -> None:
        loop = _Few(run=session, strategy=self._strategy, watch=self)
        loop.enough = self._enough
        self._begun = self._mark = time.perf_counter()
        try:
            loop.learn(stream[:EXPERIENCES])
        except _Enough:
            return

    def _sized(
        self, timed: Timed, session: Session, stream: Sequence[Experience]
    ) -> Timed:
        """`timed`, with what it takes on the disk and in memory."""
        record = writing.assemble(
            self._cell,
            self._scenario,
            self._found,
            writing.Outcome("ok"),
            writing.learned(stream),
            session.step_flops,
        )
        assert record.cost is not None
        lasting = sizes.lasting(
            record, self._found, timed.evaluations, timed.total_steps
        )
        bare = sizes.model(self._scenario.model()) if self._options.keep else 0
        checkpoint = 0
        if self._checkpoints:
            # What grows from one experience to the next goes on growing.
            grown = [b - a for a, b in itertools.pairwise(self._checkpoints)]
            left = len(stream) - len(self._checkpoints)
            largest = max(self._checkpoints) + left * max([0, *grown])
            checkpoint = largest + lasting
        return dataclasses.replace(
            timed,
            sizes=Sizes(record=lasting, checkpoint=checkpoint, model=bare),
            peak=record.cost.peak_bytes,
        )

    def _enough(self) -> bool:
        """Whether this experience has been learned long enough."""
        done = len(self._steps)
        return done >= FEWEST and (done >= MOST or sum(self._steps) >= LONG)

    def _judge(self, model: nn.Module, experience: int) -> float:
        """A row of the matrix; its seconds."""
        start = time.perf_counter()
        with torch.no_grad():
            model.eval()
            results = self._scenario.evaluate(model, experience)
            model.train()
        self._found.add(results, experience=experience, boundary=True)
        return time.perf_counter() - start

    def _lap(self) -> float:
        """Seconds since the last one, of which nothing is left to be computed."""
        if self._device.type != "cpu":
            torch.accelerator.synchronize(self._device)
        now = time.perf_counter()
        spent, self._mark = now - self._mark, now
        return spent

    # --- told by the loop ---

    def begun(self, run: Session) -> None:
        """The strategy is ready, the first step is next."""
        self._trained = run.groups is not None
        self._found.count(run.model, run.groups.parameters if run.groups else [])
        self._steps = []
        self._before = self._lap()

    def stepped(self, run: Session, losses: Sequence[float], examples: int) -> None:
        """Count them, as a record does."""
        self._found.steps += len(losses)
        self._found.examples += examples

    def safe(self, run: Session, boundary: bool) -> bool:
        """A step was done."""
        if not boundary:
            self._steps.append(self._lap())
        return False

    def evaluate(self, run: Session, boundary: bool) -> None:
        """The strategy has ended an experience: look at sizes, and judge."""
        if not boundary:
            return
        after = self._lap()
        self._parts.append(Part(self._trained, self._before, self._steps, after))
        self._weigh(run)
        if not self._rows or max(self._rows) < CHEAP:
            self._rows.append(self._judge(run.model, run.experience.index + 1))
        if time.perf_counter() - self._begun > PATIENCE:
            raise _Enough
        self._lap()

    def _weigh(self, run: Session) -> None:
        """How large a checkpoint is by now, if there can be one."""
        if self._options.checkpoint_every is None:
            return
        try:
            size = self._checkpoint(run, run.step)
        except Unnamed:
            # Then there are some between experiences.
            size = self._checkpoint(run, None)
        except (NotImplementedError, TypeError):
            return
        self._checkpoints.append(size)

    def _checkpoint(self, run: Session, step: int | None) -> int:
        position = Position(experience=run.experience.index, step=step)
        state = gather(run, self._strategy, self._scenario, position)
        return sizes.checkpoint({"cell": self._cell.to_dict()}, state)


class _Few(Loop):
    """The loop, of which each experience ends early."""

    enough: Callable[[], bool]

    def make_train_dataloader(self, **kwargs: Any) -> None:
        """The same minibatches, until there are enough."""
        super().make_train_dataloader(**kwargs)
        whole, self.dataloader = self.dataloader, iter(())
        self.dataloader = self._until(whole)

    def _until(self, whole: Any) -> Iterator[Batch]:
        for batch in whole:
            yield batch
            if self.enough():
                return
