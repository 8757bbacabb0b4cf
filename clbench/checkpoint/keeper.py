"""Keeps the checkpoints of one cell: writes them in time, gives the newest back."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from clbench import machine
from clbench.checkpoint.file import Checkpoint
from clbench.checkpoint.pace import Pace
from clbench.checkpoint.store import Store
from clbench.optim import Unnamed
from clbench.raised import Raised


class Keeper:
    """Writes checkpoints without ever stopping the cell.

    Args:
        store: Where they are.
        pace: When they are written.
        facts: What each says of its cell besides where it stands.
        tell: Takes a line for the user.
        look: Finds out where an error of a plugin came from.
    """

    def __init__(
        self,
        store: Store,
        pace: Pace,
        facts: Mapping[str, Any],
        tell: Callable[[str], None],
        look: Callable[[BaseException], Raised],
    ) -> None:
        self._store, self._pace = store, pace
        self._facts, self._tell, self._look = facts, tell, look
        self._told: set[str] = set()

    def due(self, boundary: bool) -> bool:
        """Whether it is time for one."""
        return self._pace.due(boundary)

    def write(self, make: Callable[[], Any], step: int, steps: int) -> None:
        """Write what `make` gives, or say why that cannot be.

        Args:
            make: Gathers the state.
            step: Steps done in the cell.
            steps: All of them.
        """
        start = time.monotonic()
        try:
            self._put({**self._facts, "step": step, "steps": steps}, make())
        except Unnamed as error:
            self._pace.boundaries_only()
            self._say(f"checkpoints at the ends of experiences only: {error}")
        except (NotImplementedError, TypeError) as error:
            self._pace.never()
            self._say(f"no checkpoints, this cell cannot go on if it stops: {error}")
        except (OSError, MemoryError) as error:
            reason = getattr(error, "strerror", None) or error or "no memory is left"
            self._say(f"a checkpoint could not be written: {reason}")
        except (Exception, SystemExit) as error:
            self._pace.never()
            where = self._look(error)
            self._tell(where.trace)
            what = f"{type(error).__name__}: {machine.line(error)}{where.place(None)}"
            self._say(f"no checkpoints, this cell cannot go on if it stops: {what}")
        self._pace.wrote(time.monotonic() - start)

    def _put(self, facts: Mapping[str, Any], state: Any) -> None:
        """Write it; on a full disk in the room of the older one, which it replaces.

        The newer of the two is whole meanwhile.
        """
        try:
            self._store.write(facts, state)
        except OSError as error:
            if not (machine.full(error) and self._store.make_way()):
                raise
            self._store.write(facts, state)

    def newest(self) -> Checkpoint | None:
        """The one to go on from, if there is one; says where."""
        found = self._store.newest()
        if found is not None:
            facts = found.facts
            self._tell(
                f"goes on at step {facts['step']} of {facts['steps']} "
                f"(checkpoint of {_clock(facts['written'])})"
            )
        return found

    def make_way(self) -> bool:
        """Remove the older of two, for want of room; False: there are not two."""
        return self._store.make_way()

    def remove(self) -> None:
        """None is needed any more."""
        self._store.remove()

    def _say(self, line: str) -> None:
        """Once, however often it is so."""
        if line not in self._told:
            self._told.add(line)
            self._tell(line)


def _clock(written: str) -> str:
    """12:03, with the date where that is not today's."""
    moment = datetime.fromisoformat(written)
    today = datetime.now(moment.tzinfo).date() == moment.date()
    return f"{moment:%H:%M}" if today else f"{moment:%Y-%m-%d %H:%M}"
