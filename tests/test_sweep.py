"""Many cells at once: the real command line, and the decisions behind it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from clbench import locking, record
from clbench.cli import sweeping
from clbench.contract import InputError
from clbench.record import comparable, read

PLUGINS = Path(__file__).parent / "plugins"
EAST = ("scenario=fake_points", "scenario.target=east", "device=cpu")


@pytest.fixture
def gate(tmp_path) -> Path:
    """A folder that says what `fake_gate` does."""
    folder = tmp_path / "gate"
    folder.mkdir()
    return folder


@pytest.fixture
def begin(tmp_path, gate):
    """Begin a command in a folder of its own."""
    known = {**os.environ, "CLBENCH_PATH": str(PLUGINS), "FAKE_GATE": str(gate)}
    running = []

    def call(*words: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "clbench", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            env={**known, "COLUMNS": "120"},
        )
        running.append(process)
        return process

    yield call
    for process in running:
        if process.poll() is None:
            process.kill()
            process.wait()


@pytest.fixture
def clbench(begin) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a command to its end; its output and exit code."""

    def call(*words: str) -> subprocess.CompletedProcess[str]:
        process = begin(*words)
        out, err = process.communicate(timeout=300)
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    return call


def records(folder: Path) -> dict[str, record.Record]:
    return {path.name: read(path) for path in sorted(folder.rglob("*--*.json"))}


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def wait_for(what: Callable[[], object], seconds: float = 200) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not come to be"
        time.sleep(0.05)


def test_a_sweep_leaves_the_records_that_run_leaves(clbench, tmp_path):
    """A cell that fails is tried once more; what has a record is not run again."""
    cells = ("strategy=fake_head", "scenario.poison=null,2", "seed=0,1", *EAST)
    swept = clbench("sweep", *cells, "workers=2")
    assert swept.returncode == 1, swept.stderr
    assert "4 cells on 2 workers" in swept.stdout
    tried = "the loss became nan at step 1: it is tried again"
    assert len(re.findall(tried, swept.stdout)) == 2
    assert len(re.findall(r"seed=\d: ok, Target accuracy [\d.]+ %", swept.stdout)) == 2
    assert re.search("took .*: 2 run, 2 failed", swept.stdout)
    assert re.search(r"fake_head( +[\d.]+){2} ± [\d.]+ +2 ", swept.stdout)
    assert not list((tmp_path / "runs").rglob(".*"))

    ran = clbench("run", *cells, "threads=1", "out=alone")
    assert ran.returncode == 1
    assert {
        name: comparable(found) for name, found in records(tmp_path / "runs").items()
    } == {
        name: comparable(found) for name, found in records(tmp_path / "alone").items()
    }

    again = clbench("sweep", *cells, "workers=2", "retries=0", "--json")
    facts = [json.loads(line) for line in again.stdout.splitlines()]
    assert [(each["status"], each["ran"]) for each in facts] == [
        ("ok", False),
        ("ok", False),
        ("failed", True),
        ("failed", True),
    ]
    assert "tried again" not in again.stderr


def test_a_worker_that_is_killed_is_named_and_replaced(clbench, gate):
    cells = ("strategy=fake_gate", "strategy.deaths=1,3,0", *EAST)
    swept = clbench("sweep", *cells, "workers=1")
    assert swept.returncode == 1, swept.stderr
    why = "killed by signal 9 (SIGKILL), probably for want of memory"
    assert f"deaths=1 target=east seed=0: {why}: it is tried again" in swept.stdout
    assert f"deaths=3 target=east seed=0: {why}: it is tried again" in swept.stdout
    assert re.search(r"deaths=1 target=east seed=0: ok", swept.stdout)
    assert re.search(r"points target=east seed=0: ok", swept.stdout)
    assert f"deaths=3 target=east seed=0: killed, {why}" in swept.stdout
    assert (gate / "deaths").read_text() == "xxx"


