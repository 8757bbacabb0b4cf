"""Code that documentation shows is code that runs."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from clbench import registry
from clbench.config import resolve
from clbench.sweep import options

ROOT = Path(__file__).resolve().parents[1]


def blocks(page: str, language: str) -> list[str]:
    text = (ROOT / page).read_text()
    return re.findall(rf"```{language}\n(.*?)```", text, re.S)


@pytest.mark.parametrize("page", ["README.md", "docs/adding-a-strategy.md"])
def test_the_strategy_shown_keeps_the_contract_and_runs(page, forked, tmp_path):
    (source,) = [b for b in blocks(page, "python") if "(Strategy):" in b]
    (name,) = re.findall(r"class (\w+)\(Strategy\)", source)
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / f"{name.lower()}.py").write_text(source)
    assert len(source.splitlines()) <= 60

    def clbench(*words: str) -> str:
        done = forked(*words, cwd=tmp_path, CLBENCH_PATH=str(folder))
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    checked = clbench("check", f"strategy={name.lower()}")
    assert "broken" not in checked
    assert "holds" in checked
    facts = clbench(
        "run",
        f"strategy={name.lower()}",
        "scenario=dg",
        "scenario.target=sketch",
        "scenario.steps=3",
        "--json",
    )
    assert json.loads(facts)["status"] == "ok"


def test_the_world_s_examples_run(tmp_path):
    source = "\n".join(blocks("docs/pocket.md", "python"))
    assert source
    subprocess.run([sys.executable, "-P", "-c", source], check=True, cwd=tmp_path)


def documented() -> set[str]:
    """What follows `clbench run` and `sweep` in the documentation's shell blocks."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    found = set()
    for page in pages:
        for block in blocks(str(page.relative_to(ROOT)), "bash"):
            for line in block.replace("\\\n", " ").splitlines():
                for command in ("clbench run ", "clbench sweep "):
                    _, run, words = line.partition(command)
                    found |= {words.partition(" #")[0].strip()} if run else set()
    return found


def test_documented_commands_resolve():
    """Those on built-in strategies, and without files of their reader's, are cells."""
    resolved = 0
    for line in sorted(documented()):
        words = [w for w in shlex.split(line) if "=" in w and "DIR" not in w]
        words = list(options.read(words).words)
        given = dict(word.split("=", 1) for word in words)
        names = re.split("[,+]", given.get("strategy", ""))
        if "+experiment" in given or "scenario.dataset" in given:
            continue
        if set(names) <= set(registry.find("strategy")):
            assert resolve(words)[0], line
            resolved += 1
    assert resolved >= 5
