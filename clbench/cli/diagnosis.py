"""`clbench doctor`: findings as they are made, and whether any is broken."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from clbench import doctor

COLOURS = {"ok": "green", "warning": "yellow", "broken": "bold red"}


def diagnose(out: Path, console: Console) -> int:
    """Print every finding; 1 where something is broken."""
    code = 0
    for finding in doctor.examine(out):
        colour = COLOURS[finding.status]
        console.print(f"[{colour}]{finding.status:8}[/] {finding.subject:20} ", end="")
        console.print(finding.text, markup=False, highlight=False, soft_wrap=True)
        code = max(code, int(finding.status == "broken"))
    return code
