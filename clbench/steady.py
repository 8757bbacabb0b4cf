"""What is shown must not end what is computed: a log may lie on a disk that is full."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TextIO

P = ParamSpec("P")


def steady(show: Callable[P, None]) -> Callable[P, None]:
    """`show`, that no stream which cannot be written to keeps from going on.

    A log on a full disk, or a terminal that is gone, ends no cell: what is shown from
    then on is lost, what is computed is not.
    """

    @wraps(show)
    def shows(*given: P.args, **named: P.kwargs) -> None:
        try:
            show(*given, **named)
        except OSError:
            for stream in (sys.stdout, sys.stderr):
                _let_go(stream)

    return shows


def _let_go(stream: TextIO) -> None:
    """Send a stream that cannot be written to nowhere, with what it still holds."""
    try:
        stream.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
