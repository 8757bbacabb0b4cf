"""The plugins that a command line chooses from, and which of them a key speaks to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from clbench import compose, grammar, registry, schema
from clbench.contract import InputError, nearest
from clbench.grammar import Setting
from clbench.plugin import GROUPS, Kind
from clbench.schema import Parameter


class Choices:
    """The strategies, or the scenarios, of a command line.

    Args:
        kind: Which.
        settings: The whole command line.

    Raises:
        InputError: None is named, one is unknown, or no one takes a key.
    """

    def __init__(self, kind: Kind, settings: Mapping[str, Setting]) -> None:
        self.kind = kind
        if kind not in settings:
            known = ", ".join(registry.find(kind))
            raise InputError(
                f"{kind}=NAME is missing; there are: {known or 'none'} "
                f"(clbench list {GROUPS[kind]})"
            )
        self.schemas: dict[str, dict[str, Parameter]] = {}
        self.choices = {value: self._members(value) for value in settings[kind].values}
        for setting in settings.values():
            if setting.key.startswith(f"{kind}."):
                self._taken(setting)

    def _members(self, value: Any) -> tuple[str, ...]:
        listed = f"clbench list {GROUPS[self.kind]}"
        if not isinstance(value, str) or not value:
            text = grammar.write(value)
            raise InputError(f"{self.kind}={text} is no name of a plugin ({listed})")
        names = tuple(value.split("+")) if self.kind == "strategy" else (value,)
        for name in names:
            if names.count(name) > 1:
                raise InputError(
                    f"strategy={value} has '{name}' twice; once is enough ({listed})"
                )
            if name not in self.schemas:
                self.schemas[name] = schema.plugin_parameters(self.kind, name)
        plugins = [registry.preset(self.kind, name)[0] for name in names]
        for plugin in plugins:
            if plugins.count(plugin) > 1:
                raise InputError(
                    f"strategy={value} has '{plugin}' twice, under two names; once is "
                    f"enough ({listed})"
                )
        if len(names) > 1:
            classes = {name: registry.load("strategy", name) for name in names}
            for hook in ("prepare", "groups"):
                compose.owner(hook, classes)
        return names

    def owners(self, choice: str, key: str) -> list[str]:
        """Members of `choice` that the key may speak to."""
        members, name, inner = self._parts(choice, key)
        return [
            n
            for n in members
            if name in self.schemas[n]
            and (not inner or self.schemas[n][name].has_entries)
        ]

    def _parts(self, choice: str, key: str) -> tuple[tuple[str, ...], str, list[str]]:
        """Members that the key names, their parameter, and the path of its entry."""
        members = self.choices[choice]
        _, first, *rest = key.split(".")
        if rest and self.kind == "strategy" and first in members:
            members = (first,)
            first, *rest = rest
        return members, first, rest

    def given(
        self, choice: str, values: Mapping[str, Any]
    ) -> dict[str, dict[str, Any]]:
        """What `values` sets, checked, by member and parameter.

        A key that another choice of a sweep takes is passed over.
        """
        found: dict[str, dict[str, Any]] = {name: {} for name in self.choices[choice]}
        for key, value in values.items():
            if not key.startswith(f"{self.kind}."):
                continue
            owners = self.owners(choice, key)
            _, name, inner = self._parts(choice, key)
            if len(owners) > 1:
                rest = ".".join([name, *inner])
                ways = [f"strategy.{o}.{rest}={grammar.write(value)}" for o in owners]
                raise InputError(
                    f"{key} may mean either in strategy={choice}: write "
                    f"{' or '.join(ways)} ({grammar.HELP})"
                )
            for owner in owners:
                whole = _put(found[owner].get(name) or {}, inner, value)
                found[owner][name] = self.check(owner, name, whole, key)
        return found

    def check(self, member: str, name: str, value: Any, key: str) -> Any:
        """`value` as the parameter takes it."""
        see = schema.see(self.kind, member)
        return schema.check(self.schemas[member], name, value, key=key, see=see)

    def _taken(self, setting: Setting) -> None:
        """Refuse a key that no choice takes."""
        if any(self.owners(choice, setting.key) for choice in self.choices):
            return
        members = list(self.schemas)
        _, *middle, name = setting.key.split(".")
        if self.kind == "scenario" and name == "seed":
            raise InputError("scenario.seed is the cell's: write seed=0,1,2")
        if middle and (self.kind == "scenario" or ".".join(middle) not in members):
            asked = ".".join(middle)
            known = _union(self.schemas)
            entries = [n for n, p in known.items() if p.has_entries]
            near = nearest(asked, [*members, *entries])
            raise InputError(
                f"{setting.key}: '{asked}' is no member of {self.kind}="
                f"{','.join(self.choices)}{near} ({grammar.HELP})"
            )
        asked = middle[0] if middle else members[0]
        known = self.schemas[asked] if middle else _union(self.schemas)
        see = schema.see(self.kind, asked if middle else "+".join(members))
        schema.check(known, name, setting.values[0], key=setting.key, see=see)


def _union(schemas: Mapping[str, Mapping[str, Parameter]]) -> dict[str, Parameter]:
    return {k: p for known in schemas.values() for k, p in known.items()}


def _put(whole: Any, path: Sequence[str], value: Any) -> Any:
    """`whole` with the entry at `path` set to `value`; `value` where there is none."""
    if not path:
        return value
    first, *rest = path
    inner = whole.get(first)
    return {**whole, first: _put(inner if isinstance(inner, dict) else {}, rest, value)}
