"""`strategy=pego strategy.rank=8 scenario=dg seed=0,1,2` -> resolved cells."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clbench import compose, grammar, places, registry, schema
from clbench.choices import Choices
from clbench.contract import InputError, Recipe, nearest
from clbench.grammar import Setting
from clbench.masking import homely
from clbench.options import Options, option_keys
from clbench.plugin import GROUPS, Kind
from clbench.resolved import EXECUTION, Cell, PluginChoice, Seed, execution
from clbench.schema import Parameter
from clbench.tuned import Tuned, read_tuned

EXPERIMENT = "+experiment"

Values = Mapping[str, Any]
"""One value for each key that is set."""


def resolve(
    overrides: Sequence[str], also: Collection[str] = ()
) -> tuple[list[Cell], Options]:
    """The cells that `overrides` name, in the order of Hydra's sweeps, and the options.

    The leftmost sweep varies slowest. Of a key that is given twice the last counts.
    What a saved configuration sets lies below the command line.

    Args:
        overrides: As the user wrote them.
        also: Keys that the command has besides, to be named where one is misspelt.

    Raises:
        InputError: An override is not understood; one line says what would be.
    """
    given = [grammar.parse(text) for text in overrides]
    files = [Path(s.value) for s in given if s.key == EXPERIMENT]
    given = [s for s in given if s.key != EXPERIMENT]
    saved = [document for file in files for document in grammar.read(file)]
    cells: dict[str, Cell] = {}
    options = Options()
    for document in saved or [[]]:
        settings = _merge(document, given)
        _known(settings, also)
        options = _options(settings)
        if options.plugins is not None:
            places.use(options.plugins)
        for cell in _sweep(settings, options.tuned):
            cells.setdefault(cell.key(), cell)
    return list(cells.values()), options


def _merge(saved: Sequence[Setting], given: Sequence[Setting]) -> dict[str, Setting]:
    """The settings in force, by key.

    A command line that names another plugin than the file leaves the file's parameters
    of its own plugin behind.
    """
    merged = {setting.key: setting for setting in saved}
    for setting in given:
        if setting.key in GROUPS and setting != merged.get(setting.key):
            old = [k for k in merged if k.startswith(f"{setting.key}.")]
            known = {s.key for s in given}
            for key in old:
                if key not in known:
                    del merged[key]
        # Taken out first, so that the last of several is also the last in order.
        merged.pop(setting.key, None)
        merged[setting.key] = setting
    return merged


def _known(settings: Mapping[str, Setting], also: Collection[str]) -> None:
    """Refuse keys that mean nothing, whatever the plugins."""
    options = option_keys()
    recipe = [f"recipe.{name}" for name in schema.parameters(Recipe)]
    single = ["strategy", "scenario", "seed", *EXECUTION, *options]
    for key in settings:
        first, _, rest = key.partition(".")
        if first in GROUPS and rest:
            continue
        if key in single or (first == "recipe" and rest):
            continue
        near = nearest(key, [EXPERIMENT, *single, *recipe, *also])
        raise InputError(f"unknown key '{key}'{near} ({grammar.HELP})")


def _options(settings: Mapping[str, Setting]) -> Options:
    known = option_keys()
    see = schema.see("options")
    values = {
        key.replace(".", "_"): schema.check(known, key, setting.value, key=key, see=see)
        for key, setting in settings.items()
        if key in known
    }
    return Options(**values)


def _sweep(settings: Mapping[str, Setting], tuned: bool) -> Iterator[Cell]:
    """Every combination of the values that are given."""
    options = option_keys()
    axes = {key: s.values for key, s in settings.items() if key not in options}
    sides = {kind: Choices(kind, settings) for kind in GROUPS}
    for combination in itertools.product(*axes.values()):
        values = dict(zip(axes, combination, strict=True))
        yield from _cells(values, sides, tuned)


@dataclass
class _Entries:
    """Values of one plugin, or of the recipe, and where each comes from."""

    values: dict[str, Any]
    origins: dict[str, str]

    def put(self, name: str, value: Any, origin: str) -> None:
        """Set one, unless it has that value already; entries are laid over others."""
        old = self.values.get(name)
        if isinstance(old, dict) and isinstance(value, dict):
            value = {**old, **value}
        if name not in self.values or self.values[name] != value:
            self.values[name] = value
            self.origins[name] = origin


def _cells(
    values: Values, sides: Mapping[Kind, Choices], tuned: bool
) -> Iterator[Cell]:
    """The cells of one combination: one, or one for each fold."""
    choice, name = values["strategy"], values["scenario"]
    scenario = _defaults(sides["scenario"].schemas[name])
    for key, value in sides["scenario"].given(name, values)[name].items():
        scenario.put(key, value, "user")
    user = sides["strategy"].given(choice, values)
    for fold in _folds(name, scenario, sides["scenario"]):
        strategies = {m: _defaults(sides["strategy"].schemas[m]) for m in user}
        recipe = _Entries({}, {})
        applied = _tune(strategies, recipe, name, fold, sides) if tuned else []
        for member, entries in strategies.items():
            for key, value in user[member].items():
                entries.put(key, value, "user")
        for key, value in _recipe(_below("recipe", values), "recipe").items():
            recipe.put(key, value, "user")
        plain = dict(_plain(m, entries) for m, entries in strategies.items())
        several = len(plain) > 1
        parts = {
            f"strategy.{m}." if several else "strategy.": entries
            for m, entries in plain.items()
        } | {"scenario.": fold, "recipe.": recipe}
        yield Cell(
            strategy=tuple(PluginChoice(m, homely(e.values)) for m, e in plain.items()),
            scenario=PluginChoice(name, homely(fold.values)),
            seed=_seed(values),
            recipe=recipe.values,
            origins={p + k: o for p, e in parts.items() for k, o in e.origins.items()},
            tuned=tuned,
            trials=_trials(applied),
            execution=execution({k: values[k] for k in EXECUTION if k in values}),
        )


@dataclass
class _Applied:
    """Tuned settings that were laid over defaults: where, and which values."""

    trials: int | None
    laid: list[tuple[_Entries, str, Any]]


def _trials(applied: Sequence[_Applied]) -> int | None:
    """How many settings were tried to choose those in force; None is not known."""
    force = [a for a in applied if any(e.values[k] == v for e, k, v in a.laid)]
    known = [a.trials for a in force if a.trials is not None]
    return sum(known) if force and len(known) == len(force) else None


def _plain(name: str, entries: _Entries) -> tuple[str, _Entries]:
    """A plugin's own name, and all its parameters: those that an alias sets too."""
    plugin, fixed = registry.preset("strategy", name)
    if not fixed:
        return plugin, entries
    every = _defaults(schema.plugin_parameters("strategy", plugin))
    for key, value in entries.values.items():
        every.values[key], every.origins[key] = value, entries.origins[key]
    for key, value in fixed.items():
        every.put(key, value, "user")
    return plugin, every


