"""Trackers: what they are told, under which names, and that they lose no cell."""

from __future__ import annotations

import json
import math
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from clbench import tracking
from clbench.contract import InputError
from clbench.record import Entry, read
from clbench.report import QuietReporter
from clbench.tracking import content
from clbench.tracking.base import Tracker

PLUGINS = Path(__file__).parent / "plugins"
SECRET = "hush-1f0c6d"


@pytest.fixture
def tracked(tmp_path):
    """Runs a small cell with a tracker, offline; its record, and what was printed."""

    def run(name: str):
        environment = {
            **os.environ,
            "CLBENCH_PATH": str(PLUGINS),
            "COLUMNS": "120",
            "HOME": str(tmp_path / "home"),
            "TRACKIO_DIR": str(tmp_path / "trackio"),
            "WANDB_MODE": "offline",
            "WANDB_API_KEY": SECRET * 4,
            "SOME_TOKEN": SECRET,
        }
        environment.pop("MLFLOW_TRACKING_URI", None)
        words = "strategy=fake_head scenario=fake_points scenario.target=east"
        done = subprocess.run(
            [
                *(sys.executable, "-P", "-m", "clbench", "run", *words.split()),
                *(f"track={name}", "threads=1", "--json"),
            ],
            capture_output=True,
            text=True,
            env=environment,
            cwd=tmp_path,
        )
        assert done.returncode == 0, done.stderr
        assert "warning" not in done.stderr, done.stderr
        # Standard output has the cell and nothing of what the tracker prints.
        (line,) = done.stdout.splitlines()
        for path in tmp_path.rglob("*"):
            assert not path.is_file() or SECRET.encode() not in path.read_bytes(), path
        return read(tmp_path / json.loads(line)["record"]), done.stderr

    return run


def accuracies(record, domain="west") -> list[float]:
    return [row.scores[domain]["accuracy"] for row in record.rows]


