"""What a sweep decides: which cell is next, what is tried again, how long it takes."""

from __future__ import annotations

import gc
import io
import os
import signal
import threading
import time
import warnings
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import pytest
from rich.console import Console

from clbench import record
from clbench.config import resolve
from clbench.options import Options
from clbench.sweep import letters, options, processors, slurm
from clbench.sweep.driver import Sweep, Task
from clbench.sweep.executor import Ended, Event, Note, Steps, killed
from clbench.sweep.job import Ending, Job
from clbench.sweep.left import seconds_left
from clbench.sweep.letters import Letter
from clbench.sweep.local import Local
from clbench.sweep.table import View

WORDS = ("strategy=lora", "scenario=dg", "scenario.target=sketch", "tuned=false")


class Script:
    """An executor that tells what it was given to tell.

    Args:
        endings: For each cell, in their order, how its attempts end.
        write: Called where an ending says that there is a record.
    """

    place = "a script"
    threads = 1

    def __init__(self, endings: Sequence[Sequence[Ending]], write=None, workers=2):
        self.workers = workers
        self._endings = {n: deque(each) for n, each in enumerate(endings, start=1)}
        self._write = write
        self._news: list[Event] = []
        self.started: list[int] = []
        self.afresh: list[bool] = []
        self.most = self.closed = 0

    def start(self, number: int, job: Job) -> None:
        assert Job.from_text(job.to_text()).cell == job.cell
        self.started.append(number)
        self.afresh.append(job.options.afresh)
        ending = self._endings[number].popleft()
        if ending.how in ("recorded", "failed"):
            self._write(number, ending)
        self._news += [Steps(number, 10, 5), Note(number, "a line")]
        self._news.append(Ended(number, ending))
        self.most = max(self.most, sum(isinstance(e, Ended) for e in self._news))

    def events(self, seconds: float) -> Sequence[Event]:
        news, self._news = self._news, []
        return news

    def stop(self) -> None:
        raise AssertionError("nobody asked to")

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def sweep(tmp_path, make_record):
    """Run cells of seeds 0, 1, ... by a script; the sweep, the script, the lines."""

    def call(*endings: Sequence[Ending], retries: int = 1, force: bool = False):
        seeds = ",".join(str(n) for n in range(len(endings)))
        cells, _ = resolve([*WORDS, f"seed={seeds}"])

        def write(number: int, ending: Ending) -> None:
            cell = cells[number - 1]
            path = record.path_of(tmp_path, cell)
            if ending.how == "failed":
                path.parent.mkdir(exist_ok=True)
                record.checkpoint_paths(path)[0].touch()
                return
            status = ending.reason or "ok"
            made = make_record(
                seed=cell.seed, target="sketch", status=status, reason="it broke"
            )
            made = made.model_copy(update={"key": cell.key()})
            record.write(made, path)

        script = Script(endings, write)
        text = io.StringIO()
        view = View(Console(file=text, width=200), script.workers)
        how = Options(out=tmp_path, force=force, afresh=force)
        made = Sweep(cells, how, script, retries, view)
        view.watch(made.tasks)
        made.run()
        assert script.closed == 1
        return made, script, text.getvalue()

    return call


OK = Ending("recorded", seconds=2.0)
FAILED = Ending("recorded", "failed")
STOPPED = Ending("interrupted")


def test_no_more_run_than_there_are_workers(sweep):
    made, script, _ = sweep(*[[OK]] * 5)
    assert script.most == 2
    assert script.started == [1, 2, 3, 4, 5]
    assert [task.outcome for task in made.tasks] == ["ok"] * 5


def test_what_failed_is_tried_again_after_the_others(sweep):
    made, script, said = sweep([FAILED, OK], [OK], [OK])
    assert script.started == [1, 2, 3, 1]
    assert made.tasks[0].outcome == "ok"
    assert "it broke: it is tried again" in said


def test_what_fails_again_is_reported(sweep):
    made, script, said = sweep([FAILED, FAILED], [OK])
    assert script.started == [1, 2, 1]
    assert [task.bad for task in made.tasks] == [True, False]
    assert "failed, it broke" in said


