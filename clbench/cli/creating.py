"""`clbench new`: write a plugin, and say what comes next."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from clbench import places, templating
from clbench.contract import InputError, nearest
from clbench.plugin import GROUPS


def create(kind: str, name: str, folder: Path) -> Iterator[str]:
    """Write a plugin called `name`; lines for its author.

    Raises:
        InputError: There is no such kind, or the name cannot be had.
    """
    if kind not in GROUPS:
        near = nearest(kind, GROUPS)
        raise InputError(f"nothing new for '{kind}'{near} (clbench new --help)")
    path = templating.create(kind, name, folder)
    yield f"written: {path}"
    yield "next:"
    yield f"  export {places.VARIABLE}={folder}"
    yield f"  clbench check {kind}={name}"
    words = f"strategy={name} scenario=dg scenario.target=sketch"
    if kind == "scenario":
        words = f"strategy=lora,finetune scenario={name}"
    yield f"  clbench run {words}"
