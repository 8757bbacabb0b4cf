"""Cells through the real command line: records, exit codes, what is printed where."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from clbench.record import comparable, read

PLUGINS = Path(__file__).parent / "plugins"
EAST = ("scenario=fake_points", "scenario.target=east")


@pytest.fixture
def run(forked, tmp_path):
    """Run cells in a folder of their own; output and exit code."""
    known = {"CLBENCH_PATH": str(PLUGINS), "COLUMNS": "120"}
    return partial(forked, "run", cwd=tmp_path, **known)


def records(folder: Path) -> list[dict]:
    paths = sorted((folder / "runs").rglob("*.json"))
    return [json.loads(path.read_text()) for path in paths]


def written(folder):
    """When its records were, in nanoseconds."""
    return [path.stat().st_mtime_ns for path in sorted(folder.rglob("*--*.json"))]


def test_a_cell_leaves_a_record_and_is_not_run_again(run, tmp_path):
    first = run("strategy=fake_head", *EAST)
    assert first.returncode == 0, first.stderr
    (record,) = records(tmp_path)
    assert record["status"] == "ok"
    assert record["strategy"]["members"][0]["origin"]["kind"] == "local"
    assert str(tmp_path) not in json.dumps(record)
    assert record["command"] == (
        "clbench run strategy=fake_head scenario=fake_points "
        "scenario.target=east seed=0"
    )

    again = run("strategy=fake_head", *EAST)
    assert "has a record, --force runs it again" in again.stdout
    assert records(tmp_path) == [record]

    before = written(tmp_path)
    forced = run("strategy=fake_head", *EAST, "--force")
    assert "has a record" not in forced.stdout
    (new,) = records(tmp_path)
    assert new["rows"] == record["rows"]
    assert written(tmp_path) != before


def test_what_is_shown_before_and_after(run):
    done = run("strategy=fake_head", *EAST)
    for pattern in (
        r"strategy +fake_head",
        r"data +points",
        r"backbone +net",
        r"parameters +18 of 42 trained",
        r"device +\w+",
        r"learned +step +east +north +west",
        r"\n +1 +5 +[\d.]+ +[\d.]+ +[\d.]+",
        r"Target accuracy +[\d.]+ %",
        r"cost +trained 18 parameters \(head 18\) of 42",
        r"record: runs/fake_points/fake_head--[0-9a-f]{12}\.json",
        r"next: clbench run strategy=fake_head .* seed=0,1,2",
    ):
        assert re.search(pattern, done.stdout), pattern
    assert "5/5" in done.stderr
    assert "loss" in done.stderr


def test_folds_and_seeds_make_a_table(run):
    done = run("strategy=fake_head,fake_never", "scenario=fake_points", "seed=0,1")
    assert done.returncode == 0, done.stderr
    assert "[12/12]" in done.stdout
    header = r"strategy +east +north +west +mean +seeds"
    assert len(re.findall(header, done.stdout)) == 1
    number = r"[\d.]+"
    assert re.search(rf"fake_head( +{number}){{4}} ± {number} +2 ", done.stdout)
    assert "fake_never unsupported: it has no meaning anywhere" in done.stdout
    assert "next: clbench board" in done.stdout


def test_json_has_standard_output_to_itself(run, tmp_path):
    done = run("strategy=fake_head,fake_never", *EAST, "--json")
    head, never = [json.loads(line) for line in done.stdout.splitlines()]
    assert (head["status"], head["strategy"], head["ran"]) == ("ok", "fake_head", True)
    assert set(head["scores"]) == {"target", "source"}
    assert (tmp_path / head["record"]).is_file()
    assert (never["status"], never["reason"]) == (
        "unsupported",
        "it has no meaning anywhere",
    )
    (again,) = run("strategy=fake_head", *EAST, "--json").stdout.splitlines()
    assert {**head, "ran": False} == json.loads(again)


def test_quiet_is_quiet(run, tmp_path):
    done = run("strategy=fake_head", *EAST, "--quiet")
    assert done.stdout == ""
    assert "step" not in done.stderr
    assert len(records(tmp_path)) == 1


def test_a_failed_cell_is_exit_code_1_and_run_again(run, tmp_path):
    words = ("strategy=fake_head", *EAST, "scenario.poison=3")
    done = run(*words)
    assert done.returncode == 1
    assert "failed: the loss became nan at step 2" in done.stdout
    (record,) = records(tmp_path)
    assert (record["status"], record["step_failed"]) == ("failed", 2)
    assert "its record says failed: it is run again" in run(*words).stdout


def test_other_cells_go_on_after_one_that_failed(run, tmp_path):
    done = run("strategy=fake_head", *EAST, "scenario.poison=1,null", "--quiet")
    assert done.returncode == 1
    assert {r["status"] for r in records(tmp_path)} == {"failed", "ok"}


def test_bad_input_leaves_no_record(run, tmp_path):
    done = run("strategy=fake_head", "scenario=fake_points", "scenario.target=up")
    assert done.returncode == 2
    assert "scenario.target=up" in done.stderr
    assert not (tmp_path / "runs").exists()


def test_a_damaged_record_is_named_and_not_overwritten(run, tmp_path):
    run("strategy=fake_head", *EAST, "--quiet")
    (path,) = (tmp_path / "runs").rglob("*.json")
    path.write_text("{")
    done = run("strategy=fake_head", *EAST)
    assert done.returncode == 2
    assert path.name in done.stderr
    assert path.read_text() == "{"


def test_a_cell_is_the_same_in_another_process_and_another_directory(forked, tmp_path):
    """Records are identical but for times, memory and machine; outcomes to the bit."""
    words = ["strategy=pego", "scenario=dg", "scenario.target=sketch", "seed=3"]
    words += ["scenario.steps=6", "scenario.evaluate_every=3", "--quiet"]
    found, outcomes = [], []

    def anew(*words: str, cwd: Path):
        """In an interpreter that hashes otherwise, too."""
        command = [sys.executable, "-P", "-m", "clbench", *words]
        hashing = {**os.environ, "PYTHONHASHSEED": "5"}
        kept = {"capture_output": True, "text": True}
        return subprocess.run(command, env=hashing, cwd=cwd, **kept)

    for name, run in (("here", forked), ("there", anew)):
        place = tmp_path / name
        place.mkdir()
        done = run("run", *words, cwd=place)
        assert done.returncode == 0, done.stderr
        (path,) = (place / "runs" / "dg").glob("*.json")
        found.append(read(path))
        outcomes.append(path.with_suffix(".outcomes.safetensors").read_bytes())
    one, other = found
    assert one.created != other.created or one.cost != other.cost
    assert one.rows == other.rows
    assert comparable(one) == comparable(other)
    assert outcomes[0] == outcomes[1]


def test_a_source_that_has_changed_is_pointed_out(forked, tmp_path):
    text = (PLUGINS / "strategies" / "fake_head.py").read_text()
    plugins = tmp_path / "plugins"
    (plugins / "strategies").mkdir(parents=True)
    (plugins / "scenarios").symlink_to(PLUGINS / "scenarios")
    file = plugins / "strategies" / "changing.py"
    words = ("run", "strategy=changing", *EAST)
    for source in (text, text, text + "# more\n"):
        file.write_text(source)
        done = forked(*words, cwd=tmp_path, CLBENCH_PATH=str(plugins))
        assert done.returncode == 0, done.stderr
        changed = "the source of changing has changed since" in done.stdout
        assert changed == (source != text)


def test_ctrl_c_leaves_a_record_and_exit_code_130(tmp_path):
    words = ("strategy=fake_head", *EAST, "scenario.steps=1000000")
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "clbench", "run", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "CLBENCH_PATH": str(PLUGINS), "COLUMNS": "120"},
        cwd=tmp_path,
    )
    # The bar's postfix tells that training has begun.
    assert process.stderr is not None
    seen, end = "", time.monotonic() + 120
    while "loss" not in seen and time.monotonic() < end:
        seen += process.stderr.read(1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in errors
    assert "Traceback" not in errors
    (record,) = records(tmp_path)
    assert record["status"] == "interrupted"
    assert record["rows"]


def test_check_holds_a_plugin_to_the_contract(forked, tmp_path):
    (tmp_path / "breaks.py").write_text(
        '"""Breaks the model."""\nfrom clbench.contract import Strategy\n\n\n'
        'class Breaks(Strategy):\n    """Breaks the model."""\n\n'
        "    def prepare(self, model, problem):\n"
        "        model.head.weight.data += 1.0\n"
    )
    both = os.pathsep.join([str(PLUGINS), str(tmp_path)])
    for name, code in (("fake_head", 0), ("breaks", 1)):
        done = forked("check", f"strategy={name}", CLBENCH_PATH=both)
        assert done.returncode == code, done.stdout + done.stderr
        assert ("broken" in done.stdout) == bool(code)
        assert f"{name} on fake_points" in done.stdout
