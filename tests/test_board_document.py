"""The board document: one source of JSON, CSV, Markdown, and of whatever shows it."""

from __future__ import annotations

import csv
import json
import math
import shutil
from statistics import stdev

import pytest

from clbench.board import documents, write_boards
from clbench.board.document import Score
from clbench.board.figures import figure, spread
from clbench.board.heads import heads
from clbench.board.written import dump, plain, rounded

ORDER = {
    "document": ["format", "scenario", "summary", "boards", "unread"],
    "board": [
        *("id", "title", "data", "backbone", "fingerprint", "version", "settings"),
        *("budget", "budget_text", "main", "replicates", "columns", "rows", "missing"),
        *("failed", "reported", "apart", "note"),
    ],
    "row": [
        *("id", "rank", "group", "rank_interval", "label", "strategy", "bound"),
        *("repeats", "few", "scores", "seeds", "factors", "cost", "device", "origin"),
        *("members", "versions", "commits", "dirty", "trials", "reproduce", "records"),
    ],
    "record": ["path", "key", "seed", "fold", "matrix"],
    "column": ["key", "label", "unit", "higher_is_better", "definition", "fold"],
}


def written(runs, tmp_path):
    """The JSON document of `dg`."""
    write_boards(runs.folder, tmp_path / "out")
    return json.loads((tmp_path / "out" / "dg.json").read_text())


def test_its_keys_stand_in_their_order(runs, tmp_path):
    runs(seeds=(0, 1))
    document = written(runs, tmp_path)
    (board,) = document["boards"]
    (row,) = board["rows"]
    found = (document, board, row, row["records"][0], board["columns"][0])
    assert {k: list(v) for k, v in zip(ORDER, found, strict=True)} == ORDER
    assert document["summary"].startswith("Domain generalization")


def test_scores_are_in_the_unit_of_their_column(runs, tmp_path):
    for seed, accuracy in enumerate((0.5, 0.6, 0.64)):
        runs(seeds=(seed,), accuracy=accuracy)
    (board,) = written(runs, tmp_path)["boards"]
    (row,) = board["rows"]
    score = row["scores"][board["main"]]
    assert score["values"] == [50.0, 60.0, 64.0]
    assert score["mean"] == 58.0
    half = 4.302653 * stdev([50, 60, 64]) / math.sqrt(3)
    assert score["high"] - score["mean"] == pytest.approx(half, rel=1e-5)
    assert (row["repeats"], row["few"], row["seeds"]) == (3, False, [0, 1, 2])
    keys = {column["key"]: column for column in board["columns"]}
    assert keys["target_accuracy/photo"]["fold"] == "photo"
    assert keys["selected_step"]["unit"] == ""
    assert set(row["scores"]) == set(keys)


def test_matrices_of_all_records_are_in_it(runs, tmp_path):
    runs(seeds=(0,), accuracy=0.25)
    (board,) = written(runs, tmp_path)["boards"]
    records = board["rows"][0]["records"]
    assert sorted(r["fold"] for r in records) == sorted(board_folds(board))
    matrix = records[0]["matrix"]
    assert (matrix["metric"], matrix["unit"]) == ("accuracy", "%")
    assert matrix["tasks"] == ["photo", "cartoon", "sketch", "painting"]
    assert matrix["rows"][-1] == {"experience": 1, "step": 300, "values": [25.0] * 4}


def board_folds(board):
    return [c["fold"] for c in board["columns"] if c["fold"] is not None]


def test_paths_are_those_inside_the_folder_of_the_boards(runs, tmp_path):
    runs("lora")
    runs("pego")
    inside = tmp_path / "out" / "dg" / "records"
    inside.mkdir(parents=True)
    for path in (runs.folder / "dg").glob("pego--*"):
        shutil.move(path, inside / path.name)
    rows = written(runs, tmp_path)["boards"][0]["rows"]
    paths = {r["label"]: [s["path"] for s in r["records"]] for r in rows}
    assert paths["lora"] == [None] * 4
    assert all(path.startswith("dg/records/pego--") for path in paths["pego"])
    text = (tmp_path / "out" / "dg.md").read_text()
    assert "[4](dg/records/)" in text


def test_permanent_names_do_not_depend_on_what_else_is_there(runs, tmp_path):
    runs("lora")
    before = written(runs, tmp_path)["boards"][0]
    runs("pego", accuracy=0.9)
    runs("lora", steps=7)
    after = {board["id"]: board for board in written(runs, tmp_path)["boards"]}
    assert len(after) == 2
    rows = {row["id"] for row in after[before["id"]]["rows"]}
    assert before["rows"][0]["id"] in rows
    assert before["id"].startswith("dg-pocket-pocket-")


