"""`clbench new` writes plugins that keep the contract, through the command line."""

from __future__ import annotations

import json

import pytest

from clbench import places, registry, templating
from clbench.contract import InputError


@pytest.fixture(scope="module")
def clbench(forked):
    """What a command prints in all, and its exit code is `code`."""

    def call(*words: str, cwd, path: str = "", code: int = 0) -> str:
        done = forked(*words, cwd=cwd, CLBENCH_PATH=path, COLUMNS="200")
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    return call


def test_a_new_strategy_passes_the_checks_and_runs(clbench, tmp_path):
    out = clbench("new", "strategy", "my_method", cwd=tmp_path)
    file = tmp_path / "mine" / "strategies" / "my_method.py"
    assert str(file.relative_to(tmp_path)) in out
    assert "class MyMethod(Strategy)" in file.read_text()
    assert templating.WORD not in file.read_text().lower()
    checked = clbench("check", "strategy=my_method", cwd=tmp_path, path="mine")
    assert "broken" not in checked
    assert checked.count("holds") >= 20
    words = ("strategy=my_method", "scenario=dg", "scenario.target=sketch")
    facts = clbench(
        "run", *words, "scenario.steps=2", "--json", cwd=tmp_path, path="mine"
    ).splitlines()
    assert json.loads(next(f for f in facts if f.startswith("{")))["status"] == "ok"


@pytest.mark.slow
def test_a_new_scenario_passes_the_checks_with_every_strategy(clbench, tmp_path):
    clbench("new", "scenario", "my_points", cwd=tmp_path)
    assert (tmp_path / "mine" / "scenarios" / "my_points" / "scenario.py").is_file()
    checked = clbench("check", "scenario=my_points", cwd=tmp_path, path="mine")
    assert "broken" not in checked
    assert checked.count("holds") >= 100


def test_a_new_scenario_runs_and_lands_on_a_board(clbench, tmp_path):
    clbench("new", "scenario", "my_points", cwd=tmp_path)
    words = ("strategy=lora,finetune", "scenario=my_points")
    arrival = "scenario.arrival=sequential,joint"
    clbench("run", *words, arrival, cwd=tmp_path, path="mine")
    clbench("board", cwd=tmp_path, path="mine")
    board = (tmp_path / "leaderboards" / "my_points.md").read_text()
    assert "`finetune`" in board
    assert "arrival=joint" in board
    # Learned: well above one in three, and tasks of other centres are forgotten.
    rows = [line for line in board.splitlines() if line.startswith("| 1 |")]
    assert float(rows[0].split("|")[3].split("±")[0].strip().rstrip("*")) > 45


@pytest.mark.parametrize("name", ["9lives", "class", "Upper", "_own", "my-own"])
def test_what_python_cannot_import_is_refused(tmp_path, name):
    with pytest.raises(InputError, match="is no name of a strategy"):
        templating.create("strategy", name, tmp_path)


@pytest.mark.parametrize(
    ("kind", "name"), [("strategy", "lora"), ("strategy", "dora"), ("scenario", "dg")]
)
def test_a_name_that_is_taken_is_refused(tmp_path, kind, name):
    with pytest.raises(InputError, match="take another name"):
        templating.create(kind, name, tmp_path)


def test_nothing_is_overwritten(tmp_path):
    made = templating.create("strategy", "fresh_one", tmp_path)
    made.write_text("mine")
    with pytest.raises(InputError, match="not overwritten"):
        templating.create("strategy", "fresh_one", tmp_path)
    assert made.read_text() == "mine"


def test_a_folder_of_loose_strategies_stays_readable(tmp_path, monkeypatch):
    (tmp_path / "loose_one.py").write_text('"""Loose."""\n')
    assert templating.create("strategy", "fresh_two", tmp_path).parent == tmp_path
    with pytest.raises(InputError, match="holds strategies only"):
        templating.create("scenario", "fresh_three", tmp_path)
    monkeypatch.setenv(places.VARIABLE, str(tmp_path))
    assert {"loose_one", "fresh_two"} <= set(registry.find("strategy"))


def test_an_unknown_kind_has_a_nearest_one(clbench, tmp_path):
    out = clbench("new", "strateg", "x", cwd=tmp_path, code=2)
    assert "nearest is 'strategy'" in out
