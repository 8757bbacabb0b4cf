"""What is searched: the command line of `clbench tune`, read and refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pydantic_core import to_jsonable_python

from clbench import config, grammar, registry
from clbench.contract import InputError, Scenario, Tuning
from clbench.grammar import Setting, write
from clbench.options import Options
from clbench.resolved import Cell
from clbench.tune.axes import Axis, Settings, chosen, size

SEED = 100
"""Seeds below it are those of boards."""

TRIALS = 20
"""Where nobody says how many, and not every value is listed."""

SEE = "clbench tune --help"


@dataclass(frozen=True)
class Search:
    """Which settings are tried, on what, and by which number they are compared.

    Attributes:
        strategy: Name of the strategy.
        scenario: Name of the scenario.
        tuning: The scenario's rule.
        axes: What varies.
        words: What does not, as the command line has it.
        params: The scenario's parameters that the user set.
        seed: Of the cells, and of what is tried.
        trials: How many settings are tried.
        options: How cells are run.
    """

    strategy: str
    scenario: str
    tuning: Tuning
    axes: tuple[Axis, ...]
    words: tuple[str, ...]
    params: tuple[str, ...]
    seed: int
    trials: int
    options: Options

    def cells(self, settings: Settings) -> list[Cell]:
        """The cells of a trial, one for each fold.

        Raises:
            InputError: The strategy does not take one of the values.
        """
        words = [f"{key}={write(value)}" for key, value in settings.items()]
        cells, _ = config.resolve([*self.words, *words])
        return cells

    @cached_property
    def default(self) -> list[Cell]:
        """The cells of what nobody has tuned."""
        return self.cells({})

    @property
    def is_grid(self) -> bool:
        """Whether every combination is tried."""
        return size(self.axes) <= self.trials

    @cached_property
    def key(self) -> str:
        """8 hexadecimal digits that tell it from others; longer searches share it."""
        axes = [[a.key, str(a.space), type(a.space).__name__] for a in self.axes]
        text = json.dumps([[cell.key() for cell in self.default], axes])
        return hashlib.sha256(text.encode()).hexdigest()[:8]

    @property
    def rule(self) -> str:
        """How the winner is chosen, as the start of a sentence."""
        metric, usual = self.tuning.metric, self._laid
        most = "largest" if self.tuning.up else "smallest"
        laid = ", ".join(f"{k}={write(v)}" for k, v in usual.items())
        told = f" ({laid})" if laid else ""
        return f"{most} {metric.definition}{told}, at seed {self.seed}"

    @property
    def _laid(self) -> dict[str, Any]:
        """The parameters of `Tuning.usual`, as they are in its cells."""
        params = self.default[0].scenario.params
        return {name: params[name] for name in self.tuning.usual}

    @property
    def asked(self) -> list[str]:
        """The words that name the problem, without what a search lays over it."""
        laid = {f"scenario.{k}" for k in (*self.tuning.fixed, *self.tuning.usual)}
        aside = {"seed", "tuned", *laid}
        return [word for word in self.words if word.partition("=")[0] not in aside]

    @property
    def when(self) -> dict[str, Any]:
        """The scenario's parameters that what is found holds for."""
        params: dict[str, Any] = to_jsonable_python(
            dict(self.default[0].scenario.params)
        )
        names = dict.fromkeys([*self.tuning.within, *self.params])
        return {name: params[name] for name in names}


