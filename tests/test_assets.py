"""Data sets and weights: what cells read, lock files, downloads, no network."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import sys
from pathlib import Path

import pytest

from clbench import cli, config
from clbench.assets import guard, hashes, lock
from clbench.assets.need import Local
from clbench.contract import InputError

PLUGINS = Path(__file__).parent / "plugins"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache of its own, so that nothing is remembered."""
    monkeypatch.setenv("CLBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("CLBENCH_PATH", str(PLUGINS))
    for name in guard.OFFLINE:
        # `--offline` sets them for the process, which goes on with other tests.
        monkeypatch.setenv(name, os.environ.get(name, "0"))
    return tmp_path / "cache"


@pytest.fixture
def call(monkeypatch, capsys):
    """The command line: exit code, standard output, error stream."""

    def run(*words: str):
        monkeypatch.setattr(sys, "argv", ["clbench", *map(str, words)])
        code = 0
        try:
            cli.main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.fixture
def glue(tmp_path):
    """A folder in GLUE's form, and the words of a cell that reads it."""
    root = tmp_path / "glue"
    folder = root / "SST-2"
    folder.mkdir(parents=True)
    for part, count in (("train", 40), ("dev", 12)):
        rows = [f"a text of number {n}\t{n % 2}" for n in range(count)]
        (folder / f"{part}.tsv").write_text("\n".join(["sentence\tlabel", *rows]))
    (root / "notes.md").write_text("not read")
    words = ["strategy=finetune", "scenario=nlu", f"scenario.root={root}"]
    words += ["scenario.tasks=[sst2]", "scenario.steps_per_task=2"]
    return root, words


# --- what cells read, and what records say of it ---


def test_every_built_in_scenario_says_what_a_cell_reads():
    for name, weights in (
        ("dg", "pocket/vit"),
        ("clip", "pocket/clip"),
        ("mtl", "pocket/swin"),
        ("dpo", "pocket/lm"),
        ("nlu", "pocket/encoder"),
    ):
        cells, _ = config.resolve(["strategy=finetune", f"scenario={name}"])
        found = guard.needs(cells)
        assert [need.name for need in found] == [weights]
        place = found[0].here()
        assert place is not None
        names = [path.name for path in found[0].files(place)]
        assert any(name.endswith(".safetensors") for name in names), names


def test_real_data_are_found_where_readers_find_them(shared):
    data = shared / "data"
    for words, count in (
        (("dg", "dataset=pacs", f"root={data / 'pacs'}", "target=photo"), 840),
        (("mtl", "dataset=voc_parts", f"root={data / 'voc_parts'}"), 36),
        (("nlu", f"root={data / 'glue'}", "tasks=[rte]"), 2),
        (("clip", "dataset=folder", "datasets=[mnist]", f"root={data}"), 2),
        (("dpo", f"domains=[{data / 'prefs' / 'hh_rlhf_harmless'}]"), None),
    ):
        name, *rest = words
        line = ["strategy=finetune", f"scenario={name}"]
        cells, _ = config.resolve([*line, *(f"scenario.{word}" for word in rest)])
        need = guard.needs(cells)[0]
        place = need.here()
        assert place is not None, need.lacking()
        assert need.kind == "data"
        assert count in (None, len(need.files(place)))


def test_a_record_says_what_its_cell_read(call, glue, tmp_path):
    root, words = glue
    code, _, said = call("run", *words, f"out={tmp_path / 'runs'}", "--quiet")
    assert code == 0, said
    (path,) = (tmp_path / "runs").rglob("*--*.json")
    data, weights = json.loads(path.read_text())["assets"]
    assert (data["name"], data["kind"], data["files"]) == ("nlu/sst2", "data", 2)
    files = [root / "SST-2" / name for name in ("dev.tsv", "train.tsv")]
    lines = [
        f"{hashlib.sha256(file.read_bytes()).hexdigest()} {file.stat().st_size} "
        f"SST-2/{file.name}\n"
        for file in files
    ]
    assert data["sha256"] == hashlib.sha256("".join(lines).encode()).hexdigest()
    assert data["bytes"] == sum(file.stat().st_size for file in files)
    assert weights["name"] == "pocket/encoder"
    assert call("data", "verify", path)[0] == 0
    files[0].write_text(files[0].read_text().replace("number 3", "number 4"))
    code, said, _ = call("data", "verify", path)
    assert code == 1
    assert "nlu/sst2: its files have other content" in said


# --- lock files ---


def test_a_lock_file_lets_in_what_it_names_and_nothing_else(call, glue, tmp_path):
    root, words = glue
    file = tmp_path / "clbench.lock"
    assert call("data", "lock", *words, f"lock={file}")[0] == 0
    _, text, _ = call("data", "lock", *words)
    assert text == file.read_text()
    run = ["run", *words, f"out={tmp_path / 'runs'}", f"lock={file}", "--quiet"]
    assert call(*run)[0] == 0
    assert call("data", "verify", *words, f"lock={file}")[0] == 0

    train = root / "SST-2" / "train.tsv"
    train.write_text(train.read_text().replace("number 3", "number 4"))
    code, _, error = call(*run, "seed=1")
    assert code == 2
    assert error.count("\n") == 1
    assert "'nlu/sst2' is not what" in error
    assert "SST-2/train.tsv has other content" in error
    assert len(list((tmp_path / "runs").rglob("*--*.json"))) == 1
    code, said, _ = call("data", "verify", *words, f"lock={file}")
    assert code == 1
    assert "SST-2/train.tsv has other content" in said
    assert "pocket/encoder: as it was" in said

    code, _, error = call(*run, "scenario.backbone=/nowhere/model", "seed=2")
    assert code == 2
    code, _, error = call("run", "strategy=finetune", "scenario=dg", f"lock={file}")
    assert code == 2
    assert "knows no weights 'pocket/vit'" in error


def test_lock_files_that_are_none_are_refused(tmp_path, call):
    file = tmp_path / "x.lock"
    with pytest.raises(InputError, match="clbench data lock"):
        lock.read(file)
    for text in ("", "[]", '{"version": 1}', '{"version": 9, "assets": []}'):
        file.write_text(text)
        with pytest.raises(InputError, match=r"no lock file|version 9"):
            lock.read(file)
    need = Local(kind="data", name="d", place=tmp_path, patterns=("*.txt",))
    (tmp_path / "a.txt").write_text("a")
    text = lock.dump([hashes.asset(need, tmp_path)])
    file.write_text(text)
    assert lock.read(file).assets["d"].files[0].name == "a.txt"
    digest = hashlib.sha256(b"a").hexdigest()
    file.write_text(text.replace(digest, "0" * 64))
    with pytest.raises(InputError, match="edited or damaged"):
        lock.read(file)


def test_hashes_are_remembered_until_a_file_changes(tmp_path, monkeypatch):
    path = tmp_path / "a.bin"
    path.write_bytes(b"one")
    (first,) = hashes.sha256([path], title="")
    assert first == hashlib.sha256(b"one").hexdigest()
    read = hashes._read
    monkeypatch.setattr(hashes, "_read", lambda path: pytest.fail("read again"))
    assert hashes.sha256([path], title="") == [first]
    monkeypatch.setattr(hashes, "_read", read)
    path.write_bytes(b"another")
    assert hashes.sha256([path], title="") != [first]
    # A cache that cannot be used costs time alone.
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("CLBENCH_CACHE", str(blocked / "below"))
    assert hashes.sha256([path], title="") == [hashlib.sha256(b"another").hexdigest()]


def test_verify_without_a_lock_finds_what_changed_under_a_file_s_time(call, glue):
    root, words = glue
    train = root / "SST-2" / "train.tsv"
    assert call("data", "lock", *words)[0] == 0
    before = train.stat()
    # Of equal length and time: as a disk does that fails.
    train.write_text(train.read_text().replace("number 3", "number 4", 1))
    os.utime(train, ns=(before.st_atime_ns, before.st_mtime_ns))
    code, said, _ = call("data", "verify", *words)
    assert code == 1
    assert "SST-2/train.tsv has other content" in said


@pytest.mark.parametrize("command", ["prepare", "lock", "verify"])
def test_without_cells_a_command_says_what_it_needs(call, command):
    code, _, error = call("data", command)
    assert code == 2
    assert f"clbench data {command} needs the words of cells" in error


def test_a_lock_file_that_cannot_be_written_is_one_line(call, glue, tmp_path):
    _, words = glue
    (tmp_path / "file").write_text("")
    code, _, error = call("data", "lock", *words, f"lock={tmp_path}/file/x.lock")
    assert code == 2
    assert "cannot be written" in error
    assert error.count("\n") == 1


# --- no network ---


def test_offline_lists_all_that_is_missing_before_anything_runs(call, tmp_path):
    words = ["strategy=finetune", "scenario=nlu", "scenario.tasks=[sst2,rte]"]
    words += [f"scenario.root={tmp_path}", "seed=0,1"]
    words += ["scenario.backbone=pocket,owner/model@v1", f"out={tmp_path / 'runs'}"]
    code, _, error = call("run", *words, "--offline")
    assert code == 2
    assert error.count("\n") == 1
    for part in ("3 of 4", "'nlu/sst2'", "'nlu/rte'", "owner/model@v1", "data prepare"):
        assert part in error
    assert "pocket/encoder" not in error
    assert not (tmp_path / "runs").exists()


def test_offline_runs_what_is_here(call, glue, tmp_path, monkeypatch):
    _, words = glue
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("network"))
    code, _, error = call("run", *words, "--offline", f"out={tmp_path}", "--quiet")
    assert code == 0, error