def test_tensorboard_reads_the_matrix_and_the_scores_back(tracked, tmp_path):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    record, said = tracked("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    place = tmp_path / "tracking" / "tensorboard" / "fake_points"
    (folder,) = place.iterdir()
    assert folder.name == f"fake_head--{record.key}"
    assert f"tracked: tensorboard {folder}" in said
    events = EventAccumulator(str(folder))
    events.Reload()
    names = events.Tags()["scalars"]
    assert {"matrix/west/accuracy", "scores/target", "cost/seconds/total"} <= set(names)
    found = events.Scalars("matrix/west/accuracy")
    assert [e.step for e in found] == [0, 1]
    assert [e.value for e in found] == pytest.approx(accuracies(record))
    assert [e.step for e in events.Scalars("evaluation/west/accuracy")] == [0, 5]


def test_mlflow_keeps_them_in_files(tracked, tmp_path, monkeypatch):
    pytest.importorskip("mlflow", reason="mlflow is not installed")
    record, _ = tracked("mlflow")
    from mlflow import MlflowClient

    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    client = MlflowClient(tracking_uri=(tmp_path / "tracking" / "mlflow").as_uri())
    experiment = client.get_experiment_by_name("clbench")
    (run,) = client.search_runs([experiment.experiment_id])
    history = client.get_metric_history(run.info.run_id, "matrix/west/accuracy")
    points = sorted((m.step, m.value) for m in history)
    assert [step for step, _ in points] == [0, 1]
    assert [value for _, value in points] == pytest.approx(accuracies(record))
    assert run.data.params["strategy.rank"] == "2"
    assert run.data.params["recipe.lr"] == "0.1"
    assert run.data.metrics["cost/steps"] == 5
    # The fluent interface would add the user and the command.
    assert not {k for k in run.data.tags if k.startswith(("mlflow.user", "mlflow.so"))}


def test_wandb_keeps_an_offline_run(tracked, tmp_path):
    pytest.importorskip("wandb", reason="wandb is not installed")
    record, said = tracked("wandb")
    (folder,) = (tmp_path / "tracking" / "wandb").glob("offline-run-*")
    assert f"tracked: wandb {folder}" in said
    (path,) = folder.glob("*.wandb")
    stored = path.read_bytes()
    for text in (
        "matrix/west/accuracy",
        "scores/target",
        "cost/seconds/total",
        "strategy.rank",
        f"fake_head--{record.key}",
    ):
        assert text.encode() in stored, text
    for text in (tmp_path / "home", Path.cwd(), "git@", "requirements.txt"):
        assert str(text).encode() not in stored, text


def test_trackio_keeps_them_in_its_folder(tracked, tmp_path):
    pytest.importorskip("trackio", reason="trackio is not installed")
    record, _ = tracked("trackio")
    rows = sqlite3.connect(tmp_path / "trackio" / "clbench.db").execute(
        "select step, metrics from metrics order by id"
    )
    found = [(step, json.loads(metrics)) for step, metrics in rows]
    matrix = [(s, m["matrix/west/accuracy"]) for s, m in found if "experience" in m]
    assert [step for step, _ in matrix] == [0, 1]
    assert [value for _, value in matrix] == pytest.approx(accuracies(record))
    assert found[-1][1]["scores/target"] == pytest.approx(
        record.rows[-1].scores["east"]["accuracy"]
    )


# --- what is sent ---


def test_names_are_those_of_the_record(make_record):
    made = make_record(rank=8, root="/home/somebody/pacs")
    made = made.model_copy(update={"log": {"rank": [(0, 4.0), (300, 2.0)]}})
    described = content.describe(made)
    assert described.name == f"lora--{made.key}"
    assert described.config["strategy.rank"] == 8
    assert described.config["scenario.target"] == "photo"
    assert described.config["budget.steps"] == 300
    # Where data lie is nobody's business.
    assert "somebody" not in str(described)
    points = list(content.points(made))
    assert [(p.axis, p.at) for p in points] == [
        ("experience", 0),
        ("experience", 1),
        ("optimizer_step", 0),
        ("optimizer_step", 300),
    ]
    assert points[1].values["matrix/sketch/holdout"] == 0.5
    assert points[2].values["train/rank"] == 4.0
    assert points[3].values["evaluation/sketch/accuracy"] == 0.5


def test_members_of_a_composition_are_told_apart(make_record):
    made = make_record("lora+ewc")
    keys = content.describe(made).config
    assert {"strategy.lora.rank", "strategy.ewc.strength"} & set(keys)
    assert not {"strategy.rank"} & set(keys)


def test_what_has_no_value_is_not_sent(make_record):
    made = make_record()
    scores = {"photo": {"accuracy": None, "holdout": 0.5}}
    row = Entry(experience=0, step=0, boundary=True, scores=scores)
    (first, *_) = content.points(made.model_copy(update={"rows": [row]}))
    assert first.values == {"matrix/photo/holdout": 0.5}
    sent = content.summary(made)
    assert "scores/forgetting" not in sent
    assert sent["scores/target_accuracy"] == 0.5
    assert sent["cost/trainable/adapter"] == 10
    assert all(math.isfinite(value) for value in sent.values())


class Broken(Tracker):
    """Fails when it is to end."""

    def begin(self, description, folder):
        pass

    def log(self, point):
        pass

    def end(self, summary):
        raise ConnectionError("nobody answers\nsecond line")


class Notes(QuietReporter):
    def __init__(self):
        super().__init__()
        self.lines = []

    def note(self, text):
        self.lines.append(text)


def test_a_tracker_that_fails_is_one_line(make_record, tmp_path, monkeypatch):
    monkeypatch.setattr(tracking, "_tracker", lambda name: Broken())
    notes = Notes()
    tracking.send("wandb", make_record(), tmp_path, notes)
    assert notes.lines == [
        "warning: track=wandb failed (ConnectionError: nobody answers); the record is "
        "written"
    ]


def test_none_and_cells_without_rows_are_not_sent(make_record, tmp_path, monkeypatch):
    monkeypatch.setattr(tracking, "_tracker", lambda name: Broken())
    notes = Notes()
    tracking.send("none", make_record(), tmp_path, notes)
    never = make_record().model_copy(update={"rows": []})
    tracking.send("wandb", never, tmp_path, notes)
    assert notes.lines == []


def test_a_package_that_is_missing_is_named_with_its_remedy(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'clbench\[wandb\]'"):
        tracking.check("wandb")
    tracking.check("none")
