"""`clbench list`: what there is, without importing any of it."""

from __future__ import annotations

from collections.abc import Iterator

from rich.markup import escape
from rich.table import Table

from clbench import registry
from clbench.contract import InputError
from clbench.plugin import GROUPS, Kind


def tables(what: str) -> Iterator[Table]:
    """A table of strategies, of scenarios, or one of each for `all`.

    Raises:
        InputError: `what` is none of these, or two plugins claim one name.
    """
    kinds: list[Kind] = [k for k, group in GROUPS.items() if what in (group, "all")]
    if not kinds:
        near = registry.nearest(what, [*GROUPS.values(), "all"])
        raise InputError(f"nothing to list for '{what}'{near} (clbench list --help)")
    for kind in kinds:
        table = Table(box=None, padding=(0, 2, 0, 0))
        table.add_column(GROUPS[kind], no_wrap=True, style="cyan")
        table.add_column("what it is")
        table.add_column("from", overflow="fold")
        for name, plugin in registry.find(kind).items():
            table.add_row(name, escape(plugin.summary), escape(plugin.place))
        yield table
