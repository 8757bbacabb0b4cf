"""Parts of a document that a command writes anew, between two marks."""

from __future__ import annotations

import re
from pathlib import Path

from clbench import atomic
from clbench.contract import InputError


def write_into(path: Path, name: str, text: str) -> None:
    """Put `text` between the marks `name` of the document at `path`.

    They are `<!-- clbench NAME: begin -->` and `end`, each a line of its own.

    Raises:
        InputError: It cannot be read, or has no such marks.
    """
    begin, end = (f"<!-- clbench {name}: {which} -->" for which in ("begin", "end"))
    try:
        document = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    pattern = re.compile(f"{re.escape(begin)}\n.*?{re.escape(end)}", re.S)
    if not pattern.search(document):
        raise InputError(
            f"{path} has no place for the {name}: a line {begin} and a line {end}"
        )
    # As a function: the text's backslashes are no references.
    new = pattern.sub(lambda _: f"{begin}\n{text}{end}", document)
    atomic.write(path, new.encode())