def test_ctrl_c_stops_cells_at_a_checkpoint_and_a_second_sweep_goes_on(
    begin, clbench, gate, tmp_path
):
    (gate / "shut").touch()
    cells = ("strategy=fake_gate", "seed=0,1", *EAST, "workers=2", "scenario.steps=40")
    first = begin("sweep", *cells)
    wait_for(lambda: len(lines(gate / "begun")) == 2)
    first.send_signal(signal.SIGINT)
    time.sleep(1.5)
    (gate / "shut").unlink()
    out, err = first.communicate(timeout=100)
    assert first.returncode == 130, err
    assert "stops: cells write a checkpoint first" in out
    assert "interrupted: the same command goes on where it stopped" in err
    assert {found.status for found in records(tmp_path / "runs").values()} == {
        "interrupted"
    }

    second = clbench("sweep", *cells)
    assert second.returncode == 0, second.stderr
    assert len(re.findall("goes on at step 1 of 40", second.stdout)) == 2
    assert len(lines(gate / "begun")) == 2


def test_two_processes_never_run_a_cell_twice(begin, gate, tmp_path):
    """A sweep, another sweep over more cells, and a run; each leaves its cell alone."""
    (gate / "shut").touch()
    cells = ("strategy=fake_gate", *EAST)
    first = begin("sweep", *cells, "workers=1")
    wait_for(lambda: lines(gate / "begun"))
    second = begin("sweep", *cells, "seed=0,1", "workers=1")
    third = begin("run", *cells, "seed=0")
    said = [third.stdout.readline() for _ in range(2)]
    assert "another process runs it: waits for its record" in said[1]
    wait_for(lambda: len(lines(gate / "begun")) == 2)
    (gate / "shut").unlink()
    for process in (first, second, third):
        out, err = process.communicate(timeout=200)
        assert process.returncode == 0, out + err
        if process is second:
            assert "seed=0: another process runs it" in out
            assert "seed=0: has a record, ok" in out
        if process is third:
            assert "has a record" in out
    assert len(lines(gate / "begun")) == 2
    assert [found.status for found in records(tmp_path / "runs").values()] == ["ok"] * 2


def test_cells_stop_at_a_checkpoint_when_their_sweep_is_killed(begin, gate, tmp_path):
    (gate / "shut").touch()
    sweep = begin("sweep", "strategy=fake_gate", *EAST, "scenario.steps=40")
    wait_for(lambda: lines(gate / "begun"))
    sweep.send_signal(signal.SIGKILL)
    sweep.wait()
    time.sleep(1.0)
    (gate / "shut").unlink()
    wait_for(lambda: records(tmp_path / "runs"))
    ((name, found),) = records(tmp_path / "runs").items()
    assert (found.status, found.reason) == ("interrupted", "interrupted at step 1")
    path = tmp_path / "runs" / "fake_points" / name
    assert any(each.exists() for each in record.checkpoint_paths(path))
    wait_for(lambda: not locking.taken(path))


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["worker=2"], "unknown key 'worker': the nearest is 'workers'"),
        (["workers=0"], "workers=0"),
        (["workers=1,2"], "workers takes one"),
        (["executor=locla"], "the nearest is 'local'"),
        (["slurm.partition=gpu"], "slurm.partition is for executor=slurm"),
        (["executor=ray", "slurm.partition=gpu"], "and this is executor=ray"),
    ],
)
def test_bad_input_is_a_line(words, line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cells = ["strategy=lora", "scenario=dg"]
    with pytest.raises(InputError, match=re.escape(line)):
        sweeping.sweep([*cells, *words], force=False, quiet=True, json=False)
    assert not list(tmp_path.iterdir())


def test_a_sweep_is_no_process_of_several(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InputError, match="accelerate launch -m clbench run"):
        sweeping.sweep(["strategy=lora"], force=False, quiet=True, json=False)
