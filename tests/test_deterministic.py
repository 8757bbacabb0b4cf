"""`--deterministic`: asked of torch, said in records, and loud where there is none."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
import torch

from clbench import cli, config
from clbench.building import build_scenario
from clbench.checkpoint.identity import identity
from clbench.determinism import VARIABLE, deterministic, missing

PLUGINS = Path(__file__).parent / "plugins"
EAST = ("scenario=fake_points", "scenario.target=east", "--quiet")


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run cells; the exit code, and what their records say."""
    monkeypatch.setenv("CLBENCH_PATH", str(PLUGINS))
    monkeypatch.delenv(VARIABLE, raising=False)

    def call(*words: str):
        argv = ["clbench", "run", *words, *EAST, f"out={tmp_path}"]
        monkeypatch.setattr(sys, "argv", argv)
        with pytest.raises(SystemExit) as stop:
            cli.main()
        (path,) = tmp_path.rglob("*--*.json")
        return stop.value.code, json.loads(path.read_text())

    return call


def test_within_torch_is_deterministic_and_afterwards_as_before(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    flags = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    with deterministic(False):
        assert not torch.are_deterministic_algorithms_enabled()
        assert VARIABLE not in os.environ
    with deterministic(True):
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.backends.cudnn.deterministic
        assert not torch.backends.cudnn.benchmark
        assert os.environ[VARIABLE] in (":4096:8", ":16:8")
    assert not torch.are_deterministic_algorithms_enabled()
    assert flags == (torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark)


def test_a_record_without_it_does_not_make_a_run_with_it_needless(run):
    code, plain = run("strategy=fake_plain")
    assert (code, plain["environment"]["deterministic"]) == (0, False)
    code, made = run("strategy=fake_plain", "--deterministic")
    assert (code, made["environment"]["deterministic"]) == (0, True)
    assert made["rows"] == plain["rows"]
    assert made["key"] == plain["key"]
    # One that was made with it does, for a run without it too.
    _, again = run("strategy=fake_plain")
    assert again == made
    assert not torch.are_deterministic_algorithms_enabled()


def test_a_kernel_without_a_deterministic_version_fails_the_cell(run):
    code, made = run("strategy=fake_put", "--deterministic")
    assert code == 1
    assert made["status"] == "failed"
    assert made["reason"].startswith("put_ has no deterministic kernel")
    assert "\n" not in made["reason"]
    assert (0 < made["step_failed"] < 5, len(made["rows"])) == (True, 1)
    assert made["environment"]["deterministic"] is True
    code, made = run("strategy=fake_put")
    assert (code, made["status"]) == (0, "ok")


def test_other_errors_are_as_they_were():
    assert missing(RuntimeError("shapes differ")) is None
    assert missing(ValueError("x does not have a deterministic implementation")) is None


def test_a_checkpoint_belongs_to_one_or_the_other(monkeypatch):
    monkeypatch.setenv("CLBENCH_PATH", str(PLUGINS))
    words = ["strategy=fake_plain", "scenario=fake_points", "scenario.target=east"]
    (cell,) = config.resolve(words)[0]
    scenario = build_scenario(cell)
    plain = identity(cell, scenario, "cpu")
    with deterministic(True):
        assert identity(cell, scenario, "cpu").differs(plain.parts) == "deterministic"
