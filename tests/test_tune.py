"""`clbench tune`: what it tries, what it is handed, what it writes and refuses."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from clbench import places, registry, schema
from clbench.check.checks import Broken
from clbench.check.tuning import tuning_reads_no_test_number
from clbench.cli import main
from clbench.config import resolve
from clbench.contract import Among, Between, Metric, Tuning
from clbench.record import read

pytest.importorskip("optuna")

PLUGINS = Path(__file__).parent / "plugins"
HILL = ("strategy=fake_climb", "scenario=fake_hill")
PLACE = (*HILL, "--over", "strategy.place")
FILE = Path("mine/strategies/tuned/fake_climb--fake_hill.yaml")


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder of one's own, with plugins that can be written beside."""
    shutil.copytree(
        PLUGINS, tmp_path / "mine", ignore=shutil.ignore_patterns("__pycache__")
    )
    monkeypatch.setenv(places.VARIABLE, str(tmp_path / "mine"))
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def tune(place, monkeypatch, capfd):
    """The command line, in this process: exit code, output, error stream."""

    def call(*words: str):
        monkeypatch.setattr(sys, "argv", ["clbench", "tune", *words])
        with pytest.raises(SystemExit) as stop:
            main()
        out, err = capfd.readouterr()
        return stop.value.code or 0, out, err

    return call


def search(folder: Path) -> dict:
    (path,) = folder.glob("runs/tuning/fake_hill/fake_climb--search-*.json")
    return json.loads(path.read_text())


def times(folder: Path) -> dict[str, int]:
    """When each record was written, in nanoseconds."""
    records = folder.glob("runs/tuning/fake_hill/fake_climb--????????????.json")
    return {path.name: path.stat().st_mtime_ns for path in records}


# --- what a search finds ---


def test_the_top_is_found_though_test_numbers_lead_away(tune, place):
    code, out, _ = tune(*PLACE, "--trials", "25")
    assert code == 0
    found = search(place)
    (winner,) = [t for t in found["trials"] if t["trial"] == found["winner"]]
    # 1 - (x - 0.2)² and 1 - (x - 0.4)²: the mean is largest, 0.99, at 0.3.
    assert abs(winner["settings"]["strategy.place"] - 0.3) < 0.05
    assert winner["value"] == pytest.approx(0.99, abs=0.0025)
    assert winner["value"] == max(t["value"] for t in found["trials"])
    # The default, 0.9, comes first; test numbers would have preferred 1.
    assert found["trials"][0]["settings"] == {}
    assert found["trials"][0]["value"] == pytest.approx(1 - (0.49 + 0.25) / 2)
    assert "+36." in out
    assert "points from default settings, 63.0 %" in out
    shown = [line for line in out.splitlines() if line.endswith("%  default")]
    assert shown == ["trial 0: 63.0 %  default"]
    stem = next(place.glob("runs/tuning/fake_hill/*search*.json"))
    assert stem.with_suffix(".svg").read_text().startswith("<?xml")
    assert stem.with_suffix(".png").read_bytes()[1:4] == b"PNG"

    # What was written is what the next run takes, and its record says so.
    (document,) = yaml.safe_load_all((place / FILE).read_text())
    assert document["when"] == {"size": "small"}
    assert document["strategy"] == {"place": winner["settings"]["strategy.place"]}
    assert document["trials"] == found["distinct"]
    assert document["records"] == winner["records"]
    assert document["chosen_by"].startswith(
        "largest mean height (usual=2), at seed 100"
    )
    assert "strategy.place 0 to 1" in document["chosen_by"]
    cells, _ = resolve([*HILL])
    for cell in cells:
        assert cell.strategy[0].params["place"] == document["strategy"]["place"]
        assert cell.trials == document["trials"]
    for name in winner["records"]:
        trial = read(place / "runs" / "tuning" / "fake_hill" / f"{name}.json")
        assert (trial.seed, trial.trials) == (100, None)
        assert trial.scenario.params["judged_on"] == "validation"
        assert "tuned=false" in trial.command


