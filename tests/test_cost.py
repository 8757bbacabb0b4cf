"""What a sweep will cost is told before it is run, and holds when it is."""

from __future__ import annotations

import dataclasses
import json
import os
import re
from pathlib import Path

import pytest
import torch

from clbench import atomic, places, record
from clbench.cli import app, planning, running
from clbench.config import resolve
from clbench.estimate import kept, trial
from clbench.estimate.bundles import bundled
from clbench.estimate.plan import FILES, Line, Plan
from clbench.estimate.spent import Done, compare
from clbench.estimate.timed import Part, Sizes, Span, Timed
from clbench.options import Options
from clbench.resolved import Cell

ROOT = Path(__file__).resolve().parents[1]

BROKEN = '''
"""Strategies that go wrong, each in its own way."""

import os

from clbench.contract import Strategy


class Broken(Strategy):
    """Goes wrong.

    Args:
        how: In which way.
    """

    def __init__(self, *, how: str = "raises") -> None:
        self.how = how

    def before_step(self, run):
        if self.how == "raises":
            raise RuntimeError("the second law of thermodynamics")
        os.kill(os.getpid(), 9)
'''


@pytest.fixture
def toys(tmp_path):
    """`scenario=toy` and `strategy=broken`, in processes that are started as well."""
    before = os.environ.get(places.VARIABLE)
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "broken.py").write_text(BROKEN)
    places.use(ROOT / "benchmarks" / "plugins")
    places.use(mine)
    yield
    if before is None:
        del os.environ[places.VARIABLE]
    else:
        os.environ[places.VARIABLE] = before


PAIRS = (
    ("strategy=lora", "of=dg", "keep=true"),
    ("strategy=replay", "of=clip", "scenario.stretch=3"),
    ("strategy=increlora", "of=clip"),
    ("strategy=pego+ewc", "of=nlu", "scenario.stretch=2"),
    ("strategy=mtlora", "of=mtl", "scenario.settings={arrival: sequential}"),
    ("strategy=zeroshot", "of=clip"),
    ("strategy=cofs_dpo", "of=dpo"),
)


