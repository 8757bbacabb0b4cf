"""What boards are computed from, scenario by scenario: records, and their plan."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from clbench import registry
from clbench.board import plan
from clbench.board.build import document
from clbench.board.document import Document, Missing
from clbench.board.gather import Found, Records
from clbench.board.table import Board, boards
from clbench.contract import InputError


class Basis:
    """The records and the plan of some scenarios.

    Args:
        runs: Folder of the records of this place; there may be none.
        out: Folder of the boards; published records and `plan.yaml` are in it.
        scenarios: Those whose boards are made; None is all that have records.

    Attributes:
        names: Of the scenarios, sorted.

    Raises:
        InputError: There is no record, or none of one of `scenarios`.
    """

    def __init__(self, runs: Path, out: Path, scenarios: Sequence[str] | None) -> None:
        self._records, self._out = records(runs, out), out
        known = self._records.scenarios
        self.names = sorted(scenarios or known)
        lacking = [name for name in self.names if name not in known]
        if lacking or not self.names:
            raise InputError(_nothing(runs, self._records, *lacking[:1]))
        self._planned = plan.read(out, self.names)

    def document(self, name: str) -> Document:
        """The document of one of them."""
        found, unread = self._records.of(name)
        made, left = boards(name, found)
        of_boards, _ = gaps(name, made, found, self._planned)
        every = [*left, *unread]
        return document(name, _summary(name), made, of_boards, every, self._out)

    def shares(self, workers: int) -> list[list[str]]:
        """The names in parts of about as many records, one for each of `workers`.

        There are fewer parts if there are fewer names.
        """
        parts: list[list[str]] = [[] for _ in range(min(workers, len(self.names)))]
        count = {name: len(self._records.paths(name)) for name in self.names}
        for name in sorted(self.names, key=lambda name: -count[name]):
            least = min(parts, key=lambda part: sum(count[other] for other in part))
            least.append(name)
        return parts

    def load(self) -> None:
        """Import the scenarios: processes that part afterwards hold them once."""
        for name in self.names:
            with suppress(InputError):  # which its document will say
                registry.load("scenario", name)


def records(runs: Path, out: Path) -> Records:
    """The records below `runs`, and those published in `out`."""
    return Records([runs, *sorted(out.glob("*/records"))])


def gaps(
    name: str,
    made: Sequence[Board],
    found: Sequence[Found],
    planned: Sequence[plan.Planned],
) -> tuple[list[list[Missing]], list[Missing]]:
    """What each board of scenario `name` lacks, and what is planned and fits none.

    Args:
        name: Of the scenario.
        made: Its boards.
        found: Its records.
        planned: The whole plan.
    """
    wanted = [entry for entry in planned if entry.scenario == name]
    if not made and not wanted:
        return [], []
    scenario = registry.load("scenario", name)
    present = {
        plan.identity(entry.record, scenario)
        for entry in (found if wanted else ())
        if entry.record.status in ("ok", "unsupported")
        and entry.record.scenario.version == scenario.version
    }
    return plan.missing(scenario, made, wanted, present)


def _nothing(runs: Path, found: Records, name: str = "") -> str:
    """What to say where there is no record of a scenario, or none at all."""
    _, unread = found.of(name)
    hint = f" ({unread[0].path}: {unread[0].reason})" if unread else ""
    what = f" of {name}" if name else ""
    return f"runs={runs} holds no record{what}{hint}; make one with `clbench run`"


def _summary(name: str) -> str:
    try:
        return registry.get("scenario", name).summary
    except InputError:
        return ""
