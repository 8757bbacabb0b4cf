"""The plan: what is to be on a board, what of it is missing, what runs that."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from clbench.board import missing, plan, write_boards
from clbench.config import resolve
from clbench.contract import InputError

PUBLISHED = Path(__file__).resolve().parents[1] / "leaderboards"


@pytest.fixture
def planned(tmp_path):
    """Writes a plan beside the boards."""
    out = tmp_path / "out"
    out.mkdir()

    def write(*lines: str) -> Path:
        (out / "plan.yaml").write_text("".join(f"- {line}\n" for line in lines))
        return out

    return write


def commands(runs, out, *scenarios):
    return [m.command for m in missing(runs.folder, out, scenarios or None)]


def test_without_a_plan_nothing_is_missing_but_open_folds(runs, tmp_path):
    runs("lora", seeds=(0,))
    runs("lora", seeds=(1,), targets=("photo", "sketch"))
    assert commands(runs, tmp_path / "out") == [
        "clbench run strategy=lora scenario=dg tuned=false "
        "scenario.target=cartoon,painting seed=1"
    ]


def test_cells_of_the_plan_without_a_record_are_missing(runs, planned):
    out = planned("strategy=lora,pego scenario=dg tuned=false seed=0,1,2")
    runs("lora", seeds=(0, 1))
    runs("pego", seeds=(2,), targets=("photo",))
    found = commands(runs, out)
    assert found == [
        "clbench run strategy=lora scenario=dg tuned=false seed=2",
        "clbench run strategy=pego scenario=dg tuned=false seed=0,1",
        "clbench run strategy=pego scenario=dg tuned=false "
        "scenario.target=cartoon,sketch,painting seed=2",
    ]
    write_boards(runs.folder, out)
    text = (out / "dg.md").read_text()
    (board,) = json.loads((out / "dg.json").read_text())["boards"]
    assert [entry["command"] for entry in board["missing"]] == found
    assert [entry["seeds"] for entry in board["missing"]] == [[2], [0, 1], [2]]
    assert all(f"`{command}`" in text for command in found)


def test_what_they_print_runs_just_what_is_missing(runs, planned):
    out = planned("strategy=lora,pego scenario=dg tuned=false seed=0,1,2")
    runs("lora", seeds=(0, 1))
    runs("pego", seeds=(2,), targets=("photo",))
    cells = [
        (cell.name, cell.seed, cell.scenario.params["target"])
        for command in commands(runs, out)
        for cell in resolve(shlex.split(command)[2:])[0]
    ]
    assert len(cells) == len(set(cells)) == 4 + 2 * 4 + 3


def test_a_cell_is_known_whatever_its_folder(runs, planned):
    out = planned("strategy=lora scenario=dg tuned=false seed=0")
    runs("lora", root="/somewhere", cache=False)
    assert commands(runs, out) == []


def test_unsupported_is_not_missing_and_failed_is(runs, planned):
    out = planned("strategy=lora,zeroshot,pego scenario=dg tuned=false")
    runs("lora")
    runs("zeroshot", status="unsupported", reason="there is no head")
    runs("pego", status="failed", reason="the loss is NaN")
    (command,) = commands(runs, out)
    assert "strategy=pego" in command


def test_other_settings_are_other_cells(runs, planned):
    out = planned(
        "strategy=lora scenario=dg tuned=false strategy.rank=8 recipe.lr=1e-3"
    )
    runs("lora")
    (entry,) = missing(runs.folder, out)
    assert entry.settings == "rank=8 recipe.lr=0.001"
    assert "strategy.rank=8 recipe.lr=0.001" in entry.command


def test_a_scenario_without_any_record_is_missing_whole(runs, planned):
    out = planned(
        "strategy=lora scenario=dg,clip seed=0", "strategy=lora scenario=clip"
    )
    runs("lora")
    assert commands(runs, out, "clip") == [
        "clbench run strategy=lora scenario=clip seed=0"
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- strategy=lorra scenario=dg", "unknown strategy 'lorra': the nearest"),
        ("- strategy=lora scenario=dg sed=1", "unknown key 'sed'"),
        ("cells: 3", "must be a list of what follows `clbench run`"),
        ("- [", "cannot be read"),
    ],
)
def test_a_wrong_plan_is_one_clear_line(tmp_path, text, said):
    (tmp_path / "plan.yaml").write_text(text)
    with pytest.raises(InputError, match=f"plan.yaml.*{said}"):
        plan.read(tmp_path)


def test_the_published_plan_is_known():
    """Every cell is one; the joint bound is there wherever a scenario has it."""
    cells = plan.read(PUBLISHED)
    assert {cell.scenario for cell in cells} == {"clip", "dg", "dpo", "mtl", "nlu"}
    bounds = {(c.scenario, c.settings) for c in cells if c.settings}
    assert bounds == {
        ("clip", "arrival=joint"),
        ("dpo", "arrival=joint"),
        ("nlu", "arrival=joint"),
        ("mtl", "arrival=single"),
    }
    seeds = {c.place[0][0] for c in cells if c.scenario == "dg"}
    assert seeds == {0, 1, 2, 3, 4}


def test_the_command_prints_lines_that_can_be_run(runs, planned, forked):
    out = planned("strategy=lora scenario=dg tuned=false seed=0,1")
    runs("lora", seeds=(0,))
    words = ["board", "--missing", f"runs={runs.folder}", f"out={out}"]
    done = forked(*words, COLUMNS="40")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "clbench run strategy=lora scenario=dg tuned=false seed=1\n"
    assert not (out / "dg.md").exists()