def test_offline_a_sweep_is_refused_as_a_whole(call, tmp_path):
    words = ["strategy=finetune", "scenario=dg", "scenario.target=photo"]
    words += ["scenario.backbone=pocket,owner/model", f"out={tmp_path / 'runs'}"]
    code, _, error = call("sweep", *words, "--offline")
    assert code == 2
    assert "1 of 2" in error
    assert not (tmp_path / "runs").exists()


def test_list_says_what_is_here_and_what_there_is(call, glue, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    _, words = glue
    code, said, _ = call("data", "list", *words, "scenario.backbone=owner/model")
    assert code == 0
    (here,) = [line for line in said.splitlines() if "nlu/sst2" in line]
    (away,) = [line for line in said.splitlines() if "owner/model" in line]
    assert "yes" in here
    assert "no" in away
    _, said, _ = call("data", "list")
    for name in ("dg/pacs", "clip/mtil/cifar100", "nlu/rte", "Anthropic/hh-rlhf"):
        assert name in said


def test_prepare_says_what_it_cannot_fetch(call, glue, tmp_path):
    _, words = glue
    code, said, _ = call("data", "prepare", *words)
    assert code == 0
    assert "nlu/sst2" in said
    words[2] = f"scenario.root={tmp_path}"
    code, said, error = call("data", "prepare", *words)
    assert code == 1
    assert "https://gluebenchmark.com/tasks" in error
    assert "pocket/encoder" in said
