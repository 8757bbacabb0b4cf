"""Whatever goes wrong around a cell: what was computed stays, and one line says so."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import inspect
import itertools
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
import tqdm

from clbench import cli, config, places, record, registry
from clbench.checkpoint.file import Damaged, facts_of, read, verified
from clbench.contract.strategy import HOOKS
from clbench.sweep import job

PLUGINS = Path(__file__).parent / "plugins"
TOYS = Path(__file__).resolve().parents[1] / "benchmarks" / "plugins"

# Three experiences of four steps, a row after every second one, a checkpoint at ends.
CELL = ("scenario=toy", "scenario.of=clip", "checkpoint.every=0")


EAST = ("scenario=fake_points", "scenario.target=east")


@pytest.fixture(autouse=True)
def plugins(monkeypatch):
    """The toys and the fake plugins, here and in processes that are started."""
    monkeypatch.setenv(places.VARIABLE, os.pathsep.join(map(str, (PLUGINS, TOYS))))


@pytest.fixture
def clbench(tmp_path, monkeypatch, capsys):
    """The command line, in this process: its exit code and what it printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def call(*words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["clbench", *words])
        with pytest.raises(SystemExit) as end:
            cli.main()
        return end.value.code, "".join(capsys.readouterr())

    return call


def path_of(strategy: str) -> Path:
    (path,) = Path("runs/toy").glob(f"{strategy}--*.json")
    return path


def checkpoints() -> list[int]:
    """Steps that each checkpoint has done."""
    files = Path("runs/toy").glob("*.checkpoint-?.safetensors")
    return sorted(facts_of(path)["step"] for path in files)


def equal(one: Path, other: Path) -> bool:
    return record.comparable(record.read(one)) == record.comparable(record.read(other))


# --- plugins that raise ---


class Boom(Exception):
    """Nobody's own."""


def breaks(monkeypatch, kind: type, hook: str, call: int) -> None:
    """Let `hook` of a plugin raise when it is called for the n-th time."""
    usual, calls = getattr(kind, hook), []
    bound = inspect.ismethod(usual)

    @functools.wraps(usual)
    def wrong(self, *args, **kwargs):
        calls.append(hook)
        if len(calls) == call:
            raise Boom("it went off")
        return usual(*(() if bound else (self,)), *args, **kwargs)

    # Its name in a traceback, as if the plugin had been written so.
    wrong.__code__ = wrong.__code__.replace(co_name=hook)
    monkeypatch.setattr(kind, hook, classmethod(wrong) if bound else wrong)


# Hook of a strategy -> the call that raises, where the cell stands then, rows so far.
RAISES = {
    "unsupported": (1, "", 0),
    "prepare": (1, "", 0),
    "groups": (2, "experience 'cold', step 4", 3),
    "before_experience": (2, "experience 'cold', step 4", 3),
    "penalty": (6, "experience 'cold', step 5", 3),
    "before_step": (7, "experience 'cold', step 6", 4),
    "after_step": (6, "experience 'cold', step 6", 3),
    "after_experience": (2, "experience 'cold', step 8", 4),
}


def test_every_hook_is_tried():
    later = {"state", "load_state"}  # below, and in test_resume.py
    assert set(RAISES) | later == set(HOOKS)


def lora_alone_fails(ran: tuple[int, str], hook: str, stands: str, rows: int) -> str:
    """What was printed, by a run of it and of `zeroshot`, where `hook` raised once."""
    code, text = ran
    assert code == 1
    line = f"Boom: it went off ({', '.join(filter(None, [hook, stands]))})"
    assert f"\nfailed: {line}\n" in text
    failed = record.read(path_of("lora"))
    assert (failed.status, failed.reason) == ("failed", line)
    assert len(failed.rows) == rows
    assert record.read(path_of("zeroshot")).status == "ok"
    return text


@pytest.mark.parametrize("hook", RAISES)
def test_a_strategy_that_raises_in_a_hook(clbench, monkeypatch, hook):
    call, stands, rows = RAISES[hook]
    breaks(monkeypatch, registry.load("strategy", "lora"), hook, call)
    ran = clbench("run", "strategy=lora,zeroshot", *CELL)
    text = lora_alone_fails(ran, f"strategy 'lora', {hook}", stands, rows)
    # What clbench and Avalanche did before is of no use to anybody.
    assert text.count("Traceback") == 1
    assert "engine.py" not in text
    assert checkpoints() == ([0, 4] if rows else [])


