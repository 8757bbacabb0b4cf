"""Many cells at once: the real command line, and the decisions behind it."""

from __future__ import annotations

import functools
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
def clbench(forked, tmp_path, gate) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a command to its end; its output and exit code."""
    known = {"CLBENCH_PATH": str(PLUGINS), "FAKE_GATE": str(gate), "COLUMNS": "120"}
    return functools.partial(forked, cwd=tmp_path, **known)


def records(folder: Path) -> dict[str, record.Record]:
    return {path.name: read(path) for path in sorted(folder.rglob("*--*.json"))}


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def wait_for_line(process: subprocess.Popen[str], text: str) -> str:
    """Its output up to the line that has `text`."""
    said = ""
    for line in process.stdout:
        said += line
        if text in line:
            return said
    raise AssertionError(f"'{text}' was not said: {said}{process.stderr.read()}")


def wait_for(what: Callable[[], object], seconds: float = 200) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not come to be"
        time.sleep(0.05)


CELLS = ("strategy=fake_head", "scenario.poison=null,2", *EAST, "threads=1")


@pytest.fixture(scope="module")
def alone(forked, tmp_path_factory) -> Path:
    """A folder of records as `clbench run` leaves them, one cell after another."""
    folder = tmp_path_factory.mktemp("alone")
    forked("run", *CELLS, "--quiet", cwd=folder, CLBENCH_PATH=str(PLUGINS))
    assert len(records(folder)) == 2
    return folder


EXECUTORS = {
    "local": ("", "2 cells on 2 workers, a thread each", 2),
    "submitit-local": ("submitit", "2 cells on submitit's local jobs", 2),
    "ray": ("ray", "2 cells on Ray, 1 machine", 1),
}
"""The package that each needs, what is said of it, and workers."""


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_sweep_leaves_the_records_that_run_leaves(
    executor, clbench, alone, tmp_path, monkeypatch
):
    needs, line, workers = EXECUTORS[executor]
    if needs:
        pytest.importorskip(needs, reason=f"{needs} is an extra: clbench[{needs}]")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    retries = int(executor == "local")
    words = (f"executor={executor}", f"workers={workers}", f"retries={retries}")
    swept = clbench("sweep", *CELLS, *words)
    assert swept.returncode == 1, swept.stderr
    assert line in swept.stdout
    assert re.search(r"seed=0: ok, Target accuracy [\d.]+ %", swept.stdout)
    assert re.search(r"poison=2 seed=0: failed, the loss became nan", swept.stdout)
    again = "the loss became nan at step 1: it is tried again"
    assert len(re.findall(again, swept.stdout)) == retries
    assert re.search("took .*: 1 run, 1 failed", swept.stdout)
    assert re.search(r"fake_head( +[\d.]+){2} +1 ", swept.stdout)
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["fake_points"]

    mine, theirs = records(tmp_path), records(alone)
    assert list(mine) == list(theirs)
    for name, found in mine.items():
        assert comparable(found) == comparable(theirs[name])
        assert found.environment.threads == 1


def test_what_is_done_is_left_out(clbench, alone):
    words = ("strategy=fake_head", *EAST, f"out={alone / 'runs'}", "--json")
    swept = clbench("sweep", *words)
    assert swept.returncode == 0, swept.stderr
    (facts,) = [json.loads(line) for line in swept.stdout.splitlines()]
    assert (facts["status"], facts["ran"]) == ("ok", False)


BATCH = """#!/bin/sh
# Takes a job as SLURM does, and runs it at once.
cp "$1" "$(dirname "$0")/script"
export SLURM_JOB_ID=$$ SLURM_NTASKS=1 SLURM_JOB_NUM_NODES=1 SLURM_NODEID=0
export SLURM_PROCID=0 SLURM_LOCALID=0 SLURM_JOB_NODELIST=here
bash "$1" >> "$(dirname "$0")/log" 2>&1 &
echo "Submitted batch job $$"
"""

STEP = """#!/bin/sh
# Runs the command behind the options.
while [ "${1#-}" != "$1" ]; do
  case "$1" in *=*|--unbuffered) shift ;; *) shift 2 ;; esac
done
exec "$@"
"""

ACCOUNTS = """#!/bin/sh
echo "JobID|State|NodeList"
"""


@pytest.fixture
def slurm(tmp_path, monkeypatch) -> Path:
    """Commands with the names of SLURM's."""
    pytest.importorskip("submitit", reason="submitit is an extra: clbench[slurm]")
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, source in {"sbatch": BATCH, "srun": STEP, "sacct": ACCOUNTS}.items():
        (folder / name).write_text(source)
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    return folder