def test_a_run_s_record_and_board_say_how_many_were_tried(forked, tune, place):
    words = [*HILL, "strategy.place=0.1,0.3,0.7", "strategy.shift=0"]
    assert tune(*words, "--quiet")[0] == 0

    def clbench(*words: str):
        done = forked(*words, cwd=place)
        assert done.returncode == 0, done.stderr
        return done.stdout

    facts = clbench("run", *HILL, "--json").splitlines()
    records = [read(Path(json.loads(line)["record"])) for line in facts]
    assert {record.trials for record in records} == {3}
    assert {r.strategy.members[0].params["place"] for r in records} == {0.3}
    clbench("board", "fake_hill")
    (row,) = json.loads((place / "leaderboards" / "fake_hill.json").read_text())[
        "boards"
    ][0]["rows"]
    assert row["trials"] == 3
    # Trials themselves are on no board.
    assert row["seeds"] == [0]


def test_what_is_listed_is_tried_and_nothing_else(tune, place):
    code, out, _ = tune(*HILL, "strategy.place=0.1,0.35,0.7", "strategy.shift=0.05,0")
    assert code == 0
    settings = [t["settings"] for t in search(place)["trials"]]
    assert [tuple(s.values()) for s in settings] == [
        (p, s) for p in (0.1, 0.35, 0.7) for s in (0.05, 0)
    ]
    assert "default settings were not among the trials" in out
    # 0.35 and 0.25 + 0.05 would be equal; 0.35 is as near as it comes.
    assert yaml.safe_load((place / FILE).read_text())["strategy"] == {
        "place": 0.35,
        "shift": 0,
    }


def test_a_fixed_value_stays_and_is_written(tune, place):
    assert tune(*HILL, "strategy.shift=0.05", "--trials", "3")[0] == 0
    keys = {key for t in search(place)["trials"] for key in t["settings"]}
    assert keys == {"strategy.place"}
    assert yaml.safe_load((place / FILE).read_text())["strategy"]["shift"] == 0.05


# --- stop, and go on ---


