"""What a record must be to join the published ones.

A hash in a record tells an edit by accident from what was written; it does not stop
anybody who wants to lie. That is what running a record again is for.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from packaging.version import InvalidVersion, Version

from clbench import __version__, registry, schema
from clbench.contract import Budget, InputError, Scenario, nearest
from clbench.plugin import Kind
from clbench.record import Plugin, Record
from clbench.resolved import Cell, PluginChoice


class Refused(Exception):
    """A record may not join; the message is the reason."""


def look(
    record: Record, published: Sequence[Record], allow_dirty: bool
) -> Iterator[str]:
    """Notes on a record that may join.

    Args:
        record: Read, so that its hash fits and its fields are known.
        published: Records of its scenario that are published already.
        allow_dirty: Whether it may come from a checkout with changes.

    Raises:
        Refused: It may not.
    """
    if record.status in ("failed", "interrupted"):
        raise Refused(f"its cell {record.status}: {record.reason}")
    _finite(record.model_dump(mode="python"))
    scenario = _scenario(record)
    for member in record.strategy.members:
        yield from _plugin("strategy", member)
    yield from _plugin("scenario", record.scenario)
    if _key(record) != record.key:
        raise Refused(f"its key {record.key} is not that of its configuration")
    if record.environment.dirty:
        if not allow_dirty:
            raise Refused(
                "it was made in a checkout with changes, which nobody can run again "
                "(commit them and run it again, or submit with --allow-dirty)"
            )
        yield "made in a checkout with changes: boards mark it"
    if record.status == "ok":
        _scored(record, scenario)
    yield from _budget(record, scenario, published)
    for name in scenario.incidental:
        value = record.scenario.params.get(name)
        if isinstance(value, str):
            yield f"its command names a folder of yours: scenario.{name}={value}"


def _scenario(record: Record) -> type[Scenario]:
    part = record.scenario
    try:
        scenario = registry.load("scenario", part.name)
    except InputError as error:
        raise Refused(str(error)) from error
    if part.version != scenario.version:
        raise Refused(
            f"it is of version {part.version} of {part.name}, which is now "
            f"{scenario.version}"
        )
    return scenario


def _plugin(kind: Kind, plugin: Plugin) -> Iterator[str]:
    """Notes on where a plugin came from.

    Raises:
        Refused: It claims to come from where it is not known.
    """
    origin = plugin.origin
    what = f"{kind} '{plugin.name}'"
    if origin.kind == "local":
        yield f"{what} is local: its source is not published, boards mark it"
        return
    if origin.distribution is None or origin.version is None:
        raise Refused(f"{what} names no package and version that it comes from")
    if origin.kind == "installed":
        yield f"{what} comes from {origin.distribution} {origin.version}"
        return
    if _newer(origin.version):
        raise Refused(
            f"{what} is that of clbench {origin.version}, which is not known here "
            f"({__version__}): install it"
        )
    try:
        here = registry.get(kind, plugin.name)
        known = schema.plugin_parameters(kind, plugin.name)
    except InputError as error:
        raise Refused(str(error)) from error
    if here.origin.kind != "built in":
        raise Refused(f"{what} is said to be built in, but is not in clbench")
    for name in plugin.params:
        if name not in known:
            near = nearest(name, known)
            raise Refused(f"{what} has no parameter '{name}'{near}")
    if here.origin.sha256 != origin.sha256:
        yield f"the source of {what} has changed since"


def _newer(version: str) -> bool:
    try:
        return Version(version) > Version(__version__)
    except InvalidVersion as error:
        raise Refused(f"'{version}' is no version of clbench") from error


def _key(record: Record) -> str:
    """The key of the configuration that is in `record`."""
    return Cell(
        strategy=tuple(PluginChoice(m.name, m.params) for m in record.strategy.members),
        scenario=PluginChoice(record.scenario.name, record.scenario.params),
        seed=record.seed,
        recipe={name: record.recipe.get(name) for name in record.set_in_recipe},
    ).key()


def _finite(value: Any, place: str = "") -> None:
    """Refuse numbers that are none, wherever they are."""
    if isinstance(value, float) and not math.isfinite(value):
        raise Refused(f"{value} at '{place}' is no finite number")
    parts: Any = ()
    if isinstance(value, Mapping):
        parts = value.items()
    elif isinstance(value, list | tuple):
        parts = enumerate(value)
    for key, part in parts:
        _finite(part, f"{place}.{key}".lstrip("."))


def _scored(record: Record, scenario: type[Scenario]) -> None:
    """Refuse a record from which the number that ranks cannot be computed."""
    if not record.rows or record.cost is None:
        raise Refused("its cell ended well, yet it has no rows or no cost")
    try:
        scores = scenario.scores(record.matrix(), record.scenario.params)
    except (KeyError, IndexError, ValueError) as error:
        raise Refused(f"its rows cannot be scored: {error!r}") from error
    main = scenario.main
    if main not in scenario.compared and math.isnan(scores.get(main.name, math.nan)):
        raise Refused(f"{main.title}, which ranks, is not defined on its rows")
    budget = record.budget["steps"] * record.budget["models"]
    if record.cost.steps > budget:
        raise Refused(f"it took {record.cost.steps} steps of a budget of {budget}")


# --- the budget ---


def _budget(
    record: Record, scenario: type[Scenario], published: Sequence[Record]
) -> Iterator[str]:
    """A note where the budget cannot be looked at.

    A record has the default budget of its data, or one that a board has already.

    Raises:
        Refused: It has neither.
    """
    part = record.scenario
    try:
        known = schema.plugin_parameters("scenario", part.name)
        params = {
            key: schema.check(
                known,
                key,
                value,
                key=f"scenario.{key}",
                see=schema.see("scenario", part.name),
            )
            for key, value in part.params.items()
        }
        defaults = {key: parameter.default for key, parameter in known.items()}
        own, default, keys = _budgets(record, scenario, params, defaults)
    except InputError as error:
        yield f"its budget could not be compared with the default one: {error}"
        return
    if _plain(own) != record.budget:
        raise Refused(
            f"its budget is {_text(record.budget)}, its parameters give "
            f"{_text(_plain(own))}"
        )
    on_board = any(
        other.status == "ok"
        and other.scenario.card.data == part.card.data
        and other.terms == record.terms
        for other in published
    )
    if keys and not on_board:
        given = " ".join(f"scenario.{key}={part.params[key]}" for key in keys)
        raise Refused(
            f"{given} makes its budget {_text(record.budget)}, where "
            f"{_text(_plain(default))} is the default for {part.card.data}; no board "
            f"has another"
        )


def _budgets(
    record: Record,
    scenario: type[Scenario],
    params: Mapping[str, Any],
    defaults: Mapping[str, Any],
) -> tuple[Budget, Budget, list[str]]:
    """The budget of `params`, the default one, and the keys that part them.

    Numbers set the budget, texts and lists what is learned: those numbers are taken
    back that its user set and that change the budget.

    Raises:
        InputError: The scenario cannot be made here.
    """
    free = (*scenario.incidental, *scenario.replicates, scenario.folds)

    def budget(**changed: Any) -> Budget:
        values: dict[str, Any] = {**params, **changed, "seed": record.seed}
        try:
            return scenario(**values).budget
        except InputError:
            # The data of whoever made the record need not be here.
            there = {key: defaults[key] for key in scenario.incidental}
            return scenario(**{**values, **there}).budget

    own = budget()
    keys = [
        key
        for key, value in params.items()
        if record.origins.get(f"scenario.{key}") == "user"
        and isinstance(value, int | float)
        and not isinstance(value, bool)
        and key not in free
        and budget(**{key: defaults[key]}) != own
    ]
    return own, budget(**{key: defaults[key] for key in keys}), keys


def _plain(budget: Budget) -> dict[str, Any]:
    return dict(vars(budget))


def _text(budget: Mapping[str, Any]) -> str:
    every = budget["evaluate_every"]
    often = f", evaluated every {every}" if every else ""
    several = f" for each of {budget['models']} models" if budget["models"] > 1 else ""
    return f"{budget['steps']} steps of {budget['batch_size']}{often}{several}"
