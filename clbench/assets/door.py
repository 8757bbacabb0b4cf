"""On which terms data sets and weights come in, while a cell runs.

Readers of data and loaders of models lie deep below the engine, in code of plugins that
knows no options. They ask `current` for the door that a cell opened around them; where
none is open, the strictest terms hold.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Door:
    """What may come in.

    Attributes:
        trust_remote_code: Whether code that a repository of the hub brings along may
            run.
    """

    trust_remote_code: bool = False


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
