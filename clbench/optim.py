"""An optimizer made from a strategy's groups: schedules, clipping, late arrivals."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from clbench.contract import Group, Recipe, Schedule


class Unnamed(ValueError):
    """What is trained cannot be written down; the message says what it is."""


class Groups:
    """The running optimizer and, for each of its groups, when and how fast it goes.

    Args:
        groups: What is trained; at least one group with a parameter.
        recipe: Which optimizer, and the schedule of groups that name none.
        steps: Optimizer steps of the experience, over which schedules are shaped.
    """

    def __init__(self, groups: Sequence[Group], recipe: Recipe, steps: int) -> None:
        self._recipe = recipe
        self._steps = steps
        self._members: list[tuple[Group, Callable[[int], float], int]] = []
        groups = [group for group in groups if group.params]
        self.optimizer = _optimizer([self._entry(group) for group in groups], recipe)
        for group in groups:
            self._join(group, 0)

    def add(self, group: Group, step: int) -> None:
        """Let `group` enter at `step`; its schedule counts from there.

        Raises:
            ValueError: A parameter is already in the optimizer.
        """
        self.optimizer.add_param_group(self._entry(group))
        self._join(group, step)

    @property
    def parameters(self) -> list[nn.Parameter]:
        """All that is trained."""
        return [p for entry in self.optimizer.param_groups for p in entry["params"]]

    def named(self, name: str) -> Group:
        """The group of that name.

        Raises:
            ValueError: There is none.
        """
        for group, _, _ in self._members:
            if group.name == name:
                return group
        known = ", ".join(f"'{group.name}'" for group, _, _ in self._members)
        raise ValueError(f"no group is called '{name}'; there are {known}")

    def before_step(self, step: int) -> None:
        """Clip each group's gradient and set its learning rate for `step`."""
        for entry, (group, schedule, start) in zip(
            self.optimizer.param_groups, self._members, strict=True
        ):
            entry["lr"] = group.lr * schedule(step - start)
            if group.clip is not None:
                nn.utils.clip_grad_norm_(group.params, group.clip)

    def state(self, names: Mapping[int, str]) -> dict[str, Any]:
        """All that `restored` needs, as tensors and plain values.

        Args:
            names: `id` of a parameter -> its name.

        Raises:
            Unnamed: A parameter has no name, or a schedule is a function.
        """
        members = [
            self._written(group, schedule, start, entry, names)
            for entry, (group, schedule, start) in zip(
                self.optimizer.param_groups, self._members, strict=True
            )
        ]
        moments = {
            names[id(parameter)]: dict(values)
            for parameter, values in self.optimizer.state.items()
        }
        return {"members": members, "moments": moments}

    @classmethod
    def restored(
        cls,
        state: Mapping[str, Any],
        parameters: Mapping[str, nn.Parameter],
        recipe: Recipe,
        steps: int,
    ) -> Groups:
        """The optimizer that gave `state`.

        Args:
            state: What `state` gave.
            parameters: Name -> parameter.
            recipe: As it was then.
            steps: As then.

        Raises:
            ValueError: There is no parameter of a name.
        """
        groups, entries, starts = [], [], []
        for member in state["members"]:
            known = dict(member)
            entries.append(known.pop("entry"))
            starts.append(known.pop("start"))
            known["params"] = [_known(name, parameters) for name in known["params"]]
            if known["schedule"] is not None:
                known["schedule"] = Schedule(**known["schedule"])
            groups.append(Group(**known))
        made = cls(groups, recipe, steps)
        made._members = []
        for group, entry, running, start in zip(
            groups, entries, made.optimizer.param_groups, starts, strict=True
        ):
            running.update(entry)
            made._join(group, start)
        for name, values in state["moments"].items():
            made.optimizer.state[_known(name, parameters)] = dict(values)
        return made

    def _join(self, group: Group, start: int) -> None:
        default = schedule_of(self._recipe, self._steps - start)
        self._members.append((group, group.schedule or default, start))

    def _entry(self, group: Group) -> dict[str, Any]:
        return {
            "params": group.params,
            "lr": group.lr,
            "weight_decay": group.weight_decay,
        }

    def _written(
        self,
        group: Group,
        schedule: Callable[[int], float],
        start: int,
        entry: Mapping[str, Any],
        names: Mapping[int, str],
    ) -> dict[str, Any]:
        """One group, with the optimizer's own `entry` of it."""
        if not isinstance(schedule, Schedule):
            raise Unnamed(
                f"the schedule of group '{group.name}' is a function, not a `Schedule`"
            )
        if any(id(parameter) not in names for parameter in group.params):
            raise Unnamed(
                f"group '{group.name}' trains a parameter that neither the model nor "
                f"an attribute of the strategy holds"
            )
        return {
            "params": [names[id(parameter)] for parameter in group.params],
            "lr": group.lr,
            "weight_decay": group.weight_decay,
            "schedule": group.schedule and dataclasses.asdict(schedule),
            "clip": group.clip,
            "name": group.name,
            "start": start,
            "entry": {key: v for key, v in entry.items() if key != "params"},
        }


def schedule_of(recipe: Recipe, steps: int) -> Schedule:
    """The recipe's schedule over `steps` steps: step from 0 -> factor in [0, 1].

    Warm-up rises linearly to 1 over `recipe.warmup` steps; what remains is constant, or
    falls to 0 linearly or as half a cosine.
    """
    return Schedule(shape=recipe.schedule, steps=steps, warmup=recipe.warmup, ahead=1)


def _known(name: str, parameters: Mapping[str, nn.Parameter]) -> nn.Parameter:
    if name not in parameters:
        raise ValueError(
            f"parameter '{name}' was trained and is not there after `load_state`"
        )
    return parameters[name]


def _optimizer(
    entries: Iterable[dict[str, Any]], recipe: Recipe
) -> torch.optim.Optimizer:
    entries = list(entries)
    # One kernel per group instead of about ten per parameter.
    fused = all(
        p.is_floating_point() and p.device.type in {"cpu", "cuda"}
        for entry in entries
        for p in entry["params"]
    )
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(
            entries, lr=recipe.lr, momentum=recipe.momentum, fused=fused
        )
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[recipe.optimizer]
    made: torch.optim.Optimizer = kind(
        entries, lr=recipe.lr, betas=recipe.betas, fused=fused
    )
    return made
