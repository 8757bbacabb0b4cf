"""Checks of a strategy by itself."""

from __future__ import annotations

import inspect
import sys

from docstring_parser import parse

from clbench.check.checks import Check, expect
from clbench.contract import Strategy


def keywords_have_defaults(strategy: type[Strategy]) -> None:
    """Every argument is an annotated keyword with a default: it is the command line."""
    for parameter in _keywords(strategy):
        name = parameter.name
        expect(
            parameter.kind is parameter.KEYWORD_ONLY,
            f"'{name}' is not keyword-only: put it after a bare '*'",
        )
        expect(
            parameter.default is not parameter.empty,
            f"'{name}' has no default: a strategy runs without any setting",
        )
        expect(
            parameter.annotation is not parameter.empty,
            f"'{name}' has no annotation: the command line checks values by it",
        )


def constructor_only_stores(strategy: type[Strategy]) -> None:
    """`__init__` keeps each keyword under its own name, unchanged."""
    made = strategy()
    for parameter in _keywords(strategy):
        name = parameter.name
        expect(hasattr(made, name), f"'{name}' is not stored as an attribute")
        stored = getattr(made, name)
        expect(
            stored == parameter.default,
            f"'{name}' is stored as {stored!r} instead of {parameter.default!r}",
        )


def is_documented(strategy: type[Strategy]) -> None:
    """The module says what it is in one line; the class describes every keyword."""
    module = sys.modules[strategy.__module__]
    expect(bool(module.__doc__), f"module {module.__name__} has no docstring")
    expect(bool(strategy.__doc__), f"class {strategy.__name__} has no docstring")
    described = {p.arg_name for p in parse(strategy.__doc__ or "").params}
    for parameter in _keywords(strategy):
        expect(
            parameter.name in described,
            f"'{parameter.name}' is not described under 'Args:' in the docstring of "
            f"{strategy.__name__}",
        )


STRATEGY_CHECKS: tuple[Check, ...] = (
    keywords_have_defaults,
    constructor_only_stores,
    is_documented,
)


def _keywords(strategy: type[Strategy]) -> list[inspect.Parameter]:
    if strategy.__init__ is object.__init__:
        return []
    return list(inspect.signature(strategy).parameters.values())