def test_a_state_that_cannot_be_asked_for_costs_the_checkpoints_only(
    clbench, monkeypatch
):
    breaks(monkeypatch, registry.load("strategy", "lora"), "state", 2)
    code, text = clbench("run", "strategy=lora", *CELL)
    assert code == 0
    assert (
        "no checkpoints, this cell cannot go on if it stops: Boom: it went off "
        "(strategy 'lora', state)"
    ) in text
    assert record.read(path_of("lora")).status == "ok"
    assert checkpoints() == []


# Hook of a scenario -> the same.
JUDGES = {
    "model": (1, "", 0),
    "heads": (1, "", 0),
    "stream": (1, "", 0),
    "card": (1, "", 0),
    "evaluate": (4, "experience 'cold', step 6", 3),
    "begin": (2, "experience 'cold', step 4", 3),
    "loss": (8, "experience 'cold', step 7", 4),
}


@pytest.mark.parametrize("hook", JUDGES)
def test_a_scenario_that_raises(clbench, monkeypatch, hook):
    call, stands, rows = JUDGES[hook]
    with monkeypatch.context() as patch:
        breaks(patch, registry.load("scenario", "toy"), hook, call)
        ran = clbench("run", "strategy=lora,zeroshot", *CELL)
    lora_alone_fails(ran, f"scenario 'toy', {hook}", stands, rows)
    if hook == "evaluate":
        # Mended, it goes on from where it was kept, to what it would have been.
        _, text = clbench("run", "strategy=lora", *CELL)
        assert "goes on at step 4 of 12" in text
        clbench("run", "strategy=lora", *CELL, "out=whole")
        assert equal(path_of("lora"), Path("whole/toy") / path_of("lora").name)


@pytest.mark.parametrize(
    ("hook", "words"), [("scores", ("--json",)), ("headline", ())], ids=str
)
def test_scores_that_cannot_be_computed_leave_the_record(
    clbench, monkeypatch, hook, words
):
    with monkeypatch.context() as patch:
        breaks(patch, registry.load("scenario", "toy"), hook, 1)
        code, text = clbench("run", "strategy=lora,zeroshot", *CELL, *words)
    assert code == 1
    assert (
        "error: lora on toy of=clip seed=0 has its record, which cannot be shown: "
        f"Boom: it went off (scenario 'toy', {hook})\n"
    ) in text
    assert {record.read(path_of(n)).status for n in ("lora", "zeroshot")} == {"ok"}
    code, text = clbench("run", "strategy=lora,zeroshot", *CELL, *words)
    assert (code, "went off" in text) == (0, False)


def test_a_scenario_that_cannot_be_made_stops_no_other_cell(clbench, monkeypatch):
    breaks(monkeypatch, registry.load("scenario", "toy"), "__init__", 1)
    code, text = clbench("run", "strategy=lora,zeroshot", *CELL)
    assert code == 1
    assert (
        "error: lora on toy of=clip seed=0 failed and leaves no record: Boom: it went "
        "off (scenario 'toy', __init__)\n"
    ) in text
    assert record.read(path_of("zeroshot")).status == "ok"


def test_data_that_cannot_be_read_are_the_scenarios(clbench, monkeypatch):
    kind = type(registry.load("scenario", "toy")(of="clip").stream()[0].train)
    breaks(monkeypatch, kind, "__getitems__", 6)
    code, _ = clbench("run", "strategy=lora", *CELL)
    assert code == 1
    reason = record.read(path_of("lora")).reason
    assert "(data of scenario 'toy', __getitems__, experience 'cold'" in reason
    assert checkpoints() == [0, 4]


def test_a_model_that_cannot_be_kept_costs_no_cell(clbench, monkeypatch):
    from clbench import kept

    monkeypatch.setattr(kept, "plain", lambda *args: 1 / 0)
    code, text = clbench("run", "strategy=lora", *CELL, "keep=true")
    assert code == 0
    assert "\nno model is kept: division by zero\n" in text
    assert record.read(path_of("lora")).status == "ok"


