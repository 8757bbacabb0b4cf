"""Bad input, and what would have been right."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class InputError(ValueError):
    """Bad input. Its message is one clear line, ending in what would be right.

    The command line prints it and exits with code 2, without a traceback.
    """


def nearest(word: str, words: Iterable[str]) -> str:
    """`: the nearest is '...'`, or nothing where `words` is empty."""
    match = get_close_matches(word, list(words), n=1, cutoff=0.0)
    return f": the nearest is '{match[0]}'" if match else ""