def files(folder: Path) -> dict[str, int]:
    return {
        str(path.relative_to(folder)): path.stat().st_size
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("words", PAIRS, ids=" ".join)
def test_what_is_counted_is_what_the_record_then_says(toys, tmp_path, words):
    words = [w.replace("of=", "scenario.of=") for w in words]
    words += ["scenario=toy", f"out={tmp_path / 'runs'}", "checkpoint.every=0"]
    (cell,), options = resolve(words)
    timed = trial.measure(cell, options)
    assert not (tmp_path / "runs").exists()
    sizes = []
    keep = atomic.write

    def write(path, *content):
        keep(path, *content)
        sizes.append((path.name, path.stat().st_size))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(atomic, "write", write)
        assert running.run(words, force=False, quiet=True, json=False) == 0
    made = record.read(record.path_of(options.out, cell))
    assert made.status == "ok"
    assert made.cost is not None
    assert timed.total_steps == made.cost.steps
    assert timed.evaluations == len(made.rows)
    assert timed.judgements == sum(len(row.scores) for row in made.rows)
    sizes_left = files(options.out)
    assert 0 < sum(sizes_left.values()) <= timed.sizes.record + timed.sizes.model
    models = [size for name, size in sizes_left.items() if ".model." in name]
    assert len(models) == options.keep
    assert all(size <= timed.sizes.model for size in models)
    written = [size for name, size in sizes if ".checkpoint-" in name]
    assert all(size <= timed.sizes.checkpoint for size in written)
    assert written


def test_timing_leaves_no_trace(toys, tmp_path, monkeypatch):
    monkeypatch.setenv("CLBENCH_CACHE", str(tmp_path / "cache"))
    (cell,), options = resolve(
        ["strategy=finetune", "scenario=toy", "scenario.of=clip"]
    )
    trial.measure(cell, options)
    before = files(tmp_path)
    state = torch.get_rng_state()
    again = trial.measure(cell, options)
    assert files(tmp_path) == before
    assert torch.equal(torch.get_rng_state(), state)
    assert os.environ["CLBENCH_CACHE"] == str(tmp_path / "cache")
    # Where everything is in the cache, no time is set aside for filling it.
    assert again.caches < 1


def test_what_goes_wrong_is_a_line_and_not_the_end(toys, tmp_path, capsys):
    cells, options = [], None
    for words in (
        ["strategy=broken", "strategy.how='is killed',raises"],
        ["strategy=zeroshot,finetune", "seed=0,1"],
    ):
        found, options = resolve([*words, "scenario=toy", f"out={tmp_path / 'runs'}"])
        cells += found
    options = dataclasses.replace(options, json=True, quiet=True, threads=1)
    planning.show(cells, options, workers=2)
    said = json.loads(capsys.readouterr().out)
    reasons = {line["cells"]: line["reason"] for line in said["lines"]}
    assert reasons == {
        "broken on toy how='is killed'": "killed by signal 9 (SIGKILL), probably for "
        "want of memory",
        "broken on toy": "RuntimeError: the second law of thermodynamics "
        "(strategy 'broken', before_step)",
        "zeroshot on toy": "the model has no zero-shot head: its head starts at random",
        "finetune on toy": None,
    }
    assert (said["cells"], said["to_run"], said["done"]) == (6, 6, 0)
    assert (said["unsupported"], said["not_timed"]) == (2, 2)
    assert said["steps"] == 2 * said["lines"][-1]["of_one"]["steps"] > 0
    assert said["memory_bytes"]["together"] == 2 * said["memory_bytes"]["cell"] > 1e8
    assert (
        said["seconds"]["low"] <= said["seconds"]["middle"] <= said["seconds"]["high"]
    )
    assert not (tmp_path / "runs").exists()


def test_cells_that_cost_the_same_are_timed_once(tmp_path, runs):
    runs(strategy="lora", seeds=(0,), targets=("photo", "sketch"))
    words = ["strategy=lora,pego", "scenario=dg", "seed=0,1", "tuned=false"]
    cells, options = resolve([*words, f"out={runs.folder}"])
    lora, pego = bundled(cells, options)
    assert (len(lora.cells), lora.done, len(lora.left)) == (8, 2, 6)
    assert (len(pego.cells), pego.done) == (8, 0)
    assert lora.name == "lora on dg"
    anew = dataclasses.replace(options, force=True, afresh=True)
    assert bundled(cells, anew)[0].done == 0
    other, _ = resolve([*words, "strategy.rank=2"])
    assert {b.key for b in bundled(other, options)}.isdisjoint({lora.key, pego.key})


def timed(seconds: float, checkpoint: int = 10) -> Timed:
    """Of a cell of one step and one row that takes so long."""
    return Timed(
        steps=[1],
        every=None,
        tasks=3,
        caches=0.0,
        prepare=0.0,
        first=0.0,
        rows=[0.0],
        parts=[Part(True, 0.0, [seconds], 0.0)],
        sizes=Sizes(record=5, checkpoint=checkpoint, model=0),
        peak=100,
    )


def test_workers_share_the_work_but_no_cell(tmp_path):
    words = ["strategy=lora,pego", "scenario=dg", "seed=0,1", f"out={tmp_path}"]
    cells, options = resolve([*words, "scenario.target=sketch"])
    short, long = bundled(cells, options)
    lines = [Line(short, timed(1)), Line(long, timed(4, checkpoint=30))]
    alone, two, many = (Plan(lines, n, startup=0.5) for n in (1, 2, 20))
    assert alone.work == Span.exactly(10)
    assert alone.wall == Span.exactly(10.5)
    assert two.wall == Span.exactly(5.5)
    assert many.wall == Span.exactly(4.5), "no cell is done before it is done"
    assert two.disk["records"] == 20
    assert two.disk["checkpoints"] == FILES * (30 + 30)
    assert many.memory == {"cell": 100, "together": 400}


def test_seconds_are_added_up_as_a_cell_spends_them():
    cell = Timed(
        steps=[100, 50, 50],
        every=25,
        tasks=2,
        caches=7.0,
        prepare=3.0,
        first=1.0,
        rows=[2.0, 4.0],
        parts=[
            Part(True, 0.5, [9.0, 0.1, 0.2, 0.3], 1.5),
            Part(True, 0.0, [1.0, 0.4, 0.4], 2.0),
        ],
        sizes=Sizes(),
        peak=0,
    )
    assert cell.total_steps == 200
    # Before training; at 25, 50, 75 and 100; at 25 and 50, twice.
    assert cell.evaluations == 1 + 4 + 2 + 2
    assert cell.judgements == 18
    first = 0.5 + 9 + 99 * 0.2 + 1.5
    later = 1 + 49 * 0.4 + 2
    assert cell.seconds.middle == pytest.approx(3 + 1 + first + 2 * later + 8 * 3)
    spread = cell.seconds.high - cell.seconds.low
    assert spread == pytest.approx(99 * 0.1 + 8 * 2)
    nothing = dataclasses.replace(cell, parts=[Part(False, 0.0, [], 0.0)])
    assert (nothing.total_steps, nothing.evaluations) == (0, 4)
    assert Timed.from_dict(json.loads(json.dumps(cell.to_dict()))) == cell


def test_a_busy_machine_is_said(tmp_path):
    words = ["strategy=lora", "scenario=dg", "scenario.target=sketch"]
    (bundle,) = bundled(*resolve([*words, f"out={tmp_path}"]))
    for load, said in ((3.0, True), (0.2, False), (None, False)):
        found = Plan([Line(bundle, timed(1))], workers=1, startup=0, load=load)
        lines = "\n".join(planning.facts(found))
        assert ("other programs were computing (3.0" in lines) == said
        assert "time: 1.0 s of work" in lines


def test_a_sweep_says_how_good_its_estimate_was(toys, tmp_path, monkeypatch, capsys):
    """A plan runs nothing; the sweep after it is compared."""
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("CLBENCH_CACHE", str(tmp_path / "cache"))
    words = ["strategy=zeroshot", "scenario=toy", "scenario.of=clip", "seed=0,1"]

    def clbench(*more: str) -> str:
        with pytest.raises(SystemExit) as ended:
            app(["sweep", *words, f"out={tmp_path / 'runs'}", "workers=1", *more])
        assert ended.value.code == 0
        return capsys.readouterr().out

    planned = clbench("--plan")
    assert re.search(r"zeroshot on toy of=clip +2 +0 +8 +[\d.]+ s", planned), planned
    assert "8 evaluation passes, 24 tasks in all of them" in planned
    assert not (tmp_path / "runs").exists()
    swept = clbench()
    line = r"estimated .* for 2 cells \(from --plan\), they took [\d.]+ s: [\d.]+ times"
    assert re.search(line, swept), swept


def test_without_a_plan_records_are_the_estimate(tmp_path, make_record, monkeypatch):
    monkeypatch.setenv("CLBENCH_CACHE", str(tmp_path))

    def done(seed: int, seconds: float, ran: bool, strategy: str = "lora") -> Done:
        made = make_record(
            strategy=strategy,
            seed=seed,
            seconds=seconds,
            created=f"2030-01-0{seed + 1}",
        )
        return Done(Cell.from_record(made), made, ran)

    options = Options()
    had = [done(0, 10, False), done(1, 30, False), done(2, 30, True)]
    found = compare(had, options)
    assert (found.source, found.cells, found.true) == ("records", 1, 30)
    assert (found.estimated.middle, found.worst) == (20, None)
    first = [done(1, 30, True), done(0, 20, True), done(2, 30, True)]
    found = compare([*first, done(0, 5, True, "pego")], options)
    assert (found.source, found.cells, found.true) == ("first", 2, 60)
    assert found.estimated.middle == 40, "the one that ended first"
    assert compare(first[:1], options) is None

    bundles = bundled([each.cell for each in first], options)
    planned = Plan([Line(bundles[0], timed(15))], workers=1, startup=0)
    kept.remember(planned, options)
    pego = [done(0, 50, True, "pego"), done(1, 5, True, "pego")]
    found = compare([*had, *pego], options)
    assert (found.source, found.cells, found.true) == ("plan", 2, 35)
    assert found.estimated.middle == 15 + 50
    assert found.worst == ("pego on dg", 0.1)
    assert kept.recall(Options(threads=2)).of(first[0].cell) is None, "other threads"
    (tmp_path / "estimates.json").write_text("{")
    assert kept.recall(options).of(first[0].cell) is None
