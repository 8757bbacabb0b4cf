"""Plugins are found by name, wherever they lie, and not imported before."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from clbench import places, registry
from clbench.contract import InputError, Scenario, Strategy

PLUGINS = Path(__file__).parent / "plugins"

SOURCE = '''"""What it is."""

from clbench.contract import Strategy


class Mine(Strategy):
    """Mine."""
'''


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty local folder of plugins."""
    monkeypatch.setenv(places.VARIABLE, str(tmp_path))
    return tmp_path


def test_files_and_folders_are_plugins_and_nothing_else_is(folder):
    (folder / "one_file.py").write_text(SOURCE)
    (folder / "_private.py").write_text(SOURCE)
    (folder / "notes.txt").write_text("")
    for name in ("a_folder", "tuned", "no_package", "__pycache__"):
        (folder / name).mkdir()
    for name in ("a_folder", "tuned"):
        (folder / name / "__init__.py").write_text(SOURCE)
    found = {p.name for p in places.scan("strategy") if p.source == "local"}
    assert found == {"one_file", "a_folder"}
    assert not [p for p in places.scan("scenario") if p.source == "local"]


def test_sub_folders_tell_strategies_from_scenarios(monkeypatch):
    monkeypatch.setenv(places.VARIABLE, str(PLUGINS))
    strategies, scenarios = registry.find("strategy"), registry.find("scenario")
    assert "fake_wide" in strategies
    assert "fake_points" not in strategies
    assert "fake_points" in scenarios
    assert issubclass(registry.load("strategy", "fake_wide"), Strategy)
    assert issubclass(registry.load("scenario", "fake_points"), Scenario)


def test_a_local_plugin_has_a_module_name_and_relative_imports(folder):
    (folder / "_sibling.py").write_text("VALUE = 7\n")
    text = SOURCE.replace("class", "from ._sibling import VALUE\n\n\nclass")
    (folder / "relative_one.py").write_text(text)
    cls = registry.load("strategy", "relative_one")
    assert cls.__module__ == "clbench.strategies.relative_one"
    assert sys.modules[cls.__module__].VALUE == 7


def test_inherited_classes_are_not_the_plugin_s_own(folder):
    (folder / "parent_one.py").write_text(SOURCE)
    (folder / "child_one.py").write_text(
        '"""A child."""\nfrom .parent_one import Mine\n\n\nclass Child(Mine):\n'
        '    """Child."""\n'
    )
    assert registry.load("strategy", "child_one").__name__ == "Child"


def test_listing_imports_no_plugin(folder):
    (folder / "bomb.py").write_text('"""Ticks."""\nraise SystemExit("imported")\n')
    assert registry.find("strategy")["bomb"].summary == "Ticks."


def test_a_file_that_does_not_parse_is_listed_with_its_error(folder):
    (folder / "broken_one.py").write_text("def (")
    assert "cannot be read" in registry.find("strategy")["broken_one"].summary


def test_an_unknown_name_has_a_nearest_one(folder):
    (folder / "gradient.py").write_text(SOURCE)
    with pytest.raises(InputError, match=r"'gradeint'.*nearest is 'gradient'.*list"):
        registry.load("strategy", "gradeint")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import nothing_of_this_name", r"No module named.*\(failing_0.py, line 1\)"),
        ("def (", "SyntaxError"),
        ("VALUE = 1", "it has none"),
        (SOURCE + SOURCE.replace("Mine", "Other"), "it has Mine, Other"),
        (
            SOURCE + "\n    def prepares(self, model, problem): ...\n",
            "did you mean 'prepare'",
        ),
    ],
)
def test_a_plugin_that_cannot_be_used_says_why(folder, text, message, request):
    # Modules stay imported, so that each case needs a name of its own.
    index = next(iter(request.node.callspec.indices.values()))
    (folder / f"failing_{index}.py").write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        registry.load("strategy", f"failing_{index}")
    assert "\n" not in str(caught.value)


def test_a_name_that_python_cannot_import_is_refused(folder):
    (folder / "my-own.py").write_text(SOURCE)
    with pytest.raises(InputError, match="rename it to 'my_own'"):
        registry.load("strategy", "my-own")


def test_a_clash_is_refused_and_names_both(tmp_path, monkeypatch):
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "same.py").write_text(SOURCE)
    both = os.pathsep.join(str(tmp_path / name) for name in ("first", "second"))
    monkeypatch.setenv(places.VARIABLE, both)
    with pytest.raises(InputError, match="strategy=same") as caught:
        registry.find("strategy")
    assert str(tmp_path / "first" / "same.py") in str(caught.value)
    assert str(tmp_path / "second" / "same.py") in str(caught.value)


