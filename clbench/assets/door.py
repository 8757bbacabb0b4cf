"""On which terms data sets and weights come in while a cell runs, and what came in.

Readers of data and loaders of models lie deep below the engine, in code of plugins that
knows no options. They ask `current` for the door that a cell opened around them; where
none is open, the strictest terms hold and nothing is noted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path

from clbench.assets import hashes
from clbench.assets.hub import Hub, verify
from clbench.assets.lock import Lock
from clbench.assets.need import Asset, Need
from clbench.contract import InputError


@dataclass(frozen=True, kw_only=True)
class Door:
    """What may come in.

    Attributes:
        trust_remote_code: Whether code that a repository of the hub brings along may
            run.
        offline: Whether the network is never asked.
        lock: What everything has to be equal to; None where anything may come.
        used: What has come in, by its name.
    """

    trust_remote_code: bool = False
    offline: bool = False
    lock: Lock | None = None
    used: dict[str, Asset] = field(default_factory=dict)

    def open(self, need: Need) -> Path:
        """The place of `need`, fetched where it is not here, and noted.

        Raises:
            InputError: It is not here and cannot be fetched, or is not what the lock
                file says.
        """
        need = self._pinned(need)
        place = need.here()
        if place is None:
            if self.offline or not isinstance(need, Hub):
                raise InputError(
                    f"{need.kind} '{need.name}': {need.lacking()}"
                    f"{', and offline=true asks no network' if self.offline else ''}"
                )
            place = need.fetch()
        self.note(need, place)
        return place

    def note(self, need: Need, place: Path) -> None:
        """Keep what `need` is, as it lies at `place`.

        Raises:
            InputError: It is damaged, or is not what the lock file says.
        """
        if need.name in self.used:
            return
        found = hashes.asset(need, place)
        if isinstance(need, Hub):
            for path in need.files(place):
                verify(path)
        if self.lock is not None:
            self.lock.check(found)
        self.used[need.name] = found

    def survey(self, needs: Iterable[Need]) -> None:
        """Note those of `needs` that are here; what is not, its reader asks for.

        Raises:
            InputError: One is not what the lock file says.
        """
        for need in needs:
            pinned = self._pinned(need)
            place = pinned.here()
            if place is not None:
                self.note(pinned, place)

    def _pinned(self, need: Need) -> Need:
        return need if self.lock is None else self.lock.pinned(need)


_OPEN: ContextVar[Door | None] = ContextVar("_OPEN", default=None)


def current() -> Door:
    """The door that is open here."""
    return _OPEN.get() or Door()


@contextmanager
def opened(door: Door) -> Iterator[Door]:
    """Within, data sets and weights come in through `door`."""
    token = _OPEN.set(door)
    try:
        yield door
    finally:
        _OPEN.reset(token)