def read(words: Sequence[str], trials: int | None, over: Sequence[str]) -> Search:
    """The search that a command line asks for.

    Args:
        words: Overrides, as the user wrote them.
        trials: How many settings to try at the most; None is all of a listed grid,
            else `TRIALS`.
        over: Keys to which it is confined; empty is all that is declared.

    Raises:
        InputError: It has no meaning; one line says what would.
    """
    settings = {s.key: s for s in map(grammar.parse, words)}
    if config.EXPERIMENT in settings:
        raise InputError(
            f"{config.EXPERIMENT}=FILE is for `clbench run`; write keys ({SEE})"
        )
    varies = {
        key
        for key, setting in settings.items()
        if key.startswith(("strategy.", "recipe.")) and len(setting.values) > 1
    }
    _one_of_each(settings, varies)
    fixed = [word for word in words if grammar.parse(word).key not in varies]
    # Everything but what varies is looked at here, plugins included.
    _, options = config.resolve(fixed)
    strategy, scenario = settings["strategy"].value, settings["scenario"].value
    _own_name(strategy)
    kind = registry.load("scenario", scenario)
    tuning = kind.tuning
    if tuning is None:
        raise InputError(
            f"scenario={scenario} does not say how settings are chosen on held-out "
            f"training data, so nothing is tuned on it (Scenario.tuning: "
            f"docs/tuning.md)"
        )
    _judge_stays(settings, tuning)
    _folds_stay(settings, kind)
    seed = _seed(settings)
    axes = chosen(strategy, settings, over)
    if trials is None:
        listed = size(axes) <= TRIALS or all(axis.given for axis in axes)
        trials = int(size(axes)) if listed else TRIALS
    usual = {k: v for k, v in tuning.usual.items() if f"scenario.{k}" not in settings}
    laid = {**usual, **tuning.fixed}
    kept = [w for w in fixed if grammar.parse(w).key not in ("seed", "tuned")]
    search = Search(
        strategy=strategy,
        scenario=scenario,
        tuning=tuning,
        axes=axes,
        words=(
            *kept,
            *(f"scenario.{k}={write(v)}" for k, v in laid.items()),
            f"seed={seed}",
            "tuned=false",
        ),
        params=_set(settings, kind, tuning),
        seed=seed,
        trials=trials,
        options=options,
    )
    _takes_all(search)
    return search


def _one_of_each(settings: Mapping[str, Setting], varies: set[str]) -> None:
    """Refuse sweeps of what is not searched."""
    for key, setting in settings.items():
        if len(setting.values) > 1 and key not in varies:
            known = "one search at a time" if "." not in key else "it is not searched"
            raise InputError(
                f"{key}={','.join(map(write, setting.values))}: {known}; give one "
                f"value, such as {key}={write(setting.values[0])} ({SEE})"
            )
    if "tuned" in settings and settings["tuned"].value is not False:
        raise InputError(
            f"tuned={write(settings['tuned'].value)}: a search starts from defaults, "
            f"whatever was tuned before; leave it out ({SEE})"
        )


def _own_name(strategy: str) -> None:
    """Refuse what no file of tuned settings can say."""
    members = strategy.split("+")
    if len(members) > 1:
        raise InputError(
            f"strategy={strategy}: tuned settings are those of one strategy; tune "
            f"strategy={members[0]} ({SEE})"
        )
    plugin, params = registry.preset("strategy", strategy)
    if params:
        ((key, value),) = params.items()
        raise InputError(
            f"strategy={strategy} is {plugin} under another name, and tuned settings "
            f"are {plugin}'s: write strategy={plugin} strategy.{key}={write(value)}"
        )


def _judge_stays(settings: Mapping[str, Setting], tuning: Tuning) -> None:
    """Refuse whatever would let test data judge."""
    for name, value in tuning.fixed.items():
        key = f"scenario.{name}"
        if key in settings and settings[key].value != value:
            raise InputError(
                f"{key}={write(settings[key].value)}: settings are chosen with "
                f"{key}={write(value)}, on held-out training data, and on nothing "
                f"else; leave it out ({SEE})"
            )


def _folds_stay(settings: Mapping[str, Setting], scenario: type[Scenario]) -> None:
    """Refuse one fold: what is tuned holds for all of them."""
    key = f"scenario.{scenario.folds}"
    if key in settings and settings[key].value != "all":
        raise InputError(
            f"{key}={write(settings[key].value)}: a trial takes every "
            f"{scenario.folds}, as tuned settings hold for all; leave it out ({SEE})"
        )


def _seed(settings: Mapping[str, Setting]) -> int:
    seed = settings["seed"].value if "seed" in settings else SEED
    if not isinstance(seed, int) or isinstance(seed, bool) or seed < SEED:
        raise InputError(
            f"seed={write(seed)}: seeds below {SEED} are those of boards, on which "
            f"nothing may be chosen; take seed={SEED} or one above ({SEE})"
        )
    return seed


def _set(
    settings: Mapping[str, Setting], scenario: type[Scenario], tuning: Tuning
) -> tuple[str, ...]:
    """Parameters of the scenario that its user set and that make another problem."""
    aside = {
        *tuning.fixed,
        *tuning.usual,
        *scenario.incidental,
        *scenario.replicates,
        scenario.folds,
    }
    names = [k.removeprefix("scenario.") for k in settings if k.startswith("scenario.")]
    return tuple(name for name in names if name not in aside)


def _takes_all(search: Search) -> None:
    """Refuse a listed value that the strategy or the recipe does not take."""
    for axis in search.axes:
        for value in axis.values or ():
            search.cells({axis.key: value})
