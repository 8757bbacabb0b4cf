"""Records of an older schema, in today's fields: on reading, never on disk.

Whoever raises `clbench.record.SCHEMA` from n to n + 1 adds the function for n here. It
takes a record's document as schema n wrote it and returns it as schema n + 1 does. A
field that old records lack gets the value that says so, never a guess.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from clbench.contract import InputError

Document = dict[str, Any]


def _budget_names_models(document: Document) -> Document:
    """1 -> 2: a budget says how many models are trained apart; it was one before."""
    return {**document, "budget": {"models": 1, **document["budget"]}}


def _environment_names_processor(document: Document) -> Document:
    """2 -> 3: an environment names the processor; which it was, nobody knows."""
    return {**document, "environment": {"processor": None, **document["environment"]}}


MIGRATIONS: Mapping[int, Callable[[Document], Document]] = {
    1: _budget_names_models,
    2: _environment_names_processor,
}
"""Schema n -> the function that makes schema n + 1 of it, and leaves it as it is."""


def migrate(document: Document, to: int) -> Document:
    """`document` in the fields of schema `to`; itself if it has them already.

    Raises:
        InputError: There is no way from its schema.
    """
    version = document["schema_version"]
    while version < to:
        if version not in MIGRATIONS:
            raise InputError(f"schema {version} is older than any that is known here")
        document = MIGRATIONS[version](document)
        version += 1
        document = {**document, "schema_version": version}
    return document
