"""Boards: what shares one, what is averaged, and what the page says."""

from __future__ import annotations

import itertools
import json
import math
import re
import shutil
import subprocess
import sys
from pathlib import Path
from statistics import stdev

import pytest

from clbench import registry
from clbench.board import boards, gather, write_boards
from clbench.config import resolve
from clbench.contract import InputError
from clbench.record import Entry, write

PUBLISHED = Path(__file__).resolve().parents[1] / "leaderboards"
SUFFIXES = (".csv", ".json", ".md")
STYLES = ("photo", "cartoon", "sketch", "painting")


def build(runs):
    found, _ = gather([runs.folder])
    return boards("dg", found)


def page(runs, tmp_path) -> str:
    paths = write_boards(runs.folder, tmp_path / "out")
    assert [path.name for path in paths] == ["dg.csv", "dg.json", "dg.md"]
    return paths[-1].read_text()


def rows(text: str) -> list[list[str]]:
    """Cells of the table of scores."""
    table = text.split("| seeds | trials |\n", 1)[1].split("\n\n", 1)[0]
    lines = table.splitlines()[1:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_a_score_is_the_mean_over_folds_then_over_seeds(runs):
    for target, accuracy in zip(STYLES, (0.2, 0.4, 0.6, 0.8), strict=True):
        runs(targets=(target,), seeds=(0,), accuracy=accuracy)
        runs(targets=(target,), seeds=(1,), accuracy=accuracy + 0.1)
    ((board,), left) = build(runs)
    (line,) = board.lines
    score = line.score("target_accuracy")
    assert left == []
    assert line.repeats == [(0,), (1,)]
    assert score.mean == pytest.approx(0.55)
    # Student's t at 0.975 with one degree of freedom is 12.706.
    assert score.half == pytest.approx(12.706 * stdev([0.5, 0.6]) / 2**0.5, rel=1e-4)
    assert line.fold("target_accuracy", "sketch").mean == pytest.approx(0.65)


def test_a_seed_without_all_its_folds_does_not_count(runs, tmp_path):
    runs(seeds=(0,), accuracy=0.5)
    runs(seeds=(1,), targets=STYLES[:3], accuracy=0.9)
    ((board,), _) = build(runs)
    (line,) = board.lines
    assert line.repeats == [(0,)]
    assert line.missing == [((1,), "painting")]
    assert line.score("target_accuracy").mean == 0.5
    text = page(runs, tmp_path)
    assert "`lora` has no record of painting seed=1" in text
    assert "strategy=lora scenario=dg tuned=false seed=0,1" in text


def test_a_line_with_no_complete_seed_is_not_ranked(runs, tmp_path):
    runs("lora", seeds=(0,))
    runs("pego", seeds=(0,), targets=("photo",), accuracy=1.0)
    text = page(runs, tmp_path)
    assert [row[1] for row in rows(text)] == ["`lora`"]
    assert "`pego` has no record of cartoon, sketch, painting seed=0: `clbench" in text


def test_lines_are_ranked_and_few_seeds_are_marked(runs, tmp_path):
    runs("lora", seeds=(0, 1, 2), accuracy=0.5)
    runs("pego", seeds=(0,), accuracy=0.7)
    (pego, lora) = rows(page(runs, tmp_path))
    assert pego[:3] == ["1", "`pego`", "70.0"]
    assert lora[:3] == ["2", "`lora`", "50.0 ± 0.0"]
    assert (pego[-2], lora[-2]) == ("1*", "3")
    # No record says how many settings were tried.
    assert (pego[-1], lora[-1]) == ("-", "-")


def test_lines_that_score_alike_in_every_cell_are_named(runs, tmp_path):
    runs("ewc", seeds=(0, 1), accuracy=0.5)
    runs("finetune", seeds=(0, 1, 2), accuracy=0.5)
    runs("lora", seeds=(0,), accuracy=0.5)
    runs("lora", seeds=(1,), accuracy=0.6)
    said = [
        line
        for line in page(runs, tmp_path).splitlines()
        if line.startswith("Equal in every score")
    ]
    assert said == [
        "Equal in every score of every cell that they share: `ewc`, `finetune`."
    ]


def test_lines_that_share_no_cell_are_not_called_equal(runs, tmp_path):
    runs("ewc", seeds=(0,), accuracy=0.5)
    runs("finetune", seeds=(1,), accuracy=0.5)
    assert "Equal in every score" not in page(runs, tmp_path)


@pytest.mark.parametrize(
    "other",
    [
        {"fingerprint": "f" * 64},
        {"steps": 7},
        {"backbone": "vit_tiny"},
        {"arrival": "sequential"},
    ],
    ids=lambda facts: next(iter(facts)),
)
def test_unequal_cells_never_share_a_board(runs, tmp_path, other):
    runs("lora", accuracy=0.5)
    runs("pego", accuracy=0.7, **other)
    found, _ = build(runs)
    assert [[line.label for line in board.lines] for board in found] in (
        [["lora"], ["pego"]],
        [["pego"], ["lora"]],
    )


def test_folders_and_caches_do_not_part_boards(runs):
    runs("lora", root="/somewhere")
    runs("pego", root="/elsewhere", cache=False)
    ((board,), _) = build(runs)
    assert len(board.lines) == 2
    commands = [line.command() for line in board.lines]
    assert all("scenario.root=ROOT" in command for command in commands)
    assert not any("where" in command for command in commands)


def test_parameters_of_a_strategy_make_lines_of_their_own(runs):
    runs("lora", accuracy=0.5)
    runs("lora", accuracy=0.6, rank=8)
    ((board,), _) = build(runs)
    assert [line.label for line in board.lines] == ["lora rank=8", "lora"]
    assert "strategy.rank=8" in board.lines[0].command()


def test_failures_are_listed_with_their_reasons(runs, tmp_path):
    runs("lora")
    runs("zeroshot", status="unsupported", reason="there is no head")
    runs("pego", targets=("photo",), status="failed", reason="the loss is NaN")
    text = page(runs, tmp_path)
    places = ", ".join(f"{target} seed=0" for target in STYLES)
    assert re.search(r"`zeroshot` unsupported: there is no head \((.*)\)", text)
    assert all(place in text for place in places.split(", "))
    assert "`pego` failed: the loss is NaN (photo seed=0)" in text
    assert [row[1] for row in rows(text)] == ["`lora`"]


def test_another_version_of_the_scenario_is_left_out(runs, tmp_path):
    runs("lora")
    runs("pego", version=99)
    text = page(runs, tmp_path)
    assert "of version 99 of dg, which is now 1" in text
    assert "`pego`" not in text


def test_an_edited_record_never_enters_a_board(runs, tmp_path):
    runs("lora")
    path = min((runs.folder / "dg").iterdir())
    path.write_text(path.read_text().replace("0.5", "0.9"))
    text = page(runs, tmp_path)
    assert f"`{path}`: its content is not what was written" in text
    assert "| seeds | trials |" not in text


def test_records_are_read_by_the_scenario_that_they_name(runs, tmp_path):
    runs("lora", accuracy=0.5)
    folder = runs.folder / "dg"
    for path in folder.iterdir():
        # A record is its content: neither its folder nor the order of keys is.
        document = json.loads(path.read_text())
        text = json.dumps(document, sort_keys=True)
        (runs.folder / path.name).write_text(text)
        path.unlink()
    (runs.folder / "notes.json").write_text("{}")
    (runs.folder / "broken.json").write_text('{"scenario": {"name": "clip", ')
    *_, other, _, _, path = write_boards(runs.folder, tmp_path / "out")
    text = path.read_text()
    assert [row[1] for row in rows(text)] == ["`lora`"]
    assert "notes.json`: not a record (no schema_version)" in text
    # What says that it is of another scenario is left out there.
    assert "broken.json" not in text
    assert other.name == "clip.md"
    assert "broken.json`: not a record (" in other.read_text()


def test_a_record_that_names_a_path_writes_none(runs, tmp_path, make_record):
    made = make_record()
    part = made.scenario.model_copy(update={"name": "../escaped"})
    runs("lora")
    write(made.model_copy(update={"scenario": part}), runs.folder / "escaped.json")
    text = page(runs, tmp_path)
    assert "escaped.json`: damaged at 'scenario.name'" in text
    assert not list(tmp_path.glob("escaped*"))


def test_of_a_cell_that_ran_twice_the_newer_counts(runs, tmp_path, make_record):
    runs("lora", accuracy=0.5)
    again = tmp_path / "out" / "dg" / "records"
    for target in STYLES:
        made = make_record(target=target, seconds=9.0, created="2031-01-01T00:00:00")
        write(made, again / f"lora--{made.key}.json")
    text = page(runs, tmp_path)
    assert rows(text)[0][2] == "50.0"
    assert "repeated by a newer record of the same cell" in text
    found, left = gather([runs.folder, again])
    assert {entry.path.parent for entry in found} == {again}
    assert {entry.path.parent for entry in left} == {runs.folder / "dg"}


def test_of_a_cell_with_two_sets_of_numbers_none_counts(runs, tmp_path, make_record):
    runs("lora", accuracy=0.5)
    made = make_record(target="photo", accuracy=0.6, created="2031-01-01T00:00:00")
    other = tmp_path / "out" / "dg" / "records" / f"lora--{made.key}.json"
    write(made, other)
    mine = runs.folder / "dg" / other.name
    text = page(runs, tmp_path)
    assert "| seeds | trials |" not in text
    assert "`lora` has no record of photo seed=0" in text
    _, left = gather([runs.folder, other.parent])
    reasons = {entry.path: entry.reason for entry in left}
    assert reasons.keys() == {mine, other}
    assert reasons[mine].startswith(f"{other} is of the same cell and has other num")
    assert reasons[other].startswith(f"{mine} is of the same cell and has other num")


@pytest.mark.parametrize(
    "facts", [{"status": "failed", "reason": "no memory"}, {"version": 0}]
)
def test_a_newer_record_that_cannot_count_takes_no_ones_place(
    runs, tmp_path, make_record, facts
):
    runs("lora", accuracy=0.5)
    made = make_record(target="photo", created="2031-01-01T00:00:00", **facts)
    write(made, tmp_path / "out" / "dg" / "records" / "x.json")
    assert rows(page(runs, tmp_path))[0][2] == "50.0"


def test_equal_records_give_an_equal_page(runs, tmp_path):
    runs("lora", seeds=(2, 0, 1))
    runs("pego", seeds=(1, 0))
    first = page(runs, tmp_path)
    again = tmp_path / "again"
    again.mkdir()
    for path in sorted((runs.folder / "dg").iterdir(), reverse=True):
        shutil.move(path, again / path.name)
    for path in write_boards(again, tmp_path / "other"):
        assert path.read_bytes() == (tmp_path / "out" / path.name).read_bytes()
    assert path.read_text() == first


def test_undefined_scores_are_not_shown(runs, tmp_path):
    runs("lora", accuracy=0.5)
    ((board,), _) = build(runs)
    found, *_ = board.lines[0].cells.values()
    params = found.record.scenario.params
    assert math.isnan(board.scenario.scores(found.matrix(), params)["forgetting"])
    assert board.lines[0].score("forgetting") is None
    # A column that no line has a value in is left out.
    assert "Forgetting" not in page(runs, tmp_path)


def test_the_page_says_what_its_data_and_numbers_are(runs, tmp_path):
    runs("lora")
    text = page(runs, tmp_path)
    assert "- data: pocket (fingerprint " in text
    ((board,), _) = build(runs)
    for metric in board.scenario.metrics:
        assert (metric.definition in text) == (metric.name != "forgetting")


def test_no_record_is_one_clear_line(tmp_path):
    with pytest.raises(InputError, match="holds no record; make one with"):
        write_boards(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


# --- a scenario with orders, variants and an upper bound ---


@pytest.fixture
def stream(tmp_path, make_record):
    """Adds a record of `clip`: accuracies after each of two experiences."""
    folder = tmp_path / "runs"
    clip = registry.load("scenario", "clip")

    def add(strategy, R, *, seed=0, order_seed=None, arrival="sequential"):
        words = [f"strategy={strategy}", "scenario=clip", f"seed={seed}", "tuned=false"]
        words += [f"scenario.order_seed={order_seed}"] if order_seed is not None else []
        words += ["scenario.arrival=joint"] if arrival == "joint" else []
        ((cell,), _) = resolve(words)
        tasks = ("kinds", "colours")
        joint = arrival == "joint"
        rows = [
            Entry(
                experience=number,
                step=number,
                boundary=True,
                scores={
                    task: {"accuracy": value, "calibration_error": 0.1}
                    for task, value in zip(tasks, values, strict=True)
                },
            )
            for number, values in enumerate([[0.1, 0.1], *R])
        ]
        base = make_record(strategy=strategy, seed=seed)
        made = base.model_copy(
            update={
                "key": cell.key(),
                "scenario": base.scenario.model_copy(
                    update={
                        "name": "clip",
                        "params": dict(cell.scenario.params),
                        "version": clip.version,
                        "main": clip.main.name,
                        "fold": None,
                        "folds": [],
                    }
                ),
                "origins": dict(cell.origins),
                "learned": {t: 1 if joint else n for n, t in enumerate(tasks, 1)},
                "rows": rows,
                "command": cell.command(),
            }
        )
        write(made, folder / "clip" / f"{strategy}--{made.key}.json")

    add.folder = folder
    return add


def test_orders_repeat_an_experiment_as_seeds_do(stream, tmp_path):
    for seed, order in itertools.product((0, 1), (0, 1, 2)):
        stream("lora", [[0.8, 0.3], [0.6, 0.9]], seed=seed, order_seed=order)
    *_, path = write_boards(stream.folder, tmp_path / "out")
    text = path.read_text()
    ((row,)) = rows(text)
    assert row[-2] == "6* (2 seeds, 3 order_seed)"
    assert "seed=0,1 scenario.order_seed=0,1,2" in text


def test_seeds_and_orders_are_factors_of_their_own(stream, tmp_path):
    """The last accuracy is 0.5 + 0.1 seed + 0.2 order: nothing is left over."""
    for seed, order in itertools.product((0, 1), (0, 1, 2)):
        last = 0.3 + 0.1 * seed + 0.2 * order
        stream("lora", [[0.5, 0.5], [last, last]], seed=seed, order_seed=order)
    for seed in (0, 1):
        stream("pego", [[0.5, 0.5], [0.6, 0.6]], seed=seed)
    write_boards(stream.folder, tmp_path / "out")
    document = json.loads((tmp_path / "out" / "clip.json").read_text())
    lora, pego = sorted(document["boards"][0]["rows"], key=lambda row: row["label"])
    # Standard deviations of (0, 10) and of (0, 20, 40).
    wanted = {"seed": 7.0710678, "order_seed": 20.0, "rest": 0.0}
    assert lora["factors"] == pytest.approx(wanted, abs=1e-6)
    assert pego["factors"] == {}
    # Seeds repeat the experiment: the interval is that of their two means.
    score = lora["scores"]["last"]
    assert (len(score["values"]), lora["few"]) == (6, True)
    assert score["high"] - score["mean"] == pytest.approx(12.7062 * 5, rel=1e-4)
    text = (tmp_path / "out" / "clip.md").read_text()
    assert "| `lora` | 7.1 | 20.0 | 0.0 |" in text


def test_joint_training_is_a_bound_on_the_same_board(stream, tmp_path):
    stream("lora", [[0.8, 0.3], [0.6, 0.7]])
    stream("finetune", [[0.9, 0.3], [0.2, 0.9]])
    stream("finetune", [[0.95, 0.85]], arrival="joint")
    *_, path = write_boards(stream.folder, tmp_path / "out")
    bound, first, second = rows(path.read_text())
    assert bound[:3] == ["", "`finetune arrival=joint`", "90.0"]
    assert first[:2] == ["1", "`lora`"]
    assert second[:2] == ["2", "`finetune`"]
    # Intransigence: joint accuracy less that when just learned, mean over tasks.
    assert [row[-5] for row in (bound, first, second)] == ["-", "15.0", "0.0"]
    assert "A line without a rank learned a variant" in path.read_text()


def test_published_boards_are_those_of_the_published_records(tmp_path, monkeypatch):
    """Byte for byte: a board that was edited by hand, or has lost a record, differs."""
    monkeypatch.chdir(tmp_path)
    scenarios = [path.parent.name for path in PUBLISHED.glob("*/records")]
    assert "dg" in scenarios
    boards = shutil.ignore_patterns(*(f"{s}.*" for s in scenarios))
    shutil.copytree(PUBLISHED, "leaderboards", ignore=boards)
    written = write_boards(Path("runs"), Path("leaderboards"), scenarios)
    assert len(written) == 3 * len(scenarios) + 1
    for path in written:
        published = (PUBLISHED / path.name).read_text()
        assert path.read_text() == published, path.name
        assert "## Left out" not in published
        assert "(changed)" not in published.replace("(changed): a record's", "")
        assert '"dirty": true' not in published


def test_a_command_by_itself_writes_the_same_boards(tmp_path):
    """Where nothing is imported yet, boards are computed apart, on two cores."""
    shutil.copytree(PUBLISHED, tmp_path / "boards")
    for path in tmp_path.glob("boards/*.json"):
        path.unlink()
    words = ["board", "dg", "nlu", "out=boards", "--no-page"]
    done = subprocess.run(
        [sys.executable, "-m", "clbench", *words, "--quiet"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    names = [f"boards/{name}{x}" for name in ("dg", "nlu") for x in SUFFIXES]
    lines = [f"board: {name}" for name in [*names, "boards/reported.md"]]
    assert done.stdout.splitlines() == lines
    for name in names:
        assert (tmp_path / name).read_bytes() == (PUBLISHED / name[7:]).read_bytes()
