"""A plugin that was found: where it lies and what its source says of itself."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Kind = Literal["strategy", "scenario"]
Source = Literal["built in", "installed", "local"]

GROUPS: dict[Kind, str] = {"strategy": "strategies", "scenario": "scenarios"}
"""What several plugins of a kind are called: their package, folder and entry points."""


@dataclass(frozen=True)
class Origin:
    """Where a plugin's code comes from, as records keep it: names no path.

    Attributes:
        kind: Which of the three sources.
        distribution: Installed package that holds it; None for a local file.
        version: Version of that package.
        sha256: Hash of its source file, or of all source files of its folder.
    """

    kind: Source
    distribution: str | None
    version: str | None
    sha256: str


@dataclass(frozen=True)
class Plugin:
    """A plugin that was found, and not yet imported.

    Attributes:
        kind: Strategy or scenario.
        name: What the command line calls it.
        source: Which of the three sources.
        module: Dotted name to import.
        attribute: Name of the class in that module; None finds the only one.
        path: Its source file or folder; None where an installed package lacks it.
        distribution: Name of the installed package that holds it.
        version: Version of that package.
    """

    kind: Kind
    name: str
    source: Source
    module: str
    path: Path | None
    attribute: str | None = None
    distribution: str | None = None
    version: str | None = None

    @property
    def place(self) -> str:
        """Where it lies, for people: a package and its version, or a path."""
        if self.source == "built in":
            return "built in"
        if self.source == "installed":
            return f"{self.distribution} {self.version}"
        return str(self.path)

    @property
    def files(self) -> tuple[Path, ...]:
        """Its source files, in the order of their names."""
        if self.path is None:
            return ()
        if self.path.is_file():
            return (self.path,)
        return tuple(sorted(self.path.rglob("*.py")))

    @property
    def summary(self) -> str:
        """First line of its module's docstring, read without importing it."""
        if self._module is None:
            return f"(module {self.module} is missing)"
        try:
            text = ast.get_docstring(ast.parse(self._module.read_bytes()))
        except (SyntaxError, ValueError) as error:
            return f"(cannot be read: {error})"
        return text.splitlines()[0] if text else ""

    @property
    def aliases(self) -> dict[str, Mapping[str, str]]:
        """Names that stand for it with a parameter set, read without importing it.

        Its module says `ALIASES = {"type": ("one", "two")}`: the values of a parameter
        that may be written in place of its own name. Anything else counts as none.
        """
        text = b"" if self._module is None else self._module.read_bytes()
        if b"ALIASES" not in text:
            return {}
        try:
            for node in ast.parse(text).body:
                if isinstance(node, ast.Assign) and "ALIASES" in map(
                    ast.unparse, node.targets
                ):
                    given = ast.literal_eval(node.value)
                    return {v: {k: v} for k, values in given.items() for v in values}
        except (SyntaxError, ValueError, AttributeError, TypeError):
            return {}
        return {}

    @property
    def _module(self) -> Path | None:
        """The file of the module that is imported."""
        if self.path is None or self.path.is_file():
            return self.path
        return self.path / "__init__.py"

    @property
    def origin(self) -> Origin:
        """What a record says of it."""
        digest = hashlib.sha256()
        for file in self.files:
            name = file.name if file == self.path else _inside(file, self.path)
            content = hashlib.sha256(file.read_bytes()).hexdigest()
            digest.update(f"{name}\0{content}\n".encode())
        return Origin(self.source, self.distribution, self.version, digest.hexdigest())


def _inside(file: Path, folder: Path | None) -> str:
    assert folder is not None
    return file.relative_to(folder).as_posix()
