"""The grid of strategies and scenarios: computed, cached, and what the README shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from clbench import fitting, places
from clbench.check.fit import Fit
from clbench.cli import gridding
from clbench.cli.marked import write_into
from clbench.contract import InputError
from clbench.fitting import Candidate, fits

ROOT = Path(__file__).resolve().parents[1]

BEGIN, END = "<!-- clbench grid: begin -->", "<!-- clbench grid: end -->"

SOURCE = '''"""Refuses, as it is told."""

from clbench.contract import Count, InputError, Strategy

BEGIN, END = "<!-- clbench grid: begin -->", "<!-- clbench grid: end -->"


class Mine(Strategy):
    """Refuses.

    Args:
        refuse: Whether.
    """

    def __init__(self, *, refuse: Count = 1) -> None:
        self.refuse = refuse

    def unsupported(self, problem):
        return "no meaning here, says the strategy" if self.refuse == 2 else None

    def prepare(self, model, problem):
        if self.refuse == 3:
            raise InputError("strategy.refuse=3 does not fit the model")
'''


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CLBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "fits.json"


@pytest.fixture
def mine(tmp_path, monkeypatch):
    folder = tmp_path / "plugins"
    folder.mkdir()
    (folder / "refusing.py").write_text(SOURCE)
    monkeypatch.setenv(places.VARIABLE, str(folder))
    return folder / "refusing.py"


def test_reasons_come_from_the_strategy_and_from_its_preparation(empty_cache, mine):
    candidates = [
        Candidate(str(number), "refusing", {"refuse": number}) for number in (1, 2, 3)
    ]
    found = fits(candidates, ["dg"])
    assert found["1", "dg"] == Fit(runs=True)
    assert found["2", "dg"] == Fit(False, "no meaning here, says the strategy")
    assert found["3", "dg"] == Fit(False, "strategy.refuse=3 does not fit the model")


def test_what_was_found_is_kept_until_a_source_changes(empty_cache, mine):
    told: list[str] = []
    for _ in range(2):
        fits([Candidate("a", "refusing")], ["dg"], told.append)
    assert told == ["a on dg"]
    assert empty_cache.is_file()
    mine.write_text(SOURCE + "\n")
    fits([Candidate("a", "refusing")], ["dg"], told.append)
    assert told == ["a on dg"] * 2


def test_a_damaged_cache_is_computed_again(empty_cache, mine):
    empty_cache.parent.mkdir()
    empty_cache.write_text("{")
    assert fits([Candidate("a", "refusing")], ["dg"])["a", "dg"].runs
    assert fitting._cache() == empty_cache


def grid() -> gridding.Grid:
    no = Fit(False, "it has no head")
    found = {("a", "x"): Fit(True), ("a", "y"): no, ("b", "x"): no, ("b", "y"): no}
    return gridding.Grid(["a", "b"], ["x", "y"], found)


def test_the_table_numbers_every_reason_once():
    text = gridding.markdown(grid())
    assert "| `a` | runs | no (1) |" in text
    assert "| `b` | no (1) | no (1) |" in text
    assert text.count("it has no head") == 1


def test_a_document_without_marks_is_left_alone(tmp_path):
    path = tmp_path / "page.md"
    path.write_text("nothing")
    with pytest.raises(InputError, match="has no place for the grid"):
        write_into(path, "grid", "x")
    assert path.read_text() == "nothing"
    path.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    write_into(path, "grid", "new \\1\n")
    page = f"before\n{BEGIN}\nnew \\1\n{END}\nafter\n"
    assert path.read_text() == page


def test_the_readme_s_grid_is_what_the_command_prints(forked):
    done = forked("grid", "--markdown", **{places.VARIABLE: ""})
    assert done.returncode == 0, done.stderr
    readme = (ROOT / "README.md").read_text()
    (shown,) = re.findall(f"{re.escape(BEGIN)}\n(.*?){re.escape(END)}", readme, re.S)
    assert shown == done.stdout, "write it anew: clbench grid --into README.md"
    assert shown.count("runs") > 20
