"""The built wheel, a third party's package and a local file, each run for real."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CELL = (
    "scenario=dg",
    "scenario.target=sketch",
    "scenario.steps=4",
    "scenario.evaluate_every=2",
)

STRATEGY = '''"""Biased: only biases and heads are trained."""

from clbench.contract import Group, Strategy
from clbench.lowrank import freeze


class Biased(Strategy):
    """Trains biases and heads."""

    def prepare(self, model, problem):
        freeze(model, problem)
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.requires_grad_(True)
'''


def call(*words: str | Path, **options) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [str(word) for word in words], capture_output=True, text=True, **options
    )
    assert done.returncode == 0, done.stderr
    return done


def build(project: Path, out: Path) -> Path:
    """The wheel of `project`, built without network."""
    words = ["-m", "build", "--wheel", "--no-isolation", "--outdir", out, project]
    call(sys.executable, *words)
    (wheel,) = out.glob("*.whl")
    return wheel


class Place:
    """A virtual environment that borrows installed dependencies, but not clbench."""

    def __init__(self, folder: Path) -> None:
        venv.create(folder, with_pip=False)
        self.python = folder / "bin" / "python"
        self.script = folder / "bin" / "clbench"
        paths = {"base": folder, "platbase": folder}
        self.packages = Path(sysconfig.get_path("purelib", "venv", vars=paths))
        # Looked up after the environment's own packages, so that these come first.
        borrowed = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
        (self.packages / "borrowed.pth").write_text("\n".join(borrowed) + "\n")

    def install(self, wheel: Path) -> None:
        words = ["-m", "pip", "--python", self.python, "install", "--quiet"]
        words += ["--no-deps", "--no-index", "--force-reinstall", wheel]
        call(sys.executable, *words)

    def clbench(self, *words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        environment = {k: v for k, v in os.environ.items() if k != "CLBENCH_PATH"}
        return call(self.script, *words, cwd=cwd, env=environment)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    return build(ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def place(wheel, tmp_path_factory) -> Place:
    made = Place(tmp_path_factory.mktemp("place") / "env")
    made.install(wheel)
    return made


def test_the_wheel_holds_what_a_cell_needs(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    for name in (
        "clbench/strategies/pego/strategy.py",
        "clbench/strategies/tuned/pego--dg.yaml",
        "clbench/scenarios/dg/scenario.py",
        "clbench/pocket/weights/vit.safetensors",
        "clbench/pocket/weights/vit.json",
        "clbench/pocket/weights/clip/model.safetensors",
        "clbench/pocket/weights/clip/tokenizer.json",
        "clbench/pocket/weights/lm/model.safetensors",
        "clbench/pocket/weights/lm/tokenizer.json",
        "clbench/scenarios/clip/protocols/mtil.json",
        "clbench/metrics/conformance.json",
        "clbench/templates/strategy.py",
        "clbench/templates/scenario/scenario.py",
        "clbench/py.typed",
    ):
        assert name in names
    roots = {name.split("/")[0] for name in names}
    assert {root for root in roots if not root.endswith(".dist-info")} == {"clbench"}
    assert sum(info.file_size for info in zipfile.ZipFile(wheel).filelist) < 2**25


def test_the_wheel_runs_a_cell_from_another_directory(place, tmp_path):
    code = "import clbench, clbench.strategies; print(*clbench.__path__)"
    where = call(place.python, "-c", code, cwd=tmp_path).stdout
    assert str(place.packages) in where
    assert str(ROOT / "clbench") not in where

    done = place.clbench("run", "strategy=lora", *CELL, "--json", cwd=tmp_path)
    facts = json.loads(done.stdout)
    assert facts["status"] == "ok"
    record = json.loads((tmp_path / facts["record"]).read_text())
    (member,) = record["strategy"]["members"]
    assert member["origin"]["kind"] == "built in"
    assert record["environment"]["commit"] is None
    assert [row["step"] for row in record["rows"]] == [0, 2, 4]
    place.clbench("board", cwd=tmp_path)
    assert "`lora`" in (tmp_path / "leaderboards" / "dg.md").read_text()


@pytest.mark.slow
def test_the_example_package_is_found_checked_run_and_ranked(place, tmp_path):
    example = shutil.copytree(ROOT / "examples" / "third_party", tmp_path / "example")
    place.install(build(example, tmp_path / "dist"))

    listed = place.clbench("list", cwd=tmp_path).stdout
    assert listed.count("clbench-shrinking") == 2
    checked = place.clbench("check", "strategy=shrink", cwd=tmp_path).stdout
    assert "broken" not in checked
    assert "shrink on rotations" in checked
    tests = example / "tests"
    words = ("-m", "pytest", "-q", "-p", "no:cacheprovider", tests)
    call(place.python, *words, cwd=tmp_path)

    words = ("strategy=shrink,lora", "scenario=rotations", "scenario.steps_per_task=5")
    place.clbench("run", *words, cwd=tmp_path)
    (path,) = (tmp_path / "runs" / "rotations").glob("shrink--*.json")
    record = json.loads(path.read_text())
    for part in (record["strategy"]["members"][0], record["scenario"]):
        origin = part["origin"]
        assert (origin["kind"], origin["version"]) == ("installed", "1.0")
        assert origin["distribution"] == "clbench-shrinking"
    # Every weight belongs to the backbone: neither adapters nor heads.
    assert record["cost"]["trainable"]["other"] > 0
    assert record["cost"]["trainable"]["adapter"] == 0

    place.clbench("board", cwd=tmp_path)
    board = (tmp_path / "leaderboards" / "rotations.md").read_text()
    (costs,) = [
        line
        for line in board.splitlines()
        if line.startswith("| `shrink`") and "clbench-shrinking" in line
    ]
    assert "cpu" in costs


def test_a_file_in_a_local_folder_is_a_strategy(forked, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "biased.py").write_text(STRATEGY)
    words = ("run", "strategy=biased", *CELL)
    done = forked(*words, cwd=tmp_path, CLBENCH_PATH=str(tmp_path / "mine"))
    assert done.returncode == 0, done.stderr
    (path,) = (tmp_path / "runs" / "dg").glob("biased--*.json")
    origin = json.loads(path.read_text())["strategy"]["members"][0]["origin"]
    assert origin["kind"] == "local"
    assert str(tmp_path) not in json.dumps(origin)