def test_a_killed_search_goes_on_and_ends_the_same(tune, place):
    words = [*PLACE, "--trials", "13", "strategy.wait=0.05"]
    running = subprocess.Popen(
        [sys.executable, "-m", "clbench", "tune", *words],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while len(times(place)) < 9:
        assert running.poll() is None
        time.sleep(0.01)
    running.send_signal(signal.SIGKILL)
    running.wait()
    before = times(place)
    assert len(before) < 26
    assert not FILE.exists()

    code, out, _ = tune(*words)
    assert code == 0
    after = times(place)
    assert {name: after[name] for name in before} == before
    assert out.count("(had its records)") == len(before) // 2
    gone_on = search(place)

    shutil.rmtree(place / "runs")
    FILE.unlink()
    assert tune(*words)[0] == 0
    assert search(place) == gone_on
    # Once more: nothing is run, and what is written is what is there.
    written, done = FILE.read_text(), times(place)
    assert tune(*words)[0] == 0
    assert (FILE.read_text(), times(place)) == (written, done)


def test_a_longer_search_goes_on_from_a_shorter_one(tune, place):
    tune(*PLACE, "--trials", "3", "--quiet")
    short, done = search(place)["trials"], times(place)
    tune(*PLACE, "--trials", "5", "--quiet")
    longer = search(place)["trials"]
    assert longer[:3] == short
    assert len(longer) == 5
    assert {name: times(place)[name] for name in done} == done


def test_failed_trials_are_told_and_not_run_again(tune, place):
    words = [*HILL, "strategy.place=0.1,0.6,0.3", "strategy.limit=0.5"]
    words += ["strategy.shift=0"]
    code, out, _ = tune(*words)
    assert code == 0
    trials = search(place)["trials"]
    assert [t["value"] is None for t in trials] == [False, True, False]
    where = "strategy 'fake_climb', before_experience, experience 'hill', step 0"
    assert trials[1]["failed"] == f"ValueError: nobody stands at 0.6 ({where})"
    assert "failed: 1 of 3 (trial 1)" in out
    document = yaml.safe_load(FILE.read_text())
    assert (document["strategy"]["place"], document["trials"]) == (0.3, 3)

    done = times(place)
    assert "(had its records)" in tune(*words)[1]
    assert times(place) == done
    tune(*words, "--retry")
    assert sum(times(place)[name] != at for name, at in done.items()) == 1


def test_without_a_trial_that_ended_well_nothing_is_written(tune):
    words = [*HILL, "strategy.place=0.7,0.8", "strategy.shift=0", "strategy.limit=0"]
    code, _, err = tune(*words, "--quiet")
    assert code == 1
    assert "no trial ended well: ValueError: nobody stands at 0.7" in err
    assert not FILE.exists()


# --- what is written ---


def test_other_documents_stay_and_an_old_one_is_shown(tune):
    FILE.write_text(
        "# by hand\nwhen: {size: large}\nstrategy: {place: 0.5}\nchosen_by: me\n"
        "---\nwhen: {size: [small, tiny]}\nstrategy: {place: 0.6}\nchosen_by: you\n"
    )
    words = [*HILL, "strategy.place=0.2,0.3", "strategy.shift=0"]
    assert "replaces" not in tune(*words)[1]
    large, new, small = FILE.read_text().split("---\n")
    assert large.startswith("# by hand\nwhen: {size: large}")
    # Of those that apply the first counts.
    assert new.startswith("when: {size: small}\nstrategy: {place: 0.3}")
    assert small.startswith("when: {size: [small, tiny]}")

    out = tune(*HILL, "strategy.place=0.25", "strategy.shift=0,0.05")[1]
    old = out.partition("replaces")[2].partition("written to")[0]
    assert "strategy: {place: 0.3}" in old
    documents = list(yaml.safe_load_all(FILE.read_text()))
    assert [d["strategy"]["place"] for d in documents] == [0.5, 0.25, 0.6]


def test_what_the_user_set_of_the_problem_is_when_it_holds(tune):
    words = [*HILL, "strategy.place=0.2,0.3", "strategy.shift=0", "scenario.steps=3"]
    words += ["scenario.usual=5", "scenario.size='a b'"]
    (following,) = [x for x in tune(*words)[1].splitlines() if x.startswith("next: ")]
    assert "scenario.steps=3" in following
    assert "seed=0,1,2" in following
    assert "usual" not in following
    document = yaml.safe_load(FILE.read_text())
    assert document["when"] == {"size": "'a b'", "steps": 3}
    ((cell, *_), _) = resolve([*HILL, "scenario.steps=3", "scenario.size='a b'"])
    assert cell.strategy[0].params["place"] == 0.3
    assert "(usual=5)" in document["chosen_by"]


def test_print_writes_nothing_and_to_names_a_place(tune, place):
    words = [*HILL, "strategy.place=0.2,0.3", "strategy.shift=0"]
    out = tune(*words, "--print")[1]
    assert "would be written" in out
    assert "strategy: {place: 0.3}" in out
    assert not FILE.exists()
    tune(*words, "--to", "other", "--quiet")
    assert not FILE.exists()
    other = place / "other" / "tuned" / FILE.name
    assert yaml.safe_load(other.read_text())["strategy"]["place"] == 0.3


def test_what_is_installed_is_not_written_beside(tune, place, monkeypatch):
    packages = place / "site-packages"
    shutil.move(place / "mine", packages)
    monkeypatch.setenv(places.VARIABLE, str(packages))
    code, _, err = tune(*HILL)
    assert code == 2
    assert "--to FILE" in err
    assert not (place / "runs").exists()


def test_json_is_one_object_a_trial(tune):
    words = [*HILL, "strategy.place=0.2,0.3", "strategy.shift=0", "--json"]
    lines = [json.loads(line) for line in tune(*words)[1].splitlines()]
    assert [line["settings"]["strategy.place"] for line in lines] == [0.2, 0.3]
    assert all(line["ran"] and line["failed"] is None for line in lines)


# --- what is refused ---


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("strategy=fake_climb", "scenario=NAME is missing"),
        ("strategy=fake_climb scenario=fake_points", "nothing is tuned on it"),
        (
            "strategy=fake_plain+fake_climb scenario=fake_hill",
            "tune strategy=fake_plain",
        ),
        ("strategy=fake_climb,fake_plain scenario=fake_hill", "one search at a time"),
        ("strategy=dora scenario=fake_hill", "strategy=peft strategy.type=dora"),
        (f"{' '.join(HILL)} seed=7", "seeds below 100 are those of boards"),
        (f"{' '.join(HILL)} seed=100,101", "seed=100,101"),
        (f"{' '.join(HILL)} scenario.judged_on=test", "judged_on=validation"),
        (f"{' '.join(HILL)} scenario.side=left", "a trial takes every side"),
        (f"{' '.join(HILL)} scenario.size=a,b", "it is not searched"),
        (f"{' '.join(HILL)} strategy.plase=0.1,0.2", "nearest is 'strategy.place'"),
        (f"{' '.join(HILL)} strategy.place=0.1,2", "less than or equal to 1"),
        (f"{' '.join(HILL)} --over strategy.limit", "--over strategy.limit"),
        (f"{' '.join(HILL)} tuned=true", "starts from defaults"),
        (f"{' '.join(HILL)} +experiment=x.yaml", "is for `clbench run`"),
        ("strategy=zeroshot scenario=fake_hill", "leaves nothing to search"),
        ("strategy=fake_never scenario=fake_hill", "has no meaning on"),
    ],
)
def test_what_has_no_meaning_is_one_line(tune, place, words, found):
    code, _, err = tune(*words.split())
    assert code == 2
    assert found in err
    line = err.splitlines()[-1]
    assert line.startswith("error: ")
    assert "Traceback" not in err


