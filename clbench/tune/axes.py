"""Where a search looks: the settings that vary, and the values that each may take."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clbench import registry, schema
from clbench.contract import Among, InputError, Recipe, Space, nearest
from clbench.grammar import Setting, write

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Settings = Mapping[str, Any]
"""A value for some keys of the command line."""

DIGITS = 3
"""Of a number that is drawn from a range: more make files that nobody can read."""


@dataclass(frozen=True)
class Axis:
    """A setting that varies.

    Attributes:
        key: What the command line calls it, such as `recipe.lr`.
        space: Its values.
        whole: Whether it takes whole numbers only.
        given: Whether the user listed its values.
    """

    key: str
    space: Space
    whole: bool
    given: bool

    @property
    def values(self) -> tuple[Any, ...] | None:
        """All its values; None where they are a range."""
        return self.space.values if isinstance(self.space, Among) else None

    @property
    def text(self) -> str:
        """It and its values, for people: `recipe.lr 0.001, 0.003 and 0.01`."""
        if self.values is None:
            return f"{self.key} {self.space}"
        *others, last = map(write, self.values)
        listed = f"{', '.join(others)} and {last}" if others else last
        return f"{self.key} {listed}"

    def distribution(self) -> BaseDistribution:
        """As Optuna has it; of listed values their positions."""
        from optuna.distributions import (
            CategoricalDistribution,
            FloatDistribution,
            IntDistribution,
        )

        space = self.space
        if isinstance(space, Among):
            return CategoricalDistribution(range(len(space.values)))
        if self.whole:
            return IntDistribution(int(space.low), int(space.high), log=space.log)
        return FloatDistribution(space.low, space.high, log=space.log)

    def value(self, drawn: Any) -> Any:
        """The setting that stands for what was drawn from `distribution`."""
        space = self.space
        if isinstance(space, Among):
            return space.values[drawn]
        if self.whole:
            return int(drawn)
        rounded = float(f"{drawn:.{DIGITS}g}")
        return min(max(rounded, space.low), space.high)

    def drawn(self, value: Any) -> Any:
        """What `distribution` would have drawn for `value`; None if it has no such."""
        space = self.space
        if isinstance(space, Among):
            return space.values.index(value) if value in space.values else None
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return value if number and space.low <= value <= space.high else None


def declared(strategy: str) -> dict[str, Axis]:
    """What a strategy says is worth a search, by key: parameters, then the recipe."""
    found = {}
    for name, parameter in schema.plugin_parameters("strategy", strategy).items():
        if (space := parameter.space) is not None:
            key = f"strategy.{name}"
            found[key] = Axis(key, space, parameter.whole, given=False)
    recipe = schema.parameters(Recipe)
    for name, space in registry.load("strategy", strategy).search.items():
        if name not in recipe:
            near = nearest(name, recipe)
            raise InputError(
                f"strategy '{strategy}' searches '{name}', which is no entry of the "
                f"recipe{near} (clbench show recipe)"
            )
        key = f"recipe.{name}"
        found[key] = Axis(key, space, recipe[name].whole, given=False)
    return found


def chosen(
    strategy: str, settings: Mapping[str, Setting], over: Sequence[str]
) -> tuple[Axis, ...]:
    """What is searched: what is declared, unless the user says otherwise.

    A key with one value is fixed, one with several takes these.

    Args:
        strategy: Whose.
        settings: The command line.
        over: Keys to which the search is confined; empty is all.

    Raises:
        InputError: Nothing is left, or `over` names a key that is not searched.
    """
    known = declared(strategy)
    for key, setting in settings.items():
        if key.partition(".")[0] not in ("strategy", "recipe") or "." not in key:
            continue
        axis = known.pop(key, None)
        if len(setting.values) > 1:
            values = tuple(dict.fromkeys(map(_hashable, setting.values)))
            whole = axis.whole if axis else False
            known[key] = Axis(key, Among(*values), whole, given=True)
    for key in over:
        if key not in known:
            near = nearest(key, known)
            raise InputError(
                f"--over {key}: it is not searched{near}; list values to search it, "
                f"such as {key}=A,B,C (clbench show strategy={strategy})"
            )
    found = [a for a in known.values() if not over or a.key in over or a.given]
    if not found:
        raise InputError(
            f"strategy={strategy} leaves nothing to search; list values, such as "
            f"recipe.lr=1e-3,3e-3,1e-2 (clbench show strategy={strategy})"
        )
    return tuple(found)


def size(axes: Sequence[Axis]) -> float:
    """How many settings there are in all; infinite where one is a range."""
    counts = [math.inf if a.values is None else len(a.values) for a in axes]
    return math.prod(counts)


def grid(axes: Sequence[Axis]) -> Iterator[dict[str, Any]]:
    """Every combination, as drawn, the last key varying fastest."""
    positions = [range(len(axis.values or ())) for axis in axes]
    for combination in itertools.product(*positions):
        yield {a.key: n for a, n in zip(axes, combination, strict=True)}


def _hashable(value: Any) -> Any:
    """`value`, lists as tuples: values are told apart."""
    return tuple(map(_hashable, value)) if isinstance(value, list) else value