def test_what_was_forced_goes_on_from_its_own_checkpoint(sweep):
    """The first attempt begins anew, the second where the first was."""
    broke = Ending("failed", "it broke")
    made, script, said = sweep([broke, OK], [broke, broke], force=True)
    assert script.started == [1, 2, 1, 2]
    assert script.afresh == [True, True, False, False]
    assert "it broke: it is tried again" in said
    assert [task.outcome for task in made.tasks] == ["ok", "failed"]
    assert made.tasks[1].record is None
    assert made.tasks[1].bad


def test_nothing_is_tried_again_without_retries(sweep):
    made, script, _ = sweep([FAILED], [killed(9)], retries=0)
    assert script.started == [1, 2]
    assert [task.outcome for task in made.tasks] == ["failed", "killed"]
    assert "signal 9 (SIGKILL)" in made.tasks[1].reason
    assert made.tasks[1].record is None


def test_what_is_refused_is_not_tried_again(sweep):
    made, script, said = sweep([Ending("refused", "there are no data")], [OK])
    assert script.started == [1, 2]
    assert made.tasks[0].outcome == "refused"
    assert "refused, there are no data" in said


def test_what_raised_shows_where(sweep):
    made, _, said = sweep([Ending("lost", "TypeError: x", "Traceback\n  line 3")] * 2)
    assert said.count("Traceback\n  line 3") == 2
    assert made.tasks[0].reason == "TypeError: x"


def test_what_had_to_make_way_goes_on_and_that_is_no_failure(sweep):
    made, script, _ = sweep([STOPPED, STOPPED, STOPPED, OK])
    assert script.started == [1] * 4
    assert made.tasks[0].outcome == "ok"


def test_what_another_process_runs_is_taken_over_when_it_does_not(sweep, monkeypatch):
    monkeypatch.setattr("clbench.sweep.driver.LOOK", 0.0)
    monkeypatch.setattr(
        "clbench.locking.taken", lambda path, left=[1, 1]: bool(left and left.pop())
    )
    made, script, said = sweep([Ending("busy"), OK], [OK])
    assert script.started == [1, 2, 1]
    assert made.tasks[0].outcome == "ok"
    assert "another process runs it" in said


def test_a_job_is_found_from_any_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    ((cell,), _) = resolve(WORDS)
    job = Job(cell, Options(out=Path("runs"), threads=3))
    text = job.to_text()
    assert "\n" not in text
    monkeypatch.chdir("/")
    back = Job.from_text(text)
    assert back.cell.key() == cell.key()
    assert back.options == Options(out=tmp_path / "runs", threads=3)


# --- the time that is left, and how it looks ---


def tasks(*states: str) -> list[Task]:
    seeds = ",".join(str(n) for n in range(len(states)))
    cells, _ = resolve([*WORDS, f"seed={seeds}"])
    return [
        Task(n, c, Path(), state=s)
        for n, (c, s) in enumerate(zip(cells, states, strict=True))
    ]


def test_nothing_says_how_long_before_something_is_done():
    assert seconds_left(tasks("running", "waiting"), 1) is None


def test_the_time_that_is_left_is_shared_by_workers(make_record):
    those = tasks("done", "waiting", "waiting", "waiting", "waiting")
    those[0].ran, those[0].seconds, those[0].record = True, 10.0, make_record()
    assert seconds_left(those, 1) == pytest.approx(40)
    assert seconds_left(those, 2) == pytest.approx(20)
    # The last cell takes its time, however many wait for it.
    assert seconds_left(those, 100) == pytest.approx(10)


def test_a_cell_that_runs_says_how_long_it_takes():
    those = tasks("running", "waiting")
    those[0].begun = time.monotonic() - 30
    those[0].steps, those[0].steps_done = 100, 50
    assert seconds_left(those, 1) == pytest.approx(30 + 60, rel=0.05)


def test_a_record_of_before_says_nothing(make_record):
    those = tasks("done", "waiting")
    those[0].record = make_record()
    assert seconds_left(those, 1) is None


class Nonsense:
    """A job that the process ends by which gets it."""

    def to_text(self) -> str:
        return "no job"


def test_workers_that_ended_leave_nothing_open():
    local = Local(workers=1, threads=1)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", ResourceWarning)
        local.start(1, Nonsense())
        (ended,) = local.events(100)
        assert ended.ending.how == "lost"
        assert "JSONDecodeError" in ended.ending.reason
        local.start(1, Nonsense())
        local.close()
        del local
        gc.collect()
    assert not [each for each in said if each.category is ResourceWarning]