# --- places that cannot be written to ---


def does(monkeypatch, hook: str, call: int, what: Callable[[], object]) -> None:
    """Let `what` happen before `hook` of `lora` is called for the n-th time."""
    lora = registry.load("strategy", "lora")
    usual, calls = getattr(lora, hook), []

    def after(self, *args):
        calls.append(hook)
        if len(calls) == call:
            what()
        return usual(self, *args)

    monkeypatch.setattr(lora, hook, after)


# --- running again what has a record that is ok ---

FORCED = {
    "a failure": (1, [0, 4], "failed: Boom", "run again what failed"),
    "Ctrl-C": (130, [4, 6], "interrupted: ", "clbench resume runs goes on with what"),
}
"""What ends the second run -> its exit code, its checkpoints, what is said."""


@pytest.mark.parametrize("end", FORCED)
def test_running_again_costs_no_record_that_is_ok(clbench, monkeypatch, end):
    code, steps, how, hint = FORCED[end]
    clbench("run", "strategy=lora", *CELL)
    path = path_of("lora")
    files = (path, record.outcomes_path(path))
    before = [file.read_bytes() for file in files]
    with monkeypatch.context() as patch:
        if end == "Ctrl-C":
            does(patch, "after_step", 6, lambda: signal.raise_signal(signal.SIGINT))
        else:
            breaks(patch, registry.load("strategy", "lora"), "after_step", 6)
        ended, text = clbench("run", "strategy=lora", *CELL, "--force")
    assert ended == code
    assert how in text
    assert hint in text
    assert "its earlier record is ok, and stays" in text
    assert "\nrecord: " not in text
    assert [file.read_bytes() for file in files] == before
    assert checkpoints() == steps
    # The command alone finds a record; what was stopped goes on, to another one.
    code, text = clbench("run", "strategy=lora", *CELL)
    assert code == 0
    assert f"clbench resume {path} goes on with that" in text
    assert [file.read_bytes() for file in files] == before
    code, text = clbench("resume", "runs")
    assert code == 0
    assert f"goes on at step {steps[-1]} of 12" in text
    assert path.read_bytes() != before[0]
    assert files[1].read_bytes() == before[1]
    assert checkpoints() == []


def test_a_sweep_says_what_failed_though_an_earlier_record_is_ok(clbench, monkeypatch):
    clbench("run", "strategy=lora", *CELL)
    before = path_of("lora").read_bytes()
    breaks(monkeypatch, registry.load("strategy", "lora"), "after_step", 6)
    code, text = clbench("run", "strategy=lora", *CELL, "--force", "--json")
    (line,) = [json.loads(one) for one in text.splitlines() if one.startswith("{")]
    assert (code, line["status"], line["record"]) == (1, "failed", None)
    path = path_of("lora")
    (cell,), options = config.resolve(["strategy=lora", *CELL])
    options = dataclasses.replace(options, force=True, afresh=True)
    breaks(monkeypatch, registry.load("strategy", "lora"), "before_step", 3)
    ending = job.work(job.Job(cell, options).to_text(), lambda event: None)
    assert ending.how == "failed"
    assert "Boom: it went off (strategy 'lora', before_step" in ending.reason
    assert path.read_bytes() == before


