"""What the README says is what is run."""

from __future__ import annotations

import re
from pathlib import Path

from clbench.board import written
from clbench.board.heads import heads

ROOT = Path(__file__).resolve().parents[1]


def test_ci_runs_the_readme_s_test_command():
    blocks = re.findall(r"```bash\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    command = (ROOT / ".ci" / "run").read_text().strip().splitlines()[-1]
    assert command in [line for block in blocks[:2] for line in block.splitlines()]


def test_the_readme_s_heads_are_those_of_the_boards():
    boards = ROOT / "leaderboards"
    text = heads(written.read(boards), "leaderboards")
    found = re.search(
        "<!-- clbench boards: begin -->\n(.*?)<!-- clbench boards: end -->",
        (ROOT / "README.md").read_text(),
        re.S,
    )
    assert found is not None
    assert found[1] == text, "write it anew: clbench board --into README.md"
    assert text.count("\n| [`") >= 4


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