def test_the_help_teaches(tune):
    out = tune("--help")[1]
    for text in ("no test number", "--trials", "goes on where it was stopped"):
        assert text in " ".join(out.split()), text


# --- declarations ---


def test_spaces_are_read_beside_parameters(place):
    found = schema.plugin_parameters("strategy", "fake_climb")
    assert found["place"].space == Between(0, 1)
    assert found["shift"].space == Among(0.0, 0.05)
    assert found["limit"].space is None
    (kappa,) = [
        p
        for name, p in schema.plugin_parameters("strategy", "codyra").items()
        if name == "kappa"
    ]
    assert kappa.space == Between(1e-4, 5e-2, log=True)


@pytest.mark.parametrize("name", sorted(registry.find("strategy")))
def test_built_in_spaces_hold_values_that_are_taken(name):
    for parameter in schema.plugin_parameters("strategy", name).values():
        space = parameter.space
        if isinstance(space, Between):
            low, high = space.low, space.high
            assert parameter.check(low) <= parameter.check(high)
            default = parameter.default
            assert default is None or low <= default <= high, parameter.name
        elif isinstance(space, Among):
            assert parameter.default in map(parameter.check, space.values)
    rates = registry.load("strategy", name).search
    assert set(rates) <= {"lr"}
    assert bool(rates) == (name != "zeroshot")


@pytest.mark.parametrize(
    "text", ["Between(2, 1)", "Between(0, 1, log=True)", "Among()"]
)
def test_a_space_without_values_is_no_space(text):
    with pytest.raises(ValueError, match="needs"):
        eval(text, {"Between": Between, "Among": Among})


# --- the contract ---


def test_the_check_finds_an_objective_that_reads_the_test(place):
    hill = registry.load("scenario", "fake_hill")
    tuning_reads_no_test_number(hill)
    metric = Metric(name="x", title="X", definition="x")

    def last(matrix, first, params):
        return matrix.rows[-1].scores["unseen"]["accuracy"]

    class Open(hill):
        tuning = Tuning(metric=metric, value=last)

    with pytest.raises(Broken, match="these are test numbers"):
        tuning_reads_no_test_number(Open)

    class Reaching(hill):
        tuning = Tuning(metric=metric, value=last, columns=hill.tuning.columns)

    # The column is gone before it is asked for.
    with pytest.raises(KeyError, match="unseen"):
        tuning_reads_no_test_number(Reaching)

    class Misspelt(hill):
        tuning = Tuning(metric=metric, value=last, fixed={"judge_on": "validation"})

    with pytest.raises(Broken, match="judge_on"):
        tuning_reads_no_test_number(Misspelt)


def test_of_the_target_of_dg_a_search_is_handed_nothing(make_record):
    record = make_record(target="sketch")
    tuning = registry.load("scenario", "dg").tuning
    matrix = record.matrix()
    seen = tuning.seen(matrix, record.scenario.params)
    assert {*seen.tasks} == {"photo", "cartoon", "painting"}
    assert {name for row in seen.rows for s in row.scores.values() for name in s} == {
        "holdout"
    }
    assert tuning.number(matrix, matrix, record.scenario.params) == 0.5


def test_what_mtl_compares_is_a_gain_over_the_first_trial():
    from clbench.matrix import Matrix, Row

    def matrix(miou, degrees):
        scores = {"semseg": {"miou": miou}, "normals": {"mean": degrees}}
        rows = tuple(
            Row(experience=n, step=n, boundary=True, scores=scores) for n in (0, 1)
        )
        return Matrix(rows=rows, learned={"semseg": 1, "normals": 1})

    scenario = registry.load("scenario", "mtl")
    assert scenario.headline("normals").name == "mean"
    first, other = matrix(0.5, 20.0), matrix(0.6, 18.0)
    assert scenario.tuning.number(first, first, {}) == 0
    assert scenario.tuning.number(other, first, {}) == pytest.approx(0.15)
