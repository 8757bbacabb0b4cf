"""One attempt at a cell: from a checkpoint if there is one, to a record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from pydantic_core import to_jsonable_python
from torch import nn

from clbench import compose, determinism, machine, raised, record, standing, writing
from clbench.building import prepared
from clbench.checkpoint.identity import identity
from clbench.checkpoint.keeper import Keeper
from clbench.checkpoint.pace import Interrupt, Pace
from clbench.checkpoint.state import NotResumable, Position, Resumed, gather
from clbench.checkpoint.store import Store
from clbench.contract import Experience, InputError, Problem, Scenario, Strategy
from clbench.devices import Plan, Team, pick_device, whole
from clbench.engine import Loop
from clbench.execution import Execution
from clbench.findings import Findings
from clbench.launched import Lost
from clbench.minibatches import loader
from clbench.problem import view
from clbench.record import Record, Status
from clbench.report import facts
from clbench.session import NotFinite, Session, Watch

if TYPE_CHECKING:
    from clbench.options import Options
    from clbench.report import Reporter
    from clbench.resolved import Cell


class _Enough(Exception):
    """There are as many rows as were asked for."""


FORGOTTEN = (AssertionError, AttributeError, KeyError, TypeError)
"""What a strategy raises that has not got back all that it had."""


class Attempt(Watch):
    """One attempt at a cell: runs it, gathers its rows and costs, writes them down.

    Args:
        cell: What is run.
        options: How.
        reporter: Shows it.
        scenario: Of the cell, built for this attempt.
        limit: Rows of the matrix after which it stops, as if interrupted; None for all.
        team: The processes that compute it together.

    Raises:
        InputError: There is no such device, or the cell's name leads out of its folder.
    """

    def __init__(
        self,
        cell: Cell,
        options: Options,
        reporter: Reporter,
        scenario: Scenario,
        limit: int | None,
        team: Team,
    ) -> None:
        self._cell, self._team = cell, team
        self._limit = limit
        self._options = options
        self._reporter = reporter
        self._scenario = scenario
        self._strategy: Strategy
        self._device = pick_device(options.device, team)
        self._found = Findings(self._device)
        self._plan = Plan(Execution(**cell.execution), self._device, team)
        self._learned: dict[str, int] = {}
        self._session: Session | None = None
        self._resumed = False
        self._stream: Sequence[Experience] = ()
        self._keeper = self._new_keeper()
        line = "stops after this step, with a checkpoint; again: at once"
        self._interrupt = Interrupt(
            armed=options.checkpoint_every is not None,
            line="" if options.quiet else line,
        )

    def run(self) -> Record:
        """Run, and write the record. See `clbench.cell.run_cell`.

        Raises:
            NotResumable: There is a checkpoint that cannot be gone on from; nothing is
                written.
        """
        try:
            self._strategy = compose.build(self._cell)
            problem = view(self._scenario)
            reason = self._strategy.unsupported(problem)
            if reason is not None:
                return self._write("unsupported", reason)
            self._learn(problem)
        except NotResumable:
            raise
        except Lost as error:
            self._write("failed", str(error), step=self._found.steps)
            raise
        except KeyboardInterrupt:
            self._write("interrupted", f"interrupted at step {self._found.steps}")
            raise
        except _Enough:
            return self._write("interrupted", f"stopped after {self._limit} rows")
        except NotFinite as error:
            # Going on would end there again.
            self._keeper.remove()
            return self._write("failed", str(error), step=error.step)
        except (Exception, SystemExit) as error:
            if isinstance(error, InputError) and not self._found.rows:
                raise
            return self._failed(error)
        try:
            made = self._write("ok", None)
        except record.NotWritten:
            raise
        except Exception as error:
            # Such as of a scenario's card: all of it is known, and still written.
            return self._failed(error)
        self._keeper.remove()
        return made

    def _failed(self, error: BaseException) -> Record:
        where = self._look(error)
        if not (isinstance(error, InputError) or machine.at_fault(error)):
            self._reporter.note(where.trace)
        if self._resumed and isinstance(error, FORGOTTEN):
            self._keeper.remove()
            self._reporter.note(
                "it had gone on from a checkpoint, which may lack something that "
                "the strategy keeps (clbench check): the next run starts over"
            )
        reason = determinism.missing(error)
        if reason is None:
            reason = f"{type(error).__name__}: {machine.line(error)}"
        reason += where.place(self._session)
        return self._write("failed", reason, step=self._found.steps)

    def _look(self, error: BaseException) -> raised.Raised:
        return raised.look(error, self._cell)

    def _learn(self, problem: Problem) -> None:
        scenario, strategy = self._scenario, self._strategy
        found = self._found
        with found.clock.measure("prepare"):
            model = prepared(scenario, strategy, self._plan, found)
            stream = scenario.stream()
            found.count(model)
        self._learned, self._stream = writing.learned(stream), stream
        self._session = Session(model, problem, self._device, found.note)
        counts = found.parameters
        assert counts is not None
        self._reporter.start(facts(self._cell, scenario.card(), counts, self._device))
        resumed = self._go_on()
        self._reporter.total(self._total, found.steps)
        if resumed is None:
            self._row(model, experience=0, boundary=True)
            found.learning()
        loop = Loop(run=self._session, strategy=strategy, watch=self)
        with self._interrupt, found.clock.measure("learn"):
            if resumed is None and self.safe(self._session, boundary=True):
                self._checkpoint(Position(experience=0, step=None))
            loop.learn(stream, resumed)
        if self._options.keep:
            self._keep(model, stream)

    def _keep(self, model: nn.Module, stream: Sequence[Experience]) -> None:
        """Write the trained model beside the record; say so where there is no way."""
        from clbench import kept  # with PEFT: slow to import

        path = record.model_path(record.path_of(self._options.out, self._cell))
        batch = next(iter(loader(stream[0], self._scenario.seed)))
        try:
            with whole(model):
                kept.write(path, model, self._scenario.model(), batch)
        except Exception as error:
            # Everything is learned: whatever this is, the record is worth more.
            if not (isinstance(error, InputError) or machine.at_fault(error)):
                self._reporter.note(self._look(error).trace)
            self._reporter.note(f"no model is kept: {machine.line(error)}")

    # --- told by the loop ---

    def begun(self, run: Session) -> None:
        """Count what is trained in this experience."""
        self._team.share(run.model)
        self._count(run)

    def _count(self, run: Session) -> None:
        trained = [] if run.groups is None else run.groups.parameters
        self._found.count(run.model, trained)

    def stepped(self, run: Session, losses: Sequence[float], examples: int) -> None:
        """Show progress."""
        if self._found.steps == 0:
            run.step_flops = self._team.total(run.step_flops)
        self._found.steps += len(losses)
        self._found.examples += examples
        for loss in losses:
            self._reporter.advance(loss, examples // len(losses))

    def evaluate(self, run: Session, boundary: bool) -> None:
        """Add a row to the matrix; count again, as parameters may have entered."""
        self._count(run)
        learned = run.experience.index + boundary
        self._row(run.model, experience=learned, boundary=boundary)

    def safe(self, run: Session, boundary: bool) -> bool:
        """Whether a checkpoint is due, or somebody asked to stop."""
        return self._interrupt.asked or self._keeper.due(boundary)

    def stopped(self, run: Session, boundary: bool) -> None:
        """Write a checkpoint; stop where that was asked."""
        number = run.experience.index
        if boundary:
            # After the last one the record is all that is left to write.
            if self._interrupt.asked or number + 1 < len(self._stream):
                self._checkpoint(Position(experience=number + 1, step=None))
        else:
            self._checkpoint(Position(experience=number, step=run.step))
        if self._interrupt.asked:
            raise KeyboardInterrupt

    # --- stop, and go on ---

    @property
    def _total(self) -> int:
        """Steps of the whole cell."""
        return sum(experience.steps for experience in self._stream)

    def _new_keeper(self) -> Keeper:
        cell, options, tell = self._cell, self._options, self._reporter.note
        path = record.path_of(options.out, cell)
        known = identity(cell, self._scenario, self._device.type)
        facts = {"cell": cell.to_dict(), "options": to_jsonable_python(options)}
        keeper = Keeper(
            Store(path, known, tell, writes=self._team.leads),
            Pace(options.checkpoint_every),
            facts,
            tell,
            self._look,
        )
        if options.afresh:
            keeper.remove()
        return keeper

    def _checkpoint(self, position: Position) -> None:
        session = self._session
        assert session is not None
        with self._found.clock.measure("checkpoint"):
            self._keeper.write(
                lambda: {
                    "run": gather(session, self._strategy, self._scenario, position),
                    "cell": self._found.state(),
                    "plan": self._plan.state(),
                },
                self._found.steps,
                self._total,
            )

    def _go_on(self) -> Resumed | None:
        """Take over what an earlier process has done of this cell, if it has."""
        found = self._keeper.newest()
        count = None if found is None else found.facts["count"]
        # A folder that not all of them see has no checkpoint for some.
        self._team.agree("checkpoint", str(count))
        if found is None:
            return None
        self._resumed = True
        state = found.state(self._device)
        self._found.go_on(state["cell"])
        self._plan.load_state(state["plan"])
        return Resumed(state["run"], self._strategy, self._scenario)

    # --- what lands in the record ---

    def _row(self, model: nn.Module, *, experience: int, boundary: bool) -> None:
        with self._found.clock.measure("evaluate"), torch.no_grad():
            model.eval()
            results = self._scenario.evaluate(model, experience)
            model.train()
        self._found.add(results, experience=experience, boundary=boundary)
        if len(self._found.rows) == self._limit:
            raise _Enough

    def _write(
        self, status: Status, reason: str | None, step: int | None = None
    ) -> Record:
        """Write the record, and the outcomes beside it.

        One of an attempt that did not end well takes no place of one that did.

        Raises:
            NotWritten: They cannot be written; a checkpoint stays.
        """
        session = self._session
        made = writing.assemble(
            self._cell,
            self._scenario,
            self._found,
            writing.Outcome(status, reason, step),
            self._learned,
            None if session is None else session.step_flops,
            self._team.size,
        )
        if not self._team.leads:
            return made
        path = record.path_of(self._options.out, self._cell)
        if status != "ok" and standing.ended_well(path):
            self._reporter.note(f"its earlier record is ok, and stays: {path}")
            return made
        return writing.write(made, self._found, path, self._keeper.make_way)