def _below(first: str, values: Values) -> dict[str, Any]:
    """The values whose keys begin with `first`, by the rest of their keys."""
    start = f"{first}."
    return {k.removeprefix(start): v for k, v in values.items() if k.startswith(start)}


def _defaults(parameters: Mapping[str, Parameter]) -> _Entries:
    values = {name: parameter.default for name, parameter in parameters.items()}
    return _Entries(values, dict.fromkeys(values, "default"))


def _folds(plugin: str, entries: _Entries, side: Choices) -> Iterator[_Entries]:
    """`entries`, or one copy for each value that `all` stands for."""
    scenario = registry.load("scenario", plugin)
    name = scenario.folds
    if name is None or entries.values.get(name) != "all":
        yield entries
        return
    for value in scenario.fold_values(entries.values):
        fold = _Entries(dict(entries.values), dict(entries.origins))
        fold.put(name, side.check(plugin, name, value, f"scenario.{name}"), "user")
        yield fold


def _tune(
    strategies: Mapping[str, _Entries],
    recipe: _Entries,
    scenario: str,
    fold: _Entries,
    sides: Mapping[Kind, Choices],
) -> list[_Applied]:
    """Lay tuned settings over the defaults; what was laid.

    The recipe is that of the member that prepares the model, or of the first.
    """
    classes = {name: registry.load("strategy", name) for name in strategies}
    leader = compose.owner("prepare", classes) or next(iter(strategies))
    applied = []
    for name, entries in strategies.items():
        known = read_tuned(registry.get("strategy", name), scenario)
        holds = [t for t in known if _applies(t, fold, sides["scenario"], scenario)]
        if not holds:
            continue
        tuned = holds[0]
        applied.append(_Applied(tuned.trials, []))
        for key, value in tuned.strategy.items():
            where = f"{tuned.path.name}: strategy.{key}"
            checked = sides["strategy"].check(name, key, value, where)
            entries.put(key, checked, tuned.origin)
            applied[-1].laid.append((entries, key, entries.values[key]))
        if name == leader:
            where = f"{tuned.path.name}: recipe"
            for key, value in _recipe(tuned.recipe, where).items():
                recipe.put(key, value, tuned.origin)
                applied[-1].laid.append((recipe, key, value))
    return applied


def _applies(tuned: Tuned, fold: _Entries, side: Choices, scenario: str) -> bool:
    def one_of(key: str, values: Sequence[Any]) -> bool:
        where = f"{tuned.path.name}: when.{key}"
        checked = [side.check(scenario, key, value, where) for value in values]
        return fold.values[key] in checked

    return all(one_of(key, values) for key, values in tuned.options.items())


def _recipe(entries: Mapping[str, Any], where: str) -> dict[str, Any]:
    """`entries` of the recipe, checked; `where` they stand is told to the user."""
    known = schema.parameters(Recipe)
    see = schema.see("recipe")
    return {
        name: schema.check(known, name, value, key=f"{where}.{name}", see=see)
        for name, value in entries.items()
    }


def _seed(values: Values) -> int:
    seed = Parameter("seed", Seed, 0)
    see = grammar.HELP
    checked = schema.check(
        {"seed": seed}, "seed", values.get("seed", 0), key="seed", see=see
    )
    return int(checked)
