"""Whatever goes wrong around a cell: what was computed stays, and one line says so."""

from __future__ import annotations

import functools
import inspect
import os
import sys
from pathlib import Path

import pytest

from clbench import cli, record, registry
from clbench.checkpoint.file import facts_of
from clbench.contract.strategy import HOOKS

PLUGINS = Path(__file__).parent / "plugins"
TOYS = Path(__file__).resolve().parents[1] / "benchmarks" / "plugins"

# Three experiences of four steps, a row after every second one, a checkpoint at ends.
CELL = ("scenario=toy", "scenario.of=clip", "checkpoint.every=0")


@pytest.fixture(autouse=True)
def plugins(monkeypatch):
    """The toys and the fake plugins, here and in processes that are started."""
    monkeypatch.setenv(registry.VARIABLE, os.pathsep.join(map(str, (PLUGINS, TOYS))))


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


@pytest.mark.parametrize("hook", RAISES)
def test_a_strategy_that_raises_in_a_hook(clbench, monkeypatch, hook):
    call, stands, rows = RAISES[hook]
    breaks(monkeypatch, registry.load("strategy", "lora"), hook, call)
    code, text = clbench("run", "strategy=lora,zeroshot", *CELL)
    assert code == 1
    place = ", ".join(filter(None, [f"strategy 'lora', {hook}", stands]))
    line = f"Boom: it went off ({place})"
    assert f"\nfailed: {line}\n" in text
    # What clbench and Avalanche did before is of no use to anybody.
    assert text.count("Traceback") == 1
    assert "engine.py" not in text
    failed = record.read(path_of("lora"))
    assert (failed.status, failed.reason) == ("failed", line)
    assert len(failed.rows) == rows
    assert checkpoints() == ([0, 4] if rows else [])
    assert record.read(path_of("zeroshot")).status == "ok"


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
        code, text = clbench("run", "strategy=lora,zeroshot", *CELL)
    assert code == 1
    place = ", ".join(filter(None, [f"scenario 'toy', {hook}", stands]))
    line = f"Boom: it went off ({place})"
    assert f"\nfailed: {line}\n" in text
    failed = record.read(path_of("lora"))
    assert (failed.status, failed.reason) == ("failed", line)
    assert len(failed.rows) == rows
    assert record.read(path_of("zeroshot")).status == "ok"
    if hook == "evaluate":
        # Mended, it goes on from where it was kept, to what it would have been.
        code, text = clbench("run", "strategy=lora", *CELL)
        assert "goes on at step 4 of 12" in text
        clbench("run", "strategy=lora", *CELL, "out=whole")
        assert equal(path_of("lora"), Path("whole/toy") / path_of("lora").name)


@pytest.mark.parametrize("hook", ["scores", "headline"])
@pytest.mark.parametrize("words", [(), ("--json",)], ids=["shown", "json"])
def test_scores_that_cannot_be_computed_leave_the_record(
    clbench, monkeypatch, hook, words
):
    with monkeypatch.context() as patch:
        breaks(patch, registry.load("scenario", "toy"), hook, 1)
        code, text = clbench("run", "strategy=lora,zeroshot", *CELL, *words)
    assert code == 1
    assert (
        "error: lora on toy of=clip seed=0 has its record, which cannot be scored: "
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