def test_a_terminal_has_a_table_of_what_runs():
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, width=120, no_color=True)
    view = View(console, 2)
    those = tasks("running", "running", "waiting", "done")
    those[0].begun = those[1].begun = time.monotonic()
    those[0].steps, those[0].steps_done = 300, 12
    those[3].ending, those[3].ran = killed(9), True
    view.watch(those)
    with view:
        view.tick()
    shown = text.getvalue()
    assert "running 2 · waiting 1 · failed 1 · took 1 s" in shown
    assert "lora on dg target=sketch seed=0" in shown
    assert "12/300" in shown
    assert "begins" in shown
    assert "seed=2" not in shown


# --- what there is to compute with ---


@pytest.mark.parametrize(
    ("words", "workers", "threads"),
    [
        ([], 4, 2),
        (["workers=1"], 1, 8),
        (["workers=3"], 3, 2),
        (["workers=9"], 4, 2),
    ],
)
def test_workers_share_the_processors(words, workers, threads, monkeypatch):
    """There are four cells, which is as many as can run at a time."""
    monkeypatch.setattr(processors, "cores", lambda: 8)
    made = options.choose(options.read(words), Options(device="cpu"), 4)
    assert (made.workers, made.threads) == (workers, threads)
    own = options.choose(options.read(words), Options(device="cpu", threads=5), 4)
    assert own.threads == 5


@pytest.mark.parametrize(
    ("count", "given", "found"),
    [
        (0, None, []),
        (2, None, ["0", "1"]),
        (2, "3,5", ["3", "5"]),
        (1, "GPU-8a1", ["GPU-8a1"]),
        (0, "", []),
    ],
)
def test_each_worker_has_a_gpu_of_those_that_may_be_used(
    count, given, found, monkeypatch
):
    monkeypatch.setattr("torch.cuda.device_count", lambda: count)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if given is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given)
    assert processors.gpus("auto") == found
    assert processors.gpus("cpu") == []
    made = options.choose(options.read([]), Options(device="auto"), 8)
    if found:
        assert made.workers == count
        seen = [made.environment(place)["CUDA_VISIBLE_DEVICES"] for place in range(3)]
        assert seen == (found * 3)[:3]


# --- letters ---


def test_a_letter_is_read_line_by_line_as_it_comes(tmp_path):
    letter = Letter(4, "", tmp_path / "4-1.letter")
    assert letter.events() == []
    assert not letter.begun
    letter.path.write_text('{"begun": true}\n{"steps": 9, "done"')
    assert letter.events() == []
    assert letter.begun
    with letter.path.open("a") as file:
        file.write(
            ': 3}\n{"note": "a"}\n{"ended": {"how": "recorded", "seconds": 2.0}}\n'
        )
    assert letter.events() == [
        Steps(4, 9, 3),
        Note(4, "a"),
        Ended(4, Ending("recorded", seconds=2.0)),
    ]
    assert letter.events() == []


def _works(text, tell):
    for _ in range(2000):
        time.sleep(0.01)


def test_a_file_beside_a_letter_stops_its_cell(tmp_path, monkeypatch):
    monkeypatch.setattr(letters, "LOOK", 0.02)
    monkeypatch.setattr(letters, "work", _works)
    letter = Letter(1, "", tmp_path / "1-1.letter")
    letter.ask_to_stop()
    with pytest.raises(KeyboardInterrupt):
        letters.answer(letter.text, str(letter.path))
    letter.remove()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("number", [signal.SIGUSR2, signal.SIGTERM])
def test_a_job_whose_time_is_over_is_interrupted(number, tmp_path, monkeypatch):
    """By SLURM, which sends one of these."""
    monkeypatch.setattr(letters, "work", _works)
    before = {each: signal.getsignal(each) for each in (number, signal.SIGINT)}
    timer = threading.Timer(0.2, os.kill, (os.getpid(), number))
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            slurm.answer("", str(tmp_path / "1-1.letter"))
    finally:
        timer.cancel()
        for each, handler in before.items():
            signal.signal(each, handler)
