"""`clbench list`: what there is, without importing any of it; adapters are computed."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from clbench import registry
from clbench.contract import InputError, nearest
from clbench.plugin import GROUPS, Kind

ADAPTERS = "adapters"


def tables(what: str) -> Iterator[RenderableType]:
    """A table of strategies, of scenarios, one of each for `all`, or of adapters.

    Raises:
        InputError: `what` is none of these, or two plugins claim one name.
    """
    if what == ADAPTERS:
        yield from _adapters()
        return
    kinds: list[Kind] = [k for k, group in GROUPS.items() if what in (group, "all")]
    if not kinds:
        near = nearest(what, [*GROUPS.values(), ADAPTERS, "all"])
        raise InputError(f"nothing to list for '{what}'{near} (clbench list --help)")
    for kind in kinds:
        table = Table(box=None, padding=(0, 2, 0, 0))
        table.add_column(GROUPS[kind], no_wrap=True, style="cyan")
        table.add_column("what it is")
        table.add_column("from", overflow="fold")
        plugins = registry.find(kind)
        for name, plugin in plugins.items():
            table.add_row(name, escape(plugin.summary), escape(plugin.place))
        yield table
        further = registry.aliases(plugins.values(), plugins.values())
        for owner in dict.fromkeys(plugin.name for plugin, _ in further.values()):
            names = [name for name, (p, _) in further.items() if p.name == owner]
            yield Text(
                f"{kind}=NAME may also be one of {len(names)} adapters of {owner}, as "
                f"{names[0]} and {names[-1]} are: clbench list {ADAPTERS}"
            )


def _adapters() -> Iterator[RenderableType]:
    """Every variant of every strategy that has some, and where each of them runs."""
    from clbench.cli.gridding import Grid
    from clbench.cli.gridding import tables as tables_of
    from clbench.fitting import Candidate, fits

    plugins = registry.find("strategy")
    scenarios = list(registry.find("scenario"))
    further = registry.aliases(plugins.values(), plugins.values())
    progress = Console(stderr=True)
    for plugin in (p for p in plugins.values() if p.aliases):
        variants = registry.load("strategy", plugin.name).variants()
        candidates = [Candidate(n, plugin.name, p) for n, p in variants.items()]
        with progress.status("") as status:
            found = fits(candidates, scenarios, status.update)
        title = f"adapters of {plugin.name}"
        yield from tables_of(Grid(list(variants), scenarios, found), title)
        for name, params in variants.items():
            if name not in further:
                words = [f"strategy.{key}={value}" for key, value in params.items()]
                line = f"strategy={plugin.name} {' '.join(words)}"
                yield Text(f"'{name}' is another strategy's name: {line}")