def test_a_job_of_slurm_asks_for_what_it_is_told_to(slurm, clbench, tmp_path):
    words = ("slurm.partition=gpu", "slurm.time=7", "threads=2", "slurm.mem=2GB")
    swept = clbench("sweep", "strategy=fake_head", *EAST, "executor=slurm", *words)
    said = swept.stdout + swept.stderr + (slurm / "log").read_text()
    assert swept.returncode == 0, said
    script = (slurm / "script").read_text()
    for option in ("partition=gpu", "time=7", "cpus-per-task=2", "mem=2GB"):
        assert f"#SBATCH --{option}\n" in script
    (found,) = records(tmp_path / "runs").values()
    assert (found.status, found.environment.threads) == ("ok", 2)
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["fake_points"]


def test_slurm_s_keys_are_checked(slurm, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["strategy=lora", "scenario=dg", "device=cpu", "executor=slurm"]
    line = "unknown key 'slurm.partitoin': the nearest is 'partition'"
    with pytest.raises(InputError, match=line):
        sweeping.sweep(
            [*words, "slurm.partitoin=gpu"], force=False, quiet=True, json=False
        )


def test_without_slurm_there_is_a_line(tmp_path, monkeypatch):
    pytest.importorskip("submitit", reason="submitit is an extra: clbench[slurm]")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    words = ["strategy=lora", "scenario=dg", "device=cpu", "executor=slurm"]
    with pytest.raises(InputError, match="no machine of a SLURM cluster"):
        sweeping.sweep(words, force=False, quiet=True, json=False)


def test_a_worker_that_is_killed_is_named_and_replaced(clbench, gate):
    cells = ("strategy=fake_gate", "strategy.deaths=2,0", *EAST)
    swept = clbench("sweep", *cells, "workers=1")
    assert swept.returncode == 1, swept.stderr
    why = "killed by signal 9 (SIGKILL), probably for want of memory"
    assert f"deaths=2 target=east seed=0: {why}: it is tried again" in swept.stdout
    assert re.search(r"points target=east seed=0: ok", swept.stdout)
    assert f"deaths=2 target=east seed=0: killed, {why}" in swept.stdout
    assert (gate / "deaths").read_text() == "xx"


def test_cells_of_a_sweep_that_is_stopped_or_killed_go_on(begin, gate, tmp_path):
    """By Ctrl-C the first, by SIGKILL the second: each leaves a checkpoint."""
    cells = ("strategy=fake_gate", *EAST, "scenario.steps=40", "workers=1")
    (gate / "shut").touch()
    first = begin("sweep", *cells)
    wait_for(lambda: lines(gate / "begun"))
    first.send_signal(signal.SIGINT)
    said = wait_for_line(first, "stops: cells write a checkpoint first")
    time.sleep(0.5)
    (gate / "shut").unlink()
    out, err = first.communicate(timeout=100)
    assert first.returncode == 130, said + out + err
    assert "interrupted: the same command goes on where it stopped" in err
    ((name, found),) = records(tmp_path / "runs").items()
    assert found.status == "interrupted"

    (gate / "shut").touch()
    second = begin("sweep", *cells, "seed=0,1")
    said = wait_for_line(second, "goes on at step 1 of 40")
    wait_for(lambda: len(lines(gate / "begun")) == 2)
    second.send_signal(signal.SIGKILL)
    second.wait()
    time.sleep(1.0)
    (gate / "shut").unlink()
    wait_for(lambda: len(records(tmp_path / "runs")) == 2)
    both = records(tmp_path / "runs")
    assert both.pop(name).status == "ok"
    ((name, found),) = both.items()
    assert (found.status, found.reason) == ("interrupted", "interrupted at step 1")
    path = tmp_path / "runs" / "fake_points" / name
    assert any(each.exists() for each in record.checkpoint_paths(path))
    wait_for(lambda: not locking.taken(path))


def test_several_processes_never_run_a_cell_twice(begin, gate, tmp_path):
    """A run has the cell; another run waits for it, and a sweep does others first."""
    (gate / "shut").touch()
    cells = ("strategy=fake_gate", *EAST)
    first = begin("run", *cells)
    wait_for(lambda: lines(gate / "begun"))
    second = begin("sweep", *cells, "seed=0,1", "workers=1")
    third = begin("run", *cells, "seed=0")
    wait_for_line(third, "another process runs it: waits for its record")
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
