"""What a model's layers read besides their input, kept until they compute again.

A layer may look at something that others set while the model computes, such as to which
task an example belongs. Where it computes again in the backward pass, that must be what
it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, Protocol, runtime_checkable

from torch import nn

Again = Callable[[], AbstractContextManager[Any]]
"""Makes a context in which something is what it was."""


@runtime_checkable
class Ambient(Protocol):
    """What layers of a model read; an attribute of one of its modules."""

    def kept(self) -> Again:
        """As it is now."""


def ambients(model: nn.Module) -> list[Ambient]:
    """All that modules of `model` have, each once."""
    found = {
        id(value): value
        for module in model.modules()
        for value in vars(module).values()
        if not isinstance(value, nn.Module | type) and isinstance(value, Ambient)
    }
    return list(found.values())


def kept(known: Iterable[Ambient]) -> Again:
    """All of them as they are now."""
    makers = [each.kept() for each in known]

    @contextmanager
    def again() -> Iterator[None]:
        with ExitStack() as stack:
            for make in makers:
                stack.enter_context(make())
            yield

    return again
