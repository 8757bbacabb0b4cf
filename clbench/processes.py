"""Work in other processes: apart from this one, or beside it on further cores."""

from __future__ import annotations

import multiprocessing
import os
import platform
import signal
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeVar

T = TypeVar("T")
P = TypeVar("P")


def apart(function: Callable[..., T], *arguments: Any) -> T:
    """What `function` gives, called in a new process that leaves nothing behind.

    Its memory is free again, that of libraries it imports included.

    Args:
        function: Of a module that can be imported.
        arguments: Its arguments; these, and what it gives, are pickled on the way.

    Raises:
        MemoryError: The process was killed.
        BaseException: Whatever `function` raises.
    """
    group = hasattr(os, "setpgid")
    spawn = multiprocessing.get_context("spawn")
    call = _Call(spawn, group, function, *arguments)
    try:
        return call.result()
    finally:
        call.end()


def together(function: Callable[[P], T], parts: Sequence[P]) -> list[T]:
    """What `function` gives for each of `parts`, all at once where that is safe.

    The first is done here, the others by forks, which share what is in memory. Only
    Linux forks safely; elsewhere one part is done after another.

    Raises:
        MemoryError: A process was killed.
        BaseException: Whatever `function` raises.
    """
    if platform.system() != "Linux":
        return [function(part) for part in parts]
    context = multiprocessing.get_context("fork")
    calls = [_Call(context, False, function, part) for part in parts[1:]]
    try:
        return [
            *(function(part) for part in parts[:1]),
            *(call.result() for call in calls),
        ]
    finally:
        for call in calls:
            call.end()


class _Call(Generic[T]):
    """A function that runs in a process of its own.

    Args:
        context: How processes start.
        group: Whether it has a group of its own, which the processes it starts are in.
        function: What it calls.
        arguments: With these.
    """

    def __init__(
        self,
        context: multiprocessing.context.BaseContext,
        group: bool,
        function: Callable[..., T],
        *arguments: Any,
    ) -> None:
        self._ear, mouth = context.Pipe(duplex=False)
        make: Callable[..., BaseProcess] = context.Process  # type: ignore[attr-defined]
        self._process = make(target=_tell, args=(mouth, group, function, *arguments))
        self._process.start()
        self._group = self._process.pid if group else None
        # The end of the pipe is seen once no process holds its other side.
        mouth.close()

    def result(self) -> T:
        """What the function gives, once it has."""
        try:
            raised, answer = self._ear.recv()
        except EOFError:
            self._process.join()
            code = self._process.exitcode
            raise MemoryError(
                f"a process ended by itself (exit code {code}), as when memory is short"
            ) from None
        if raised:
            raise answer
        found: T = answer
        return found

    def end(self) -> None:
        """End the process at once, and all that it has started.

        An end as usual reads a hundred megabytes of torch's libraries again, only to
        unload them.
        """
        self._process.kill()
        if self._group is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._group, signal.SIGKILL)
        self._process.join()


def _tell(
    mouth: Connection, group: bool, function: Callable[..., Any], *arguments: Any
) -> None:
    if group:
        os.setpgid(0, 0)
    # Ctrl-C reaches every process of a terminal; the first one decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        answer = (False, function(*arguments))
    except BaseException as error:
        error.add_note(traceback.format_exc())
        answer = (True, error)
    mouth.send(answer)
