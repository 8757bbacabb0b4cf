"""Running records again: what must agree, and what is said where it does not."""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path

import pytest
import torch

from clbench import record as records
from clbench.contract import InputError
from clbench.record import Entry
from clbench.resolved import Cell
from clbench.verify import compare, first_part, prepare

PLUGINS = Path(__file__).parent / "plugins"


@pytest.fixture(scope="module")
def clbench(forked):
    return partial(forked, CLBENCH_PATH=str(PLUGINS), COLUMNS="120")


@pytest.fixture(scope="module")
def made(clbench, tmp_path_factory):
    """A folder with the record of a small cell, and its path."""
    folder = tmp_path_factory.mktemp("cell")
    words = ("strategy=fake_head", "scenario=fake_points", "scenario.target=east")
    done = clbench("run", *words, "threads=1", "--quiet", cwd=folder)
    assert done.returncode == 0, done.stderr
    (path,) = (folder / "runs" / "fake_points").glob("*.json")
    return path


def signed(path: Path, change) -> None:
    """Change a record and give it the hash that it then has."""
    document = json.loads(path.read_text())
    change(document)
    document["sha256"] = records.digest(document)
    path.write_text(json.dumps(document))


def test_a_cell_gives_its_numbers_again_and_its_record_stays(clbench, made):
    before = made.read_bytes()
    done = clbench("verify", str(made), cwd=made.parent)
    assert done.returncode == 0, done.stderr
    assert "equal: 6 scores in 2 rows, and what it logged, learned" in done.stdout
    assert made.read_bytes() == before
    # Nothing is left beside it.
    assert {p.suffix for p in made.parent.iterdir()} == {".json", ".safetensors"}


@pytest.mark.skipif(
    not Path("/proc/cpuinfo").is_file(), reason="not every system names its processor"
)
def test_a_record_names_its_processor(made):
    instructions = torch.backends.cpu.get_cpu_capability()
    processor = records.read(made).environment.processor
    assert re.fullmatch(rf".*\w.*, {re.escape(instructions)}", processor)


def test_other_numbers_are_named_with_both_values(clbench, made, tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(made.read_bytes())

    def change(document):
        document["rows"][1]["scores"]["west"]["accuracy"] = 0.125
        document["environment"]["versions"]["torch"] = "0.1"

    signed(path, change)
    done = clbench("verify", str(path), str(made), "--quiet", cwd=tmp_path)
    assert done.returncode == 1
    assert "differs: 1 value of 6 scores" in done.stdout
    assert "row 1 (experience 1, step 5), west, accuracy: 0.125 in the record, 0." in (
        done.stdout
    )
    assert "not the same: torch 0.1 then" in done.stdout
    assert "another processor, version or number of threads rounds" in done.stdout
    assert "the code is another by now" not in done.stdout
    assert "2 records: 1 hold, 1 do not" in done.stdout
    near = clbench("verify", str(path), "--within", "0.9", "--quiet", cwd=tmp_path)
    assert near.returncode == 0
    assert "equal within 0.9: 1 value" in near.stdout


def test_the_first_part_is_run_and_nothing_after_it(clbench, made, tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(made.read_bytes())

    def change(document):
        # As if a second experience had followed, which is not run again.
        last = document["rows"][-1]
        document["rows"].append({**last, "experience": 2, "step": 10})
        document["cost"]["steps"] = 10

    signed(path, change)
    done = clbench("verify", str(path), "--quick", cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert "equal: 6 scores in 2 rows\n" in done.stdout
    whole = clbench("verify", str(path), "--quiet", cwd=tmp_path)
    assert whole.returncode == 1
    assert "row 2 (experience 2, step 10)" in whole.stdout


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["scenario.steps=3"], "'scenario.steps' cannot be set"),
        (["threads=0"], "threads=0"),
        (["seed=1"], "'seed' cannot be set: the nearest is 'threads'"),
    ],
)
def test_a_record_runs_with_its_own_parameters(clbench, made, words, line):
    done = clbench("verify", str(made), *words, cwd=made.parent)
    assert done.returncode == 2
    assert line in done.stderr
    assert "Traceback" not in done.stderr


