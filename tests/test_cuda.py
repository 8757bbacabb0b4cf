"""Cells on a GPU: the numbers of the CPU, their own again, and half precision."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from clbench import record
from clbench.cell import run_cell
from clbench.config import resolve
from clbench.record import Record
from clbench.report import QuietReporter

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="there is no CUDA device"
)

FAMILIES = {
    "clip": ("codyra", "scenario.steps_per_task=4"),
    "dg": ("pego", "scenario.target=sketch", "scenario.steps=6"),
    "dpo": ("cofs_dpo", "scenario.steps=4"),
    "mtl": ("mtlora", "scenario.steps=4"),
    "nlu": ("increlora", "scenario.steps_per_task=4"),
}


def cell(family: str, out: Path, *words: str, rows: int | None = None) -> Record:
    """A short cell of a family; the last word of a kind counts."""
    strategy, *usual = FAMILIES[family]
    given = [f"strategy={strategy}", f"scenario={family}", *usual, "device=cuda"]
    ((made,), options) = resolve([*given, f"out={out}", *words])
    return run_cell(made, options, QuietReporter(), rows=rows)


def scores(made: Record) -> dict[str, float]:
    """Every score of every row."""
    assert made.status == "ok", made.reason
    return {
        f"{number} {task} {name}": score
        for number, row in enumerate(made.rows)
        for task, found in row.scores.items()
        for name, score in found.items()
        if score is not None
    }


def _without_signs(found: dict[str, float]) -> dict[str, float]:
    signs = ("accuracy", "win_rate")
    return {name: score for name, score in found.items() if not name.endswith(signs)}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_gpu_gives_the_scores_of_the_cpu(family, tmp_path):
    gpu = cell(family, tmp_path / "gpu")
    cpu = cell(family, tmp_path / "cpu", "device=cpu")
    assert gpu.key == cpu.key
    assert scores(gpu) == pytest.approx(scores(cpu), rel=0.02, abs=0.02)
    assert gpu.cost.device == torch.cuda.get_device_name()
    assert 0 < gpu.cost.peak_bytes < torch.cuda.get_device_properties(0).total_memory
    # torch counts products of matrices on both, fused attention on GPUs alone.
    assert gpu.cost.flops >= cpu.cost.flops
    assert gpu.cost.trainable == cpu.cost.trainable


@pytest.mark.parametrize("family", sorted({*FAMILIES} - {"mtl"}))
def test_deterministic_cells_give_every_bit_again(family, tmp_path):
    """Also where one is stopped between experiences, or before the last row."""
    first = cell(family, tmp_path / "first", "deterministic=true")
    words = ("deterministic=true", "checkpoint.every=1e-6")
    stopped = cell(family, tmp_path / "second", *words, rows=2)
    assert stopped.status == "interrupted"
    second = cell(family, tmp_path / "second", "deterministic=true")
    assert scores(second) == scores(first)
    assert second.outcomes == first.outcomes
    assert second.log == first.log


def test_a_kernel_without_a_deterministic_version_is_named(tmp_path):
    made = cell("mtl", tmp_path, "deterministic=true")
    assert made.status == "failed"
    assert "has no deterministic kernel on this device" in made.reason


@pytest.mark.parametrize(
    "word",
    ["precision=bf16", "precision=fp16", "accumulate=2", "gradient_checkpointing=true"],
)
@pytest.mark.parametrize("family", FAMILIES)
def test_how_a_step_is_computed_hardly_changes_scores(family, word, tmp_path):
    usual = cell(family, tmp_path / "usual")
    other = cell(family, tmp_path / "other", word)
    found, expected = scores(other), scores(usual)
    if family == "dpo":  # margins are near 0 after so few steps: their signs are chance
        found, expected = map(_without_signs, (found, expected))
    near = 0.1 if "precision" in word else 0.02
    assert found == pytest.approx(expected, rel=near, abs=near)


def test_a_compiled_model_learns_what_the_model_learns(tmp_path):
    usual = cell("dg", tmp_path / "usual")
    compiled = cell("dg", tmp_path / "compiled", "compile=true")
    assert scores(compiled) == pytest.approx(scores(usual), rel=0.02, abs=0.02)


@pytest.mark.parametrize("family", FAMILIES)
def test_two_processes_speak_by_nccl(family, tmp_path, free_port):
    """They share the GPU: each is told that it is on a machine of its own."""
    strategy, *words = FAMILIES[family]
    words = [f"strategy={strategy}", f"scenario={family}", *words, "device=cuda"]
    known = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "LOCAL_RANK": "0"}
    known |= {"MASTER_PORT": str(free_port()), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "clbench", "run", *words, "out=both", "--quiet"]
    both = [
        subprocess.Popen(
            command,
            env={**os.environ, **known, "RANK": rank, "NCCL_HOSTID": f"machine-{rank}"},
            cwd=tmp_path,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in "01"
    ]
    errors = [process.communicate(timeout=300)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], errors
    (path,) = (tmp_path / "both").rglob("*--*.json")
    together = record.read(path)
    assert together.execution.processes == 2
    parted = cell(family, tmp_path / "alone", "accumulate=2")
    assert scores(together) == pytest.approx(scores(parted), rel=0.02, abs=0.02)


def test_a_process_without_a_gpu_of_its_own_says_so(tmp_path):
    count = torch.cuda.device_count()
    words = ["-m", "torch.distributed.run", "--standalone"]
    words += ["--nproc-per-node", str(count + 1), "-m", "clbench", "run"]
    words += ["strategy=lora", "scenario=dg", "scenario.target=sketch"]
    words += ["scenario.steps=2", "device=cuda", "--quiet"]
    done = subprocess.run(
        [sys.executable, *words],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode != 0
    assert "has no GPU of its own" in done.stderr
    assert "error: Cuda" not in done.stderr
    assert "clbench/devices" not in done.stderr