def test_rows_of_equal_labels_have_names_of_their_own(runs, tmp_path, make_record):
    """Tuned settings that changed leave two rows that read alike."""
    from clbench.record import write

    runs("lora")
    for target in ("photo", "cartoon", "sketch", "painting"):
        made = make_record(target=target)
        recipe = {**made.recipe, "lr": 0.5}
        made = made.model_copy(update={"recipe": recipe, "key": f"{target:x<12}"})
        write(made, runs.folder / "dg" / f"other--{made.key}.json")
    rows = written(runs, tmp_path)["boards"][0]["rows"]
    assert [row["label"] for row in rows] == ["lora", "lora"]
    assert len({row["id"] for row in rows}) == 2


def test_what_keeps_boards_apart_is_said(runs, tmp_path):
    runs("lora")
    runs("pego", steps=7)
    first, second = written(runs, tmp_path)["boards"]
    keys = {entry["key"]: (entry["here"], entry["there"]) for entry in first["apart"]}
    assert set(keys) == {"scenario.steps", "budget.steps"}
    assert set(keys["budget.steps"]) == {7, 300}
    assert {entry["board"] for entry in first["apart"]} == {second["id"]}
    text = (tmp_path / "out" / "dg.md").read_text()
    assert "budget.steps is 300 here and 7 there" in text
    assert "budget.steps is 7 here and 300 there" in text


def test_few_seeds_have_a_rank_and_no_group(runs, tmp_path):
    for seed, noise in enumerate((0.0, 0.01, -0.01)):
        runs("lora", seeds=(seed,), accuracy=0.5 + noise)
        runs("finetune", seeds=(seed,), accuracy=0.3 + noise / 2)
    runs("pego", seeds=(0,), accuracy=0.7)
    rows = written(runs, tmp_path)["boards"][0]["rows"]
    found = [(r["label"], r["rank"], r["group"], r["rank_interval"]) for r in rows]
    assert found == [
        ("pego", 1, None, None),
        ("lora", 2, 1, [1, 2]),
        ("finetune", 3, 2, [2, 3]),
    ]


def test_equal_rows_share_a_rank(runs, tmp_path):
    runs("lora", seeds=(0, 1, 2), accuracy=0.5)
    runs("pego", seeds=(0, 1, 2), accuracy=0.5)
    runs("finetune", seeds=(0, 1, 2), accuracy=0.4)
    rows = written(runs, tmp_path)["boards"][0]["rows"]
    assert [row["rank"] for row in rows] == [1, 1, 3]


def test_the_csv_has_a_line_for_each_row(runs, tmp_path):
    runs("lora", seeds=(0, 1, 2), accuracy=0.5)
    runs("pego", seeds=(0,), accuracy=0.7)
    document = written(runs, tmp_path)
    with (tmp_path / "out" / "dg.csv").open() as file:
        lines = list(csv.DictReader(file))
    rows = document["boards"][0]["rows"]
    assert [line["row"] for line in lines] == [row["id"] for row in rows]
    assert [line["target_accuracy.mean"] for line in lines] == ["70.0", "50.0"]
    assert [line["target_accuracy.low"] for line in lines] == ["", "50.0"]
    assert lines[1]["reproduce"] == rows[1]["reproduce"]


def test_nothing_in_it_is_infinite_and_rounding_is_no_number(runs, tmp_path):
    assert plain({"a": [float("nan"), float("inf"), -1e-17, 1 / 3]}) == {
        "a": [None, None, 0.0, 0.3333333333]
    }
    assert rounded(0.1 + 0.2) == 0.3
    runs("lora")
    (document,) = documents(runs.folder, tmp_path / "out")
    json.loads(dump(document), parse_constant=pytest.fail)


def test_figures_read_as_they_did():
    assert figure(71.25, "%") == "71.2"
    assert figure(-0.01, "%") == "0.0"
    assert (figure(275.0, ""), figure(1 / 3, "")) == ("275", "0.3333")
    assert figure(None, "%") == "-"
    score = Score(mean=82.31, low=81.01, high=83.61, values=[])
    assert spread(score, "%") == "82.3 ± 1.3"
    assert spread(None, "") == "-"


def test_heads_give_equal_rows_one_place(runs, tmp_path):
    for name, accuracy in (("lora", 0.5), ("pego", 0.5), ("ewc", 0.7)):
        runs(name, accuracy=accuracy)
    (line,) = heads([written(runs, tmp_path)], "boards").splitlines()[2:]
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells == [
        "[`dg`](boards/dg.md)",
        "Target accuracy % ↑",
        "`ewc` 70.0",
        "`lora`, `pego` 50.0",
        "-",
        "-",
    ]
