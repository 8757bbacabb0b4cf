"""Which plugin an error came out of, and in which of its hooks."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Any

from clbench import registry
from clbench.contract import Data

if TYPE_CHECKING:
    from clbench.resolved import Cell
    from clbench.session import Session


@dataclass(frozen=True)
class Raised:
    """Where an error came from.

    Attributes:
        hook: The first of a plugin that was called, in words; None where none was.
        trace: The error as Python shows it, from that call on.
    """

    hook: str | None
    trace: str

    def place(self, run: Session | None) -> str:
        """The hook, and where `run` stood then, in brackets; empty: neither is known.

        Args:
            run: The cell that was running; None before there was a model.
        """
        parts = [] if self.hook is None else [self.hook]
        if run is not None and hasattr(run, "experience"):
            parts += [f"experience '{run.experience.name}'", f"step {run.total_step}"]
        return f" ({', '.join(parts)})" if parts else ""


def look(error: BaseException, cell: Cell) -> Raised:
    """Find the first call into a plugin of `cell` among those that led to `error`.

    The first and not the last: what a strategy asks of its problem is the strategy's.
    """
    plugins: dict[str, type[Any]] = {
        f"strategy '{member.name}'": registry.load("strategy", member.name)
        for member in cell.strategy
    }
    judge = cell.scenario.name
    plugins[f"scenario '{judge}'"] = registry.load("scenario", judge)
    hook, start = None, error.__traceback__
    while start is not None:
        hook = _hook(start.tb_frame, plugins)
        if hook is not None:
            break
        start = start.tb_next
    start = start or error.__traceback__
    trace = "".join(traceback.format_exception(type(error), error, start))
    return Raised(hook, trace)


def _hook(frame: FrameType, plugins: Mapping[str, type[Any]]) -> str | None:
    """What is called in `frame`, if that is a plugin's."""
    code = frame.f_code
    # The first argument: the object, or the class of a class method.
    first = frame.f_locals.get(code.co_varnames[0]) if code.co_argcount else None
    kind = first if isinstance(first, type) else type(first)
    for name, plugin in plugins.items():
        if kind is plugin and hasattr(plugin, code.co_name):
            return f"{name}, {code.co_name}"
    if isinstance(first, Data):
        *_, scenario = plugins
        return f"data of {scenario}, {code.co_name}"
    return None
