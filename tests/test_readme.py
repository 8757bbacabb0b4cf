"""What the README says is what is run."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_ci_runs_the_readme_s_test_command():
    blocks = re.findall(r"```bash\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    command = (ROOT / ".ci" / "run").read_text().strip().splitlines()[-1]
    assert command in [line for block in blocks[:2] for line in block.splitlines()]


def test_the_readme_s_table_is_the_board_s():
    board = (ROOT / "leaderboards" / "dg.md").read_text()
    rows = re.findall(r"^\| \d+ \| .*$", (ROOT / "README.md").read_text(), re.M)
    assert len(rows) >= 4
    for row in rows:
        rank, strategy, target, source = row.strip("| ").split(" | ")
        (line,) = [x for x in board.splitlines() if x.startswith(f"| {rank} | ")]
        cells = line.strip("| ").split(" | ")
        assert (cells[1], cells[2], cells[7]) == (strategy, target, source)


def test_links_lead_somewhere():
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    for page in pages:
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
            if not target.startswith(("http://", "https://", "mailto:")):
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_version_stands_in_one_number():
    from clbench import __version__

    project = (ROOT / "pyproject.toml").read_text()
    citation = (ROOT / "CITATION.cff").read_text()
    assert f'version = "{__version__}"' in project
    assert f"version: {__version__}" in citation
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text()