def test_what_is_no_record_is_one_clear_line(clbench, tmp_path):
    done = clbench("verify", "nothing.json", cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "nothing.json: not a record" in done.stderr
    none = clbench("verify", "--quick", "threads=1", cwd=tmp_path)
    assert none.returncode == 2
    assert "verify needs a record" in none.stderr


# --- what is compared ---


def test_the_cell_of_a_record_has_its_key_and_its_recipe(make_record):
    made = make_record(rank=8)
    recipe = {**made.recipe, "lr": 0.5, "clip": 1.0}
    update = {"recipe": recipe, "origins": {**made.origins, "recipe.lr": "user"}}
    assert Cell.from_record(make_record(rank=8)).key() == made.key
    cell = Cell.from_record(made.model_copy(update=update))
    # What comes from the scenario is its own affair.
    assert cell.recipe == {"lr": 0.5}
    assert "recipe.lr=0.5" in cell.command()
    assert not cell.tuned


def test_times_machines_and_places_do_not_differ(make_record):
    one = make_record(seconds=1.0)
    other = make_record(seconds=9.0, root="/elsewhere", cache=False)
    verdict = compare(one, other)
    assert (verdict.word, verdict.good, verdict.scores) == ("equal", True, 16)
    assert verdict.environment == []


def test_what_the_runs_did_not_have_in_common_is_named(make_record):
    then = make_record()
    new = then.environment.model_copy(update={"processor": "a new one", "threads": 1})
    now = then.model_copy(update={"environment": new})
    assert compare(then, now).environment == [
        "processor not noted then, a new one now",
        "threads 2 then, 1 now",
    ]


def test_the_largest_difference_comes_first(make_record):
    one, other = make_record(accuracy=0.5), make_record(accuracy=0.5000001)
    entry = other.rows[0]
    scores = {**entry.scores, "sketch": {"accuracy": 0.75, "holdout": 0.25}}
    changed = other.model_copy(
        update={"rows": [entry.model_copy(update={"scores": scores}), other.rows[1]]}
    )
    verdict = compare(one, changed)
    assert len(verdict.differences) == 8
    first = verdict.differences[0]
    assert first.place == "row 0 (experience 0, step 0), sketch, accuracy"
    assert (first.then, first.now, first.gap) == (0.5, 0.75, 0.25)
    assert verdict.word == "differs"
    assert compare(one, other, within=1e-6).word == "equal within 1e-06"
    assert compare(one, other, within=1e-8).word == "differs"


def test_outcomes_must_agree_where_all_must(make_record):
    then, now = (make_record().model_copy(update={"outcomes": o * 64}) for o in "ab")
    (difference,) = compare(then, now).differences
    assert difference.place == "outcomes"
    assert compare(then, now, within=0.02).good
    assert compare(then, now, rows=2).good
    assert compare(make_record(), now).good  # from before there was a hash


def test_no_tolerance_covers_what_is_no_number(make_record):
    one, other = make_record(), make_record(steps=7)
    verdict = compare(one, other, within=10.0)
    assert verdict.word == "differs"
    lost = one.model_copy(update={"rows": one.rows[:1]})
    verdict = compare(one, lost, within=10.0)
    assert verdict.differences[0].place == "row 1 (experience 1, step 300)"
    assert verdict.differences[0].now == "nothing"


def test_other_data_differ_unless_rounding_is_allowed_for(make_record):
    one, other = make_record(), make_record(fingerprint="f" * 64)
    (difference,) = compare(one, other).differences
    assert difference.place == "data card fingerprint"
    near = compare(one, other, within=0.01)
    assert near.word == "equal"
    assert near.environment == ["the fingerprint of the data"]


def test_the_first_part_is_compared_without_what_comes_later(make_record):
    one = make_record()
    log = {"rank": [(5, 1.0), (299, 2.0), (300, 3.0)], "late": [(300, 1.0)]}
    one = one.model_copy(update={"log": log})
    part = one.model_copy(
        update={
            "log": {"rank": [(5, 1.0), (299, 2.0)]},
            "status": "interrupted",
            "cost": None,
        }
    )
    assert compare(one, part, rows=2).word == "equal"
    assert compare(one, part).word == "differs"
    other = part.model_copy(update={"log": {"rank": [(5, 1.0), (299, 2.5)]}})
    (difference,) = compare(one, other, rows=2).differences
    assert difference.place == "log of 'rank' entry 1 (step 299)"


def test_only_the_first_experience_is_run_again(make_record):
    made = make_record()

    def rows(*boundaries: bool) -> int | None:
        entries = [
            Entry(experience=0, step=n, boundary=b, scores={})
            for n, b in enumerate(boundaries)
        ]
        return first_part(made.model_copy(update={"rows": entries}))

    assert rows(True, True, True) == 2
    assert rows(True, False, True) == 3
    assert rows(True, *[False] * 9, True) == 3
    assert rows() is None


def test_data_that_lay_elsewhere_are_asked_for(make_record, tmp_path):
    made = make_record(root="/no/such/folder")
    with pytest.raises(InputError, match=r"is not here: give scenario\.root=ROOT"):
        prepare(made, Path("a.json"), {})
    cell = prepare(made, Path("a.json"), {"root": str(tmp_path)})
    assert cell.scenario.params["root"] == str(tmp_path)


@pytest.mark.parametrize(
    ("facts", "line"),
    [
        ({"version": 99}, "is of version 99 of dg, which is now 1"),
        ({"status": "interrupted", "reason": "x"}, "only a whole cell"),
    ],
)
def test_what_cannot_be_run_again_says_why(make_record, facts, line):
    with pytest.raises(InputError, match=line):
        prepare(make_record(**facts), Path("a.json"), {})
