"""Submitting records: what joins the published ones, and why the rest does not."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

from clbench import record as records
from clbench.board import write_boards
from clbench.record import Origin, write
from clbench.submit import submit

PLUGINS = Path(__file__).parent / "plugins"
SMALL = ("scenario=fake_points", "scenario.target=east", "threads=1", "--quiet")


@pytest.fixture(scope="module")
def clbench(forked):
    return partial(forked, CLBENCH_PATH=str(PLUGINS), COLUMNS="120")


@pytest.fixture
def one(tmp_path, make_record):
    """Writes a record with the facts given; its path."""

    def make(name="a", **facts) -> Path:
        made = make_record(**facts)
        write(made, tmp_path / "runs" / f"{name}.json")
        return tmp_path / "runs" / f"{name}.json"

    return make


@pytest.fixture
def into(tmp_path):
    return tmp_path / "leaderboards"


def resign(path: Path, change) -> Path:
    """Change a record and give it the hash that it then has."""
    document = json.loads(path.read_text())
    change(document)
    document["sha256"] = records.digest(document)
    path.write_text(json.dumps(document))
    return path


def refusal(path: Path, into: Path, **options) -> str:
    (decision,) = submit([path], into, **options)
    assert decision.outcome == "refused"
    assert not list(into.rglob("*.json")) or decision.target is None
    return decision.reason


def test_through_the_command_line(clbench, tmp_path):
    done = clbench("run", "strategy=fake_head,fake_wide", *SMALL, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "runs" / "fake_points"
    good, other = sorted(folder.glob("*.json"))
    cut = folder / "cut.json"
    cut.write_bytes(good.read_bytes()[:900])
    touched = folder / "touched.json"
    touched.write_text(other.read_text().replace('"seed": 0', '"seed": 1'))
    words = ["submit", str(good), str(cut), str(touched), "--allow-dirty"]

    looked = clbench(*words, "--dry-run", cwd=tmp_path)
    assert looked.returncode == 2, looked.stderr
    assert not (tmp_path / "leaderboards").exists()

    sent = clbench(*words, cwd=tmp_path)
    lines = sent.stdout.splitlines()
    place = Path("leaderboards") / "fake_points" / "records" / good.name
    assert sent.returncode == 2
    assert lines[0] == f"accepted: {good} -> {place}"
    assert "  note: strategy 'fake_head' is local" in sent.stdout
    assert f"refused: {cut}: not a record" in sent.stdout
    assert f"refused: {touched}: its content is not what was written" in sent.stdout
    assert lines[-2:] == ["1 accepted, 2 refused", "next: clbench board"]
    # The record alone, as it is.
    assert (tmp_path / place).read_bytes() == good.read_bytes()
    assert [p.name for p in (tmp_path / place).parent.iterdir()] == [good.name]

    again = clbench("submit", str(good), "--allow-dirty", cwd=tmp_path)
    assert (again.returncode, again.stderr) == (0, "")
    assert f"already there: {good} -> {place}" in again.stdout


def test_a_record_joins_the_published_ones(one, into):
    path = one()
    (decision,) = submit([path], into)
    assert decision.outcome == "accepted"
    assert decision.target.parent == into / "dg" / "records"
    assert decision.target.name.startswith("lora--")
    assert decision.target.read_bytes() == path.read_bytes()
    assert "the source of strategy 'lora' has changed since" in decision.notes


def test_one_that_may_not_join_keeps_none_of_the_others_out(one, into):
    paths = [one("a"), one("b", status="failed", reason="no memory"), one("c", seed=1)]
    outcomes = [decision.outcome for decision in submit(paths, into)]
    assert outcomes == ["accepted", "refused", "accepted"]
    assert len(list(into.rglob("*.json"))) == 2


def test_equal_numbers_are_there_already_and_other_numbers_are_refused(one, into):
    submit([one("a")], into)
    (same,) = submit([one("b", seconds=99.0, root="/elsewhere")], into)
    assert same.outcome == "already there"
    reason = refusal(one("c", accuracy=0.625), into)
    assert "is of the same cell and has other numbers, such as row 0 (" in reason
    assert "0.5 there, 0.625 here" in reason
    # Among those that are submitted together, too.
    paths = [one("d", seed=5), one("e", seed=5, accuracy=0.75)]
    assert [d.outcome for d in submit(paths, into)] == ["accepted", "refused"]


@pytest.mark.parametrize(
    ("facts", "line"),
    [
        ({"status": "failed", "reason": "no memory"}, "its cell failed: no memory"),
        ({"status": "interrupted", "reason": "by hand"}, "its cell interrupted: by"),
        ({"version": 99}, "it is of version 99 of dg, which is now 1"),
        (
            {"steps": 7},
            "scenario.steps=7 makes its budget 7 steps of 48, evaluated every 50, "
            "where 300 steps of 48, evaluated every 50 is the default for pocket; no "
            "board has another",
        ),
    ],
)
def test_what_a_cell_must_be(one, into, facts, line):
    path = one(**facts)
    if "steps" in facts:
        resign(path, lambda d: d["cost"].update(steps=7))
    assert refusal(path, into).startswith(line)


def test_a_budget_that_a_board_has_is_right(one, into):
    def seven(path):
        return resign(path, lambda d: d["cost"].update(steps=7))

    path = seven(one("a", steps=7))
    published = into / "dg" / "records" / "x.json"
    published.parent.mkdir(parents=True)
    published.write_bytes(path.read_bytes())
    (decision,) = submit([seven(one("b", steps=7, seed=1))], into)
    assert decision.outcome == "accepted"


NONE = {"status": "unsupported", "reason": "there is no head"}


def test_a_budget_that_cannot_be_looked_at_is_noted(one, into):
    (decision,) = submit(
        [one(dataset="folder", root="/none", target="art", **NONE)], into
    )
    assert decision.outcome == "accepted"
    assert any("could not be compared" in note for note in decision.notes)
    assert any("names a folder of yours" in note for note in decision.notes)


def edit(**changes):
    def change(document):
        for place, value in changes.items():
            *parents, last = place.split("__")
            part = document
            for parent in parents:
                part = part[int(parent) if parent.isdigit() else parent]
            part[last] = value

    return change


NEWER = {"kind": "built in", "distribution": "clbench", "version": "99.0"}
NAMELESS = {"kind": "built in", "distribution": None, "version": None}


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (edit(seed=7), "is not that of its configuration"),
        (edit(schema_version=99), "schema 99 is not known here"),
        (edit(environment__dirty=True), "it was made in a checkout with changes"),
        (
            edit(strategy__members__0__origin={**NEWER, "sha256": "b"}),
            "strategy 'lora' is that of clbench 99.0, which is not known here",
        ),
        (
            edit(strategy__members__0__origin={**NAMELESS, "sha256": "b"}),
            "strategy 'lora' names no package and version",
        ),
        (edit(strategy__members__0__name="lorra"), "unknown strategy 'lorra'"),
        (
            edit(strategy__members__0__params={"rang": 4}),
            "strategy 'lora' has no parameter 'rang': the nearest is 'rank'",
        ),
        (edit(scenario__name="gd"), "unknown scenario 'gd': the nearest is 'dg'"),
        (edit(rows=[]), "has no rows or no cost"),
        (edit(rows__1__scores={}), "its rows cannot be scored"),
        (edit(rows__1__scores__photo__accuracy=None), "which ranks, is not defined"),
        (edit(cost__steps=301), "it took 301 steps of a budget of 300"),
        (
            edit(budget__batch_size=64),
            "its budget is 300 steps of 64, evaluated every 50, its parameters give "
            "300 steps of 48",
        ),
    ],
)
def test_whoever_signs_an_edited_record_again_is_still_looked_at(
    one, into, change, line
):
    assert line in refusal(resign(one(), change), into)


def test_numbers_that_are_none_are_refused(one, into):
    path = one()
    resign(path, edit(strategy__members__0__params__scale=float("inf")))
    assert "Infinity is no number" in refusal(path, into)
    path.write_text(path.read_text().replace("Infinity", "1e999"))
    assert refusal(path, into) == (
        "inf at 'strategy.members.0.params.scale' is no finite number"
    )


def test_a_changed_checkout_is_let_in_only_if_asked_for(one, into):
    path = resign(one(), edit(environment__dirty=True))
    (decision,) = submit([path], into, allow_dirty=True)
    assert decision.outcome == "accepted"
    assert "made in a checkout with changes: boards mark it" in decision.notes


def test_plugins_of_others_are_let_in_and_noted(tmp_path, into, make_record):
    made = make_record()
    member = made.strategy.members[0]

    def sent(**origin):
        changed = member.model_copy(update={"origin": Origin(**origin, sha256="c")})
        strategy = made.strategy.model_copy(update={"members": [changed]})
        write(made.model_copy(update={"strategy": strategy}), tmp_path / "a.json")
        return submit([tmp_path / "a.json"], into, dry_run=True)[0]

    local = sent(kind="local")
    assert local.outcome == "accepted"
    assert "is local: its source is not published" in local.notes[0]
    package = sent(kind="installed", distribution="theirs", version="1.2")
    assert "strategy 'lora' comes from theirs 1.2" in package.notes
    assert not into.exists()


def test_a_newer_version_takes_the_place_of_an_older(one, into, make_record):
    old = make_record(version=0)
    place = into / "dg" / "records" / f"lora--{old.key}.json"
    write(old, place)
    (decision,) = submit([one()], into)
    assert (decision.outcome, decision.target) == ("accepted", place)
    assert "it takes the place of one of version 0" in decision.notes


def test_what_lies_in_its_place_is_not_written_over(one, into, make_record):
    place = into / "dg" / "records" / f"lora--{make_record().key}.json"
    place.parent.mkdir(parents=True)
    place.write_text("damaged")
    assert "is in its place and cannot be read" in refusal(one(), into)
    assert place.read_text() == "damaged"


def test_what_was_refused_is_on_no_board(one, into, tmp_path):
    for number, target in enumerate(("photo", "cartoon", "sketch", "painting")):
        submit([one(str(number), target=target)], into)
    refusal(one("x", strategy="pego", version=99), into)
    boards = [p for p in write_boards(tmp_path / "none", into) if p.stem == "dg"]
    assert len(boards) == 3
    for path in boards:
        assert "lora" in path.read_text()
        assert "pego" not in path.read_text()


def test_published_records_would_be_let_in(tmp_path):
    """What is published passes what is asked of others."""
    folder = Path(__file__).resolve().parents[1] / "leaderboards"
    paths = sorted(folder.glob("*/records/*.json"))[::7]
    decisions = submit(paths, tmp_path / "leaderboards", dry_run=True)
    assert {(d.outcome, d.reason) for d in decisions} == {("accepted", "")}
