"""`clbench check`: a plugin held to the contract, one line for each check."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from rich.console import Console

from clbench import registry
from clbench.contract import InputError, nearest
from clbench.plugin import GROUPS

if TYPE_CHECKING:
    from clbench.check import Finding

COLOURS = {"holds": "green", "unsupported": "yellow", "broken": "bold red"}


def report(what: str, console: Console) -> int:
    """Run every check of a plugin; 1 where the contract is broken.

    Raises:
        InputError: `what` is no `strategy=NAME` or `scenario=NAME`.
    """
    code = 0
    for finding in findings(what):
        colour = COLOURS[finding.status]
        name = finding.check.replace("_", " ")
        console.print(f"[{colour}]{finding.status:11}[/] {finding.subject}: {name}")
        if finding.reason:
            console.print(f"            {finding.reason}", markup=False)
        code = max(code, int(finding.status == "broken"))
    return code


def findings(what: str) -> Iterator[Finding]:
    """What each check finds, as it finds it.

    Raises:
        InputError: `what` is no `strategy=NAME` or `scenario=NAME`.
    """
    kind, _, name = what.partition("=")
    if kind not in GROUPS or not name:
        near = nearest(what, [f"{kind}=NAME" for kind in GROUPS])
        raise InputError(f"nothing to check for '{what}'{near} (clbench list)")
    strategies = [name] if kind == "strategy" else list(registry.find("strategy"))
    scenarios = [name] if kind == "scenario" else list(registry.find("scenario"))
    cls = registry.load(kind, name)
    _, fixed = registry.preset(kind, name)
    from clbench import check as checks  # after the name is known to be right: slow

    own = checks.STRATEGY_CHECKS if kind == "strategy" else checks.SCENARIO_CHECKS
    for check in own:
        yield checks.run(check, name, cls)
    for strategy in strategies:
        for scenario in scenarios:
            classes = (
                partial(registry.load("strategy", strategy), **fixed),
                registry.load("scenario", scenario),
            )
            for check in checks.PAIR_CHECKS:
                yield checks.run(check, f"{strategy} on {scenario}", *classes)