def test_the_same_folder_twice_is_no_clash(folder, monkeypatch):
    (folder / "once.py").write_text(SOURCE)
    monkeypatch.setenv(places.VARIABLE, os.pathsep.join([str(folder)] * 2))
    assert "once" in registry.find("strategy")


def test_a_folder_that_is_missing_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv(places.VARIABLE, str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match="nowhere' is no folder"):
        registry.find("strategy")


def test_use_reaches_processes_that_are_started_later(tmp_path, monkeypatch):
    monkeypatch.setenv(places.VARIABLE, "")
    (tmp_path / "spawned.py").write_text(SOURCE)
    places.use(tmp_path)
    code = "from clbench import registry; registry.load('strategy', 'spawned')"
    subprocess.run([sys.executable, "-P", "-c", code], check=True)


def test_origins_name_contents_and_no_path(folder):
    file = folder / "hashed.py"
    file.write_text(SOURCE)
    before = registry.get("strategy", "hashed").origin
    content = hashlib.sha256(SOURCE.encode()).hexdigest()
    expected = hashlib.sha256(f"hashed.py\0{content}\n".encode()).hexdigest()
    assert (before.kind, before.distribution, before.sha256) == (
        "local",
        None,
        expected,
    )
    file.write_text(SOURCE + "\n")
    assert registry.get("strategy", "hashed").origin.sha256 != expected


def test_every_file_of_a_folder_counts_for_its_origin(folder):
    package = folder / "hashed_folder"
    (package / "inner").mkdir(parents=True)
    (package / "__init__.py").write_text(SOURCE)
    (package / "inner" / "part.py").write_text("A = 1\n")
    before = registry.get("strategy", "hashed_folder").origin.sha256
    (package / "inner" / "part.py").write_text("A = 2\n")
    assert registry.get("strategy", "hashed_folder").origin.sha256 != before


def distribution(site: Path, value: str, name: str = "third_party_one") -> None:
    """An installed package with an entry point, as pip leaves it."""
    info = site / "tiny_plugin-1.5.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: tiny-plugin\nVersion: 1.5\n"
    )
    (info / "entry_points.txt").write_text(f"[clbench.strategies]\n{name} = {value}\n")
    package = site / "tiny_plugin"
    (package / "deep").mkdir(parents=True)
    (package / "__init__.py").write_text('raise SystemExit("imported")\n')
    (package / "deep" / "__init__.py").write_text("")
    (package / "deep" / "method.py").write_text(SOURCE)


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder on the import path, as `site-packages` is."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delenv(places.VARIABLE, raising=False)
    return tmp_path


def test_an_installed_plugin_is_found_without_importing_its_package(site):
    distribution(site, "tiny_plugin.deep.method:Mine")
    plugin = registry.find("strategy")["third_party_one"]
    assert plugin.summary == "What it is."
    assert plugin.place == "tiny-plugin 1.5"
    assert (plugin.origin.kind, plugin.origin.version) == ("installed", "1.5")
    assert "tiny_plugin" not in sys.modules


@pytest.mark.parametrize("value", ["tiny_module_a", "tiny_module_b:Mine"])
def test_an_installed_plugin_is_loaded(site, value):
    distribution(site, value)
    (site / f"{value.partition(':')[0]}.py").write_text(SOURCE)
    assert registry.load("strategy", "third_party_one").__name__ == "Mine"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("tiny_module_c:Other", "names 'Other', which is no Strategy"),
        ("tiny_module_missing", "No module named"),
    ],
)
def test_an_entry_point_that_leads_nowhere_says_so(site, value, message):
    distribution(site, value)
    (site / "tiny_module_c.py").write_text(SOURCE)
    with pytest.raises(InputError, match=message):
        registry.load("strategy", "third_party_one")


def test_an_installed_and_a_local_plugin_clash(site, monkeypatch):
    distribution(site, "tiny_plugin.deep.method:Mine")
    local = site / "local"
    local.mkdir()
    (local / "third_party_one.py").write_text(SOURCE)
    monkeypatch.setenv(places.VARIABLE, str(local))
    with pytest.raises(InputError, match=r"tiny-plugin 1.5.*third_party_one.py"):
        registry.find("strategy")


def test_built_in_plugins_are_those_beside_their_package():
    root = Path(__file__).resolve().parents[1] / "strategies"
    if not root.is_dir():
        pytest.skip("no checkout: the built-in plugins lie in the installed package")
    files = {p.stem for p in root.glob("[!_]*.py")}
    folders = {p.parent.name for p in root.glob("[!_]*/__init__.py")} - {"tuned"}
    plugins = places.scan("strategy")
    assert {p.name for p in plugins if p.source == "built in"} == files | folders
