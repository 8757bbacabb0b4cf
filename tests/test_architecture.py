"""Dependencies point downwards, and names stay where they belong."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("clbench", "strategies", "scenarios")

ALLOWED = {
    "strategies": {
        "clbench.contract",
        "clbench.devices",
        "clbench.lowrank",
        "clbench.past",
        "clbench.seeding",
    },
    "scenarios": {
        "clbench.assets",
        "clbench.classification",
        "clbench.contract",
        "clbench.data",
        "clbench.devices",
        "clbench.matrix",
        "clbench.metrics",
        "clbench.models",
        "clbench.pocket",
        "clbench.seeding",
    },
    "clbench/board": {
        "clbench.atomic",
        "clbench.beside",
        "clbench.board",
        "clbench.config",
        "clbench.contract",
        "clbench.grammar",
        "clbench.matrix",
        "clbench.processes",
        "clbench.record",
        "clbench.registry",
        "clbench.resolved",
        "clbench.statistics",
    },
    "clbench/statistics": {"clbench.contract", "clbench.statistics"},
    "clbench/page": {
        "clbench.atomic",
        "clbench.contract",
        "clbench.page",
        "clbench.statistics",
    },
    "clbench/data": {"clbench.data", "clbench.contract"},
    "clbench/devices": {
        "clbench.contract",
        "clbench.devices",
        "clbench.execution",
        "clbench.launched",
    },
    "clbench/lowrank": {
        "clbench.contract",
        "clbench.devices",
        "clbench.lowrank",
        "clbench.seeding",
    },
    "clbench/past": {"clbench.contract", "clbench.past"},
    "clbench/models": {
        "clbench.assets",
        "clbench.contract",
        "clbench.models",
        "clbench.pocket",
    },
    "clbench/assets": {
        "clbench.assets",
        "clbench.contract",
        "clbench.inside",
        "clbench.masking",
        "clbench.options",
        "clbench.registry",
        "clbench.resolved",
    },
    "clbench/pocket": {"clbench.pocket", "clbench.contract"},
    "clbench/metrics": {"clbench.metrics", "clbench.contract", "clbench.matrix"},
}


def sources(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def imports(path: Path) -> set[str]:
    """Absolute names of the modules that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            module = node.module or ""
            if module == "clbench":
                found |= {f"clbench.{alias.name}" for alias in node.names}
            else:
                found.add(module)
    return found


def plugins(kind: str) -> set[str]:
    """Names of the built-in plugins of a kind, from the names of their files."""
    return {
        path.stem
        for path in (ROOT / kind).iterdir()
        if not path.name.startswith(("_", ".")) and path.name != "tuned"
    }


@pytest.mark.parametrize("layer", ALLOWED)
def test_a_layer_imports_only_what_lies_below_it(layer):
    for path in sources(layer):
        ours = {name for name in imports(path) if name.split(".")[0] == "clbench"}
        for name in ours:
            allowed = any(
                name == root or name.startswith(root + ".") for root in ALLOWED[layer]
            )
            assert allowed, f"{path.relative_to(ROOT)} imports {name}"


def test_only_the_engine_and_the_way_out_import_avalanche():
    users = {
        str(path.relative_to(ROOT))
        for folder in PACKAGES
        for path in sources(folder)
        if any(name.split(".")[0] == "avalanche" for name in imports(path))
    }
    assert users == {"clbench/avalanche/plugin.py", "clbench/engine.py"}


def test_the_engine_names_no_plugin():
    for path in sources("clbench"):
        for name in imports(path):
            assert name.split(".")[0] not in {"strategies", "scenarios"}
            assert not name.startswith(("clbench.strategies.", "clbench.scenarios."))


def test_a_strategy_names_no_scenario_and_a_scenario_no_strategy():
    for kind, others in (("strategies", "scenarios"), ("scenarios", "strategies")):
        for path in sources(kind):
            tree = ast.parse(path.read_text())
            words = {
                node.value
                for node in ast.walk(tree)
                if isinstance(node, ast.Constant) and isinstance(node.value, str)
            }
            named = words & plugins(others)
            assert not named, f"{path.relative_to(ROOT)} names {sorted(named)}"


def test_files_have_one_subject():
    long = {
        str(path.relative_to(ROOT)): lines
        for folder in PACKAGES
        for path in sources(folder)
        if (lines := len(path.read_text().splitlines())) > 450
    }
    assert not long, f"ask what the two subjects of these are: {long}"


def test_the_contract_imports_no_torch():
    code = "import sys, clbench.contract; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd="/")
