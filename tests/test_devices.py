"""One cell in two processes gives the numbers of one; one writes; none hangs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch

from clbench import launched, record
from clbench.cell import run_cell
from clbench.checkpoint.file import facts_of
from clbench.config import resolve
from clbench.contract import InputError
from clbench.devices import ALONE, rows
from clbench.devices.team import Together
from clbench.report import QuietReporter

HERE = Path(__file__).parent
PLUGINS = HERE / "plugins"

# Every family; dropout, growth, two modules, gradients that strategies take, memories.
PAIRS = (
    *("lora:dg", "ewc:dg:examples=4", "mtlora:mtl:dropout=0.2", "pcgrad:mtl"),
    *("agem:clip", "increlora:nlu", "ofs_dpo:dpo", "replay:dpo"),
)


@pytest.fixture(scope="module")
def launch(free_port):
    """Starts two processes of a command, as a launcher does."""
    return partial(_launch, free_port)


def _launch(
    free_port: Callable[[], int], *words: str, cwd: Path
) -> list[subprocess.CompletedProcess]:
    known = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "OMP_NUM_THREADS": "1"}
    known |= {"MASTER_PORT": str(free_port())}
    made = [
        subprocess.Popen(
            [sys.executable, *words],
            env={**os.environ, **known, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            cwd=cwd,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    ended = [process.communicate(timeout=300) for process in made]
    return [
        subprocess.CompletedProcess(words, process.returncode, *texts)
        for process, texts in zip(made, ended, strict=True)
    ]


@pytest.fixture(scope="module")
def toys(tmp_path_factory, launch):
    """What toys give alone, alone in two parts, and in each of two processes."""
    folder = tmp_path_factory.mktemp("toys")
    script = str(HERE / "together" / "toys.py")
    for process in launch(script, str(folder / "found"), *PAIRS, cwd=folder):
        assert process.returncode == 0, process.stderr
    both = [json.loads((folder / f"found.{rank}").read_text()) for rank in range(2)]
    alone = both[0]["alone"] | both[1]["alone"]
    parted = both[0]["parted"] | both[1]["parted"]
    return alone, parted, both[0]["together"], both[1]["together"]


@pytest.mark.parametrize("pair", [*PAIRS, "normalises"])
def test_two_processes_give_the_numbers_of_one(toys, pair):
    alone, _, first, second = (found.get(pair) for found in toys)
    assert first["losses"] == pytest.approx(alone["losses"], rel=1e-5, abs=1e-5)
    assert first["scores"] == pytest.approx(alone["scores"], abs=1e-5)
    # Nothing that a strategy keeps may part the processes.
    assert second == first
    assert first["drawn"] == alone["drawn"]


@pytest.mark.parametrize("pair", PAIRS)
def test_two_processes_learn_as_one_does_in_two_parts(toys, pair):
    """So the order in which float32 sums up is all that they differ by."""
    _, parted, together, _ = toys
    epsilon = torch.finfo(torch.float32).eps
    losses = together[pair]["losses"]
    assert parted[pair]["losses"] == pytest.approx(losses, rel=epsilon, abs=0)
    assert parted[pair]["drawn"] == together[pair]["drawn"]


def test_accelerate_goes_on_with_a_cell_in_two_processes(tmp_path, free_port):
    words = ["strategy=fake_head", "scenario=fake_points", "scenario.target=east"]
    words += ["scenario.steps=8", f"plugins={PLUGINS}", "device=cpu"]
    ((cell,), usual) = resolve([*words, f"out={tmp_path / 'one'}"])
    expected = run_cell(cell, usual, QuietReporter())
    often = ["checkpoint.every=1e-6", f"out={tmp_path / 'two'}"]
    ((cell,), options) = resolve([*words, *often])
    assert run_cell(cell, options, QuietReporter(), rows=2).status == "interrupted"
    path = record.path_of(tmp_path / "two", cell)
    newest = max(record.checkpoint_paths(path), key=lambda p: facts_of(p)["count"])
    newest.unlink()
    done = subprocess.run(
        [
            *(sys.executable, "-m", "accelerate.commands.launch"),
            *("--multi_gpu", "--num_processes", "2", "--main_process_port"),
            *(str(free_port()), "-m", "clbench", "resume", "two"),
        ],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "120"},
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("goes on at step 7 of 8") == 1
    assert done.stdout.count("record: ") == 1
    found = record.read(path)
    assert found.status == "ok"
    assert found.execution.processes == 2
    assert found.key == expected.key
    for now, then in zip(found.rows, expected.rows, strict=True):
        for domain, scores in then.scores.items():
            assert now.scores[domain] == pytest.approx(scores, abs=1e-5)
    names = {file.name for file in path.parent.iterdir()}
    assert names == {path.name, record.outcomes_path(path).name}


def test_what_fails_everywhere_is_a_record_and_what_fails_in_one_ends_all(
    tmp_path, launch
):
    words = ["strategy=fake_alone", "scenario=fake_points", "scenario.target=east"]
    words += ["scenario.poison=1,null", f"plugins={PLUGINS}", "device=cpu"]
    first, second = launch("-m", "clbench", "run", *words, cwd=tmp_path)
    found = {
        known.scenario.params["poison"]: known
        for known in map(record.read, (tmp_path / "runs").rglob("*.json"))
    }
    # The loss of the first cell is not finite in any process: the second one begins.
    assert found[1].status == "failed"
    assert "the loss became nan at step 0" in found[1].reason
    assert found[None].status == "failed"
    assert "another process of this cell has ended" in found[None].reason
    assert first.returncode == second.returncode == 1
    errors = [line for line in second.stderr.splitlines() if line.startswith("error:")]
    assert errors == [
        "error: process 2 of 2: RuntimeError: only here (strategy 'fake_alone', "
        "after_step, experience 'all', step 3)"
    ]
    assert second.stdout == ""
    assert "Traceback" not in first.stderr + second.stderr
    errors = re.findall(r"^error: .*", first.stderr, re.MULTILINE)
    assert errors == [
        "error: another process of this cell has ended, whose own line says why"
    ]


def test_a_process_without_a_gpu_of_its_own_is_refused(monkeypatch, free_port):
    known = {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "2"}
    known |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    for name, value in known.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    with pytest.raises(InputError, match="no GPU of its own: its machine has 2; start"):
        Together("cuda")


# --- rows ---


@pytest.mark.parametrize(("count", "parts"), [(7, 2), (8, 3), (3, 5), (0, 2)])
def test_parts_are_whole_in_their_order_and_none_is_empty(count, parts):
    found = rows.divided(range(count), parts)
    assert [row for part in found for row in part] == list(range(count))
    assert max(map(len, found)) - min(map(len, found)) <= 1
    assert count == 0 or all(map(len, found))


def test_what_has_no_row_for_each_example_is_given_whole():
    given = {"x": torch.arange(6), "scale": torch.ones(2), "name": "all"}
    part = rows.part(given, 6, range(2, 4))
    assert part["x"].tolist() == [2, 3]
    assert part["scale"] is given["scale"]
    assert part["name"] == "all"


def test_one_process_is_not_several(monkeypatch):
    for name in launched.NAMES:
        monkeypatch.setenv(name, "1")
    assert not launched.several()
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert launched.several()
    assert launched.follows()
    monkeypatch.delenv("MASTER_ADDR")
    assert not launched.follows()
    assert ALONE.leads
