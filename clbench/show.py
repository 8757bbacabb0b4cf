"""What `clbench list` and `clbench show` print."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping

from docstring_parser import DocstringStyle, parse
from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from clbench import registry, schema, tuned
from clbench.contract import InputError, Recipe, Scenario, Strategy, nearest
from clbench.execution import Execution
from clbench.grammar import write
from clbench.options import Options, option_keys
from clbench.plugin import Plugin
from clbench.schema import Parameter

TOPICS = ("recipe", "options", "execution")
"""What can be shown besides plugins."""


def show(what: str) -> Iterator[RenderableType]:
    """A page about `strategy=NAME`, `strategy=A+B`, `scenario=NAME` or one of `TOPICS`.

    Raises:
        InputError: It is none of these.
    """
    kind, equals, names = what.partition("=")
    if what == "recipe":
        yield _title("recipe", "optimizer settings, such as recipe.lr=1e-3")
        yield _table(Recipe, schema.parameters(Recipe))
    elif what == "options":
        yield _title("options", "how cells are run, such as device=cpu")
        yield _table(Options, option_keys())
    elif what == "execution":
        yield _title("execution", "how steps are computed, such as precision=bf16")
        yield _table(Execution, schema.parameters(Execution))
    elif kind == "strategy" and equals:
        for name in names.split("+"):
            yield from _strategy(name)
    elif kind == "scenario" and equals:
        yield from _scenario(names)
    else:
        near = nearest(what, ["strategy=NAME", "scenario=NAME", *TOPICS])
        raise InputError(f"nothing to show for '{what}'{near} (clbench list)")


def _strategy(name: str) -> Iterator[RenderableType]:
    plugin = registry.get("strategy", name)
    cls = registry.load("strategy", name)
    yield from _head(plugin, cls)
    yield _table(cls, schema.plugin_parameters("strategy", name))
    if cls.search:
        entries = [f"recipe.{key} {space}" for key, space in cls.search.items()]
        yield _pairs({"searched too": ", ".join(entries)})
    yield from _tuned(plugin)
    if (reference := cls.reference) is not None:
        rows = {
            "paper": reference.paper,
            "url": reference.url,
            "equations": ", ".join(reference.equations),
            "differs": reference.differs,
        }
        yield Text("reference", style="bold")
        yield _pairs({k: v for k, v in rows.items() if v})


def _scenario(name: str) -> Iterator[RenderableType]:
    cls = registry.load("scenario", name)
    yield from _head(registry.get("scenario", name), cls)
    yield _table(cls, schema.plugin_parameters("scenario", name))
    facts = {"version": str(cls.version), "ranked by": cls.main.title}
    if cls.folds:
        facts["folds"] = f"scenario.{cls.folds}=all is one cell for each value"
    if cls.replicates:
        facts["replicates"] = ", ".join(cls.replicates)
    if cls.tuning:
        facts["tuned by"] = cls.tuning.metric.definition
    yield _pairs(facts)
    table = Table("metric", "better", "definition", box=None, padding=(0, 2, 0, 0))
    for metric in cls.metrics:
        better = {True: "higher", False: "lower", None: "-"}[metric.higher_is_better]
        table.add_row(metric.title, better, escape(metric.definition))
    yield table


def _head(plugin: Plugin, cls: type[Strategy] | type[Scenario]) -> Iterator[Text]:
    yield _title(f"{plugin.kind}={plugin.name}", plugin.place)
    doc = parse(inspect.getdoc(cls) or "", DocstringStyle.GOOGLE)
    lines = [plugin.summary, doc.short_description, doc.long_description]
    yield Text("\n".join(dict.fromkeys(line for line in lines if line)))


def _table(cls: type, parameters: Mapping[str, Parameter]) -> RenderableType:
    """One row for each parameter, with its meaning from the docstring."""
    if not parameters:
        return Text("no parameters", style="dim")
    doc = parse(inspect.getdoc(cls) or "", DocstringStyle.GOOGLE)
    if not doc.params:
        doc = parse(inspect.getdoc(cls.__init__) or "", DocstringStyle.GOOGLE)  # type: ignore[misc]
    meanings = {p.arg_name: " ".join((p.description or "").split()) for p in doc.params}
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("parameter", no_wrap=True)
    searched = any(p.space is not None for p in parameters.values())
    names = ("type", "range", "default", *["searched"] * searched, "meaning")
    for column in names:
        table.add_column(column)
    for name, parameter in parameters.items():
        cells = [
            parameter.type_text,
            parameter.range_text,
            write(parameter.default),
            *["" if parameter.space is None else str(parameter.space)] * searched,
            meanings.get(parameter.name, ""),
        ]
        table.add_row(name, *(escape(cell) for cell in cells))
    return table


def _tuned(plugin: Plugin) -> Iterator[RenderableType]:
    """What the strategy was found to need, for each scenario there is."""
    for scenario in registry.find("scenario"):
        for found in tuned.read_tuned(plugin, scenario):
            where = [f"scenario.{k}={write(v)}" for k, v in found.when.items()]
            title = " ".join([f"tuned on scenario={scenario}", *where])
            yield Text(title, style="bold")
            settings = [f"strategy.{k}={write(v)}" for k, v in found.strategy.items()]
            settings += [f"recipe.{k}={write(v)}" for k, v in found.recipe.items()]
            facts = {"settings": " ".join(settings), "chosen by": found.chosen_by}
            if found.trials is not None:
                facts["trials"] = str(found.trials)
            yield _pairs(facts)


def _pairs(rows: Mapping[str, str]) -> Table:
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for name, value in rows.items():
        table.add_row(name, escape(value))
    return table


def _title(name: str, more: str) -> Text:
    return Text.assemble((name, "bold cyan"), f"  {more}")