@pytest.fixture
def largest():
    """Sets how large a file may be; a write beyond that fails as the system has it."""
    resource = pytest.importorskip("resource")
    _, hard = before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def mount(*words: str) -> None:
    if os.name != "posix" or os.geteuid() != 0:
        pytest.skip("only root mounts disks")
    done = subprocess.run(["mount", *words], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")


@pytest.fixture
def disk(tmp_path):
    """A small disk of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    mount("-t", "tmpfs", "-o", "size=8m", "none", str(place))
    yield place
    subprocess.run(["umount", "-R", str(place)], check=True)


def fill(place: Path, rest: int = 0) -> None:
    """Leave no more than `rest` bytes of a disk."""
    with (place / "filler").open("wb", buffering=0) as file:
        with contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))
        file.truncate(max(0, file.tell() - rest))


def whole(clbench) -> Path:
    """The record of the cell that nothing befell."""
    clbench("run", "strategy=lora", *CELL, "out=whole", "--quiet")
    (path,) = Path("whole/toy").glob("lora--*.json")
    return path


def test_a_checkpoint_that_cannot_be_written_is_a_line(clbench, largest):
    path = whole(clbench)
    largest(path.stat().st_size + 1024)
    code, text = clbench("run", "strategy=lora", *CELL)
    assert code == 0
    assert text.count("a checkpoint could not be written: File too large\n") == 1
    assert equal(path, path_of("lora"))
    assert {p.suffix for p in Path("runs/toy").iterdir()} == {".json", ".safetensors"}


def test_a_record_that_cannot_be_written_loses_nothing(clbench, monkeypatch, largest):
    path = whole(clbench)
    with monkeypatch.context() as patch:
        does(patch, "after_experience", 3, lambda: largest(512))
        code, text = clbench("run", "strategy=lora,zeroshot", *CELL)
    largest(-1)
    assert code == 2
    assert "Traceback" not in text
    name = f"runs/toy/{path.name}"
    line = f"error: {name} cannot be written: File too large; the same command goes on"
    assert line in text
    # What was found is shown, so that it is not lost either.
    assert "\n       3    12 " in text
    assert not list(Path("runs").rglob("*.json"))
    assert checkpoints() == [4, 8]
    code, text = clbench("run", "strategy=lora", *CELL)
    assert (code, "goes on at step 8 of 12" in text) == (0, True)
    assert equal(path, path_of("lora"))
    assert checkpoints() == []


def test_a_full_disk_gives_up_the_older_checkpoint(clbench, monkeypatch, disk):
    path = whole(clbench)
    runs = disk / "runs"
    words = ("run", "strategy=lora", *CELL, f"out={runs}")
    steps: list[list[int]] = []

    def look() -> None:
        steps.append(sorted(facts_of(p)["step"] for p in runs.glob("toy/*.safet*")))

    # For a newer one at first, then for the record.
    does(monkeypatch, "before_experience", 2, lambda: fill(disk, 32768))
    does(monkeypatch, "before_experience", 3, look)
    code, text = clbench(*words)
    assert code == 0
    assert "could not be written" not in text
    assert steps == [[4, 8]]
    assert equal(path, runs / "toy" / path.name)


def test_a_disk_without_any_room_keeps_the_only_checkpoint(clbench, monkeypatch, disk):
    path = whole(clbench)
    runs = disk / "runs"
    words = ("run", "strategy=lora", *CELL, f"out={runs}")
    with monkeypatch.context() as patch:
        does(patch, "before_experience", 1, lambda: fill(disk))
        code, text = clbench(*words)
    assert code == 2
    assert text.count("a checkpoint could not be written: No space left on device") == 1
    assert f"{path.name} cannot be written: No space left on device" in text
    assert "Traceback" not in text
    code, text = clbench(*words)
    assert code == 2
    assert f"no record can be written to {runs / 'toy'}: the disk is full" in text
    (disk / "filler").unlink()
    code, text = clbench(*words)
    assert (code, "goes on at step 0 of 12" in text) == (0, True)
    assert equal(path, runs / "toy" / path.name)


def test_a_folder_that_becomes_read_only(clbench, monkeypatch, disk):
    path = whole(clbench)
    folder = disk / "runs" / "toy"
    words = ("run", "strategy=lora", *CELL, f"out={disk / 'runs'}")

    def lock() -> None:
        mount("--bind", str(folder), str(folder))
        mount("-o", "remount,bind,ro", str(folder))

    with monkeypatch.context() as patch:
        does(patch, "after_step", 6, lock)
        code, text = clbench(*words)
    assert code == 2
    assert "a checkpoint could not be written: Read-only file system\n" in text
    assert f"error: {folder / path.name} cannot be written: Read-only file" in text
    assert "Traceback" not in text
    code, text = clbench(*words)
    assert code == 2
    assert f"error: no record can be written to {folder}: {folder} may not" in text
    subprocess.run(["umount", str(folder)], check=True)
    code, text = clbench(*words)
    assert (code, "goes on at step 4 of 12" in text) == (0, True)
    assert equal(path, folder / path.name)


def test_a_folder_that_is_a_file_or_may_not_be_written_to(clbench):
    Path("file").write_text("")
    words = ("run", "strategy=lora", *CELL)
    code, text = clbench(*words, "out=file/runs")
    assert code == 2
    assert "error: no record can be written to file/runs/toy: file is a file" in text
    if os.geteuid() != 0:
        Path("locked").mkdir(mode=0o500)
        code, text = clbench(*words, "out=locked")
        assert code == 2
        assert "error: no record can be written to locked/toy: locked may not" in text


def test_boards_and_pictures_are_whole_or_as_they_were(clbench, largest):
    record = whole(clbench)
    for words in (
        ("board", "runs=whole", "out=boards", "--quiet"),
        ("plot", str(record), "--out", "plots"),
    ):
        assert clbench(*words)[0] == 0
        place = Path(words[-2].removeprefix("out=") if words[0] == "board" else "plots")
        before = {path: path.read_bytes() for path in place.rglob("*.*")}
        assert before
        first = min(before)
        first.write_text("as it was")
        largest(100)
        code, text = clbench(*words)
        largest(-1)
        assert code == 2
        assert re.search(r"^error: .*File too large$", text, re.M), text
        assert "Traceback" not in text
        assert first.read_text() == "as it was"
        assert {path for path in place.rglob("*") if path.is_file()} == set(before)


def test_an_export_is_whole_or_as_it_was(clbench, largest):
    clbench("run", "strategy=finetune", *EAST, "keep=true")
    (path,) = Path("runs/fake_points").glob("*.json")
    words = ("export", str(path), "--to", "merged", "--out", "made/it")
    code, text = clbench(*words)
    assert code == 0, text
    before = {path: path.read_bytes() for path in Path("made/it").glob("*")}
    assert before
    largest(300)
    code, text = clbench(*words)
    largest(-1)
    assert code == 2
    assert re.search(r"^error: .*File too large", text, re.M), text
    assert "Traceback" not in text
    after = {path: path.read_bytes() for path in Path("made/it").glob("*")}
    assert after == before
    assert list(Path("made").iterdir()) == [Path("made/it")]


def test_a_log_on_a_full_disk_ends_no_cell(clbench, monkeypatch):
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("there is no /dev/full")
    # Closing them writes what they still hold: nobody must be told of it again.
    with full.open("w") as out, full.open("w") as err, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", out)
        patch.setattr(sys, "stderr", err)
        code, _ = clbench("run", "strategy=fake_head", *EAST)
    assert code == 0
    (path,) = Path("runs/fake_points").glob("*.json")
    assert record.read(path).status == "ok"


# --- files that were damaged ---


def flip(path: Path, place: float = 0.5) -> None:
    """Turn one bit of a file, so far into it."""
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= 4
    path.write_bytes(bytes(content))


def fails(clbench, monkeypatch) -> list[Path]:
    """Let the cell fail in its third experience; its checkpoints, the older first."""
    with monkeypatch.context() as patch:
        breaks(patch, registry.load("strategy", "lora"), "after_step", 9)
        assert clbench("run", "strategy=lora", *CELL, "--force")[0] == 1
    found = Path("runs/toy").glob("*.checkpoint-?.safetensors")
    return sorted(found, key=lambda path: facts_of(path)["step"])


@pytest.mark.parametrize(
    ("damaged", "resumes"), [("newer", 4), ("older", 8), ("both", None)]
)
def test_one_flipped_bit(clbench, monkeypatch, damaged, resumes):
    path = whole(clbench)
    older, newer = fails(clbench, monkeypatch)
    for name, file in (("older", older), ("newer", newer)):
        if damaged in (name, "both"):
            flip(file)
    code, text = clbench("run", "strategy=lora", *CELL)
    assert code == 0
    lines = re.findall(r"^checkpoint (\S+) is damaged \((.*)\): (.*)$", text, re.M)
    then = "the cell starts over" if resumes is None else "the other one is used"
    assert {line[1:] for line in lines} == {("its hash differs", then)}
    assert len(lines) == (2 if damaged == "both" else 1)
    assert ("goes on at step" in text) == (resumes is not None)
    assert resumes is None or f"goes on at step {resumes} of 12" in text
    assert equal(path, path_of("lora"))
    assert checkpoints() == []


def test_resume_believes_no_damaged_checkpoint(clbench, monkeypatch):
    older, newer = fails(clbench, monkeypatch)
    content = newer.read_bytes()
    # What it says of its cell is another cell's now, and reads as well as before.
    assert content.count(b'\\"seed\\": 0') == 1
    newer.write_bytes(content.replace(b'\\"seed\\": 0', b'\\"seed\\": 7'))
    code, text = clbench("resume", "runs")
    assert (code, "goes on at step 4 of 12" in text) == (0, True)
    assert record.read(path_of("lora")).seed == 0

    older, newer = fails(clbench, monkeypatch)
    for file in (older, newer):
        file.write_bytes(file.read_bytes()[:100])
    code, text = clbench("resume", "runs")
    assert code == 2
    assert "error: runs: no cell was stopped there, no checkpoint can be read" in text


def test_whatever_bit_is_flipped_nothing_else_is_raised(clbench, monkeypatch):
    older, _ = fails(clbench, monkeypatch)
    content = older.read_bytes()
    header = 8 + int.from_bytes(content[:8], "little")
    for place in [*range(16), *range(16, header, 499), header, len(content) - 1]:
        for bit in (1, 128):
            broken = bytearray(content)
            broken[place] ^= bit
            older.write_bytes(bytes(broken))
            for reads in (read, verified):
                with pytest.raises(Damaged):
                    reads(older)


@pytest.mark.parametrize("part", [0.0, 0.9])
def test_a_truncated_record_is_named_and_stops_no_other_cell(clbench, part):
    words = ("run", "strategy=lora,zeroshot", *CELL)
    assert clbench(*words)[0] == 0
    path = path_of("lora")
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    path_of("zeroshot").unlink()
    code, text = clbench(*words)
    assert code == 2
    assert f"error: {path}: not a record (" in text
    assert path.read_bytes() == content[: int(part * len(content))]
    assert record.read(path_of("zeroshot")).status == "ok"
    for command in (("plot", str(path)), ("verify", str(path))):
        code, text = clbench(*command)
        assert code == 2
        assert f"{path}: not a record (" in text
        assert "Traceback" not in text


def test_outcomes_of_another_run_are_found_out(clbench):
    path = whole(clbench)
    outcomes = record.outcomes_path(path)
    flip(outcomes, 0.9)
    line = f"{outcomes}: not the outcomes that were written with {path.name} (hash"
    for words, code in (
        (("plot", str(path)), 2),
        (("verify", str(path)), 2),
        (("submit", str(path), "--into", "boards"), 2),
        (("board", "runs=whole", "out=boards", "--no-page"), 0),
        (("board", "--check", "runs=whole", "out=boards", "--no-page"), 1),
    ):
        found, text = clbench(*words)
        assert found == code, words
        assert (line in text.replace("\n", " ")) == (code != 0), text
        assert "Traceback" not in text
    outcomes.unlink()
    assert clbench("board", "--check", "runs=whole", "out=boards", "--no-page")[0] == 0


# --- a clock that jumps ---


def test_a_clock_that_jumps_changes_nothing(clbench, monkeypatch):
    path = whole(clbench)
    hours = itertools.cycle([3600.0 * step for step in (0, 9, -7, 30, -90)])
    usual = time.time
    for place in (time, tqdm.std):
        monkeypatch.setattr(place, "time", lambda: usual() + next(hours))
    code, text = clbench("run", "strategy=lora", *CELL[:2], "checkpoint.every=1e-9")
    assert code == 0
    # Elapsed time and time left are minutes and seconds, and none of them negative.
    shown = re.findall(r"/12 \[(.*?)<(.*?),", text)
    assert len(shown) > 1
    for parts in shown:
        assert all(re.fullmatch(r"00:\d\d|\?", part) for part in parts), shown
    entry = record.read(path_of("lora"))
    assert all(0 <= seconds < 600 for seconds in entry.cost.seconds.values())
    assert 0 < entry.cost.examples_per_second < 1e6
    assert equal(path, path_of("lora"))
