"""What is to be run: resolved cells."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import yaml
from annotated_types import Ge
from pydantic_core import to_jsonable_python

from clbench import schema
from clbench.contract import Recipe
from clbench.execution import Execution
from clbench.grammar import write
from clbench.masking import clean, homely
from clbench.plugin import Kind

if TYPE_CHECKING:
    from clbench.record import Record


@dataclass(frozen=True)
class PluginChoice:
    """A plugin and all its parameters.

    Attributes:
        name: What the command line calls it.
        params: A value for every keyword, defaults included.
    """

    name: str
    params: Mapping[str, Any]


@dataclass(frozen=True)
class Cell:
    """One strategy on one scenario, with every parameter resolved.

    Attributes:
        strategy: One plugin, or several that learn together.
        scenario: What is learned.
        seed: Of everything random.
        recipe: Entries that replace those of the scenario's recipe.
        execution: How steps are computed, where that is not as usual; see `Execution`.
        origins: Where each value comes from, by its key on the command line:
            `default`, `tuned:<hash of the file>` or `user`. One of the values that
            `all` stands for counts as given by the user.
        tuned: Whether tuned settings may apply.
        trials: How many settings were tried to choose its tuned ones; None where it has
            none, or where nothing says.
    """

    strategy: tuple[PluginChoice, ...]
    scenario: PluginChoice
    seed: int
    recipe: Mapping[str, Any]
    origins: Mapping[str, str] = field(default_factory=dict)
    tuned: bool = True
    trials: int | None = None
    execution: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The strategy's name; those of its members joined by `+`."""
        return "+".join(member.name for member in self.strategy)

    def items(self) -> Iterator[tuple[str, Any]]:
        """Every key of the command line but the plugins' names, with its value."""
        for member in self.strategy:
            prefix = f"strategy.{member.name}" if self.strategy[1:] else "strategy"
            yield from ((f"{prefix}.{k}", v) for k, v in member.params.items())
        yield from ((f"scenario.{k}", v) for k, v in self.scenario.params.items())
        yield from ((f"recipe.{k}", v) for k, v in self.recipe.items())
        yield from self.execution.items()

    def given(self) -> list[tuple[str, Any]]:
        """What a user must write to get this cell and no other."""
        return [
            (k, v)
            for k, v in self.items()
            if self.origins.get(k) == "user" or k in self.execution
        ]

    def key(self) -> str:
        """12 hexadecimal digits that tell this configuration from any other.

        Where values came from, the device and the folder of records do not enter.
        """
        plain = self.to_dict()
        for name in ("origins", "tuned", "trials"):
            del plain[name]
        if not plain["execution"]:
            # Keys are those of before there was a choice.
            del plain["execution"]
        text = json.dumps(clean(plain), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def label(self) -> str:
        """A short text that tells it from its neighbours: what is not default."""
        given = [f"{k.partition('.')[2] or k}={write(v)}" for k, v in self.given()]
        texts = [self.name, f"on {self.scenario.name}", *given, f"seed={self.seed}"]
        return " ".join(texts)

    def command(self) -> str:
        """The command that runs exactly this cell again."""
        settings: list[tuple[str, Any]] = [
            ("strategy", self.name),
            ("scenario", self.scenario.name),
            *self.given(),
            ("seed", self.seed),
        ]
        if not self.tuned:
            settings.append(("tuned", False))
        words = [shlex.quote(f"{k}={write(v)}") for k, v in settings]
        return " ".join(["clbench run", *words])

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as JSON holds them."""
        plain: dict[str, Any] = to_jsonable_python(
            {
                "strategy": [_choice(member) for member in self.strategy],
                "scenario": _choice(self.scenario),
                "seed": self.seed,
                "recipe": dict(self.recipe),
                "execution": dict(self.execution),
                "origins": dict(self.origins),
                "tuned": self.tuned,
                "trials": self.trials,
            }
        )
        return plain

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Cell:
        """The cell that gave `plain` in `to_dict`.

        Raises:
            InputError: A plugin is unknown here, or does not take its parameters.
        """
        recipe = schema.parameters(Recipe)
        return cls(
            strategy=tuple(
                _chosen("strategy", entry["name"], entry["params"])
                for entry in plain["strategy"]
            ),
            scenario=_chosen(
                "scenario", plain["scenario"]["name"], plain["scenario"]["params"]
            ),
            seed=plain["seed"],
            recipe={
                name: schema.check(
                    recipe, name, value, key=f"recipe.{name}", see=schema.see("recipe")
                )
                for name, value in plain["recipe"].items()
            },
            origins=dict(plain["origins"]),
            tuned=plain["tuned"],
            # Checkpoints of before do not have it.
            trials=plain.get("trials"),
            execution=execution(plain.get("execution", {})),
        )

    @classmethod
    def from_record(cls, record: Record) -> Cell:
        """The cell that left `record`, whatever is tuned or default by now.

        Raises:
            InputError: A plugin is unknown here, or does not take its parameters.
        """
        members = [
            {"name": m.name, "params": m.params} for m in record.strategy.members
        ]
        scenario = {"name": record.scenario.name, "params": record.scenario.params}
        return cls.from_dict(
            {
                "strategy": members,
                "scenario": scenario,
                "seed": record.seed,
                "recipe": {n: record.recipe[n] for n in record.set_in_recipe},
                "origins": record.origins,
                "tuned": "tuned=false" not in shlex.split(record.command),
                "trials": record.trials,
                "execution": record.execution.settings.chosen(),
            }
        )

    def to_yaml(self) -> str:
        """A document that `+experiment=FILE` reads back to this cell."""
        tree: dict[str, Any] = {
            "strategy": {"name": write(self.name)},
            "scenario": {"name": write(self.scenario.name)},
        }
        for key, value in self.items():
            *parents, name = key.split(".")
            branch = tree
            for parent in parents:
                branch = branch.setdefault(parent, {})
            branch[name] = _written(to_jsonable_python(value))
        tree |= {"seed": self.seed, "tuned": self.tuned}
        return yaml.safe_dump(tree, sort_keys=False)


def execution(values: Mapping[str, Any]) -> dict[str, Any]:
    """What of `values` is not default, checked; see `Execution`.

    Raises:
        InputError: One of them is out of range.
    """
    known, see = schema.parameters(Execution), schema.see("execution")
    checked = {
        name: schema.check(known, name, value, key=name, see=see)
        for name, value in values.items()
    }
    return Execution(**checked).chosen()


EXECUTION = tuple(Execution.__dataclass_fields__)
"""Keys of the command line that say how steps are computed."""

Seed = Annotated[int, Ge(0)]
"""A whole number, at least 0."""


def _written(plain: Any) -> Any:
    """Plain values as a document holds them: texts as the command line takes them."""
    if isinstance(plain, dict):
        return {key: _written(value) for key, value in plain.items()}
    return write(plain) if isinstance(plain, str) else plain


def _choice(choice: PluginChoice) -> dict[str, Any]:
    return {"name": choice.name, "params": dict(choice.params)}


def _chosen(kind: Kind, name: str, params: Mapping[str, Any]) -> PluginChoice:
    known = schema.plugin_parameters(kind, name)
    values = {
        key: schema.check(
            known, key, value, key=f"{kind}.{key}", see=schema.see(kind, name)
        )
        for key, value in params.items()
    }
    return PluginChoice(name, homely(values))
