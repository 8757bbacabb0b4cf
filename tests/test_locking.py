"""Locks beside records: one process at a time, whatever clocks say."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from clbench import locking

pytestmark = pytest.mark.skipif(os.name != "posix", reason="locks are the system's")

HOLD = """
import sys, time
from pathlib import Path
from clbench import locking
lock = locking.take(Path(sys.argv[1]))
print("held" if lock else "taken", flush=True)
sys.stdin.read()
if lock:
    lock.release()
"""

COUNT = """
import sys
from pathlib import Path
from clbench import locking
record, number = Path(sys.argv[1]), Path(sys.argv[2])
locking.POLL = 0.001
for _ in range(int(sys.argv[3])):
    lock = locking.take(record, waiting=lambda: None)
    number.write_text(str(int(number.read_text()) + 1))
    lock.release()
"""

YEARS = 50 * 365 * 86400


def python(source: str, *words: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-P", "-c", source, *map(str, words)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def record(tmp_path) -> Path:
    return tmp_path / "runs" / "dg" / "lora--0123456789ab.json"


@pytest.fixture
def holder(record):
    """A process that holds the lock."""
    process = python(HOLD, record)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()


def test_one_process_at_a_time(holder, record):
    assert locking.taken(record)
    assert locking.take(record) is None
    holder.communicate("")
    assert not locking.taken(record)
    lock = locking.take(record)
    second = python(HOLD, record)
    assert second.stdout.readline() == "taken\n"
    second.communicate("")
    lock.release()


def test_who_waits_gets_it(holder, record):
    lock = locking.take(record, waiting=lambda: holder.stdin.close())
    assert lock is not None
    holder.wait()
    lock.release()


def test_a_lock_ends_with_its_process(holder, record):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert locking.path_of(record).exists()
    lock = locking.take(record)
    assert lock is not None
    lock.release()


def test_what_a_killed_process_left_goes_with_the_next_release(holder, record):
    left, dead = record.with_name("lora--ba9876543210.json"), record
    held = record.with_name("ewc--0123456789ab.json")
    with python(HOLD, held) as other:
        assert other.stdout.readline() == "held\n"
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        locking.take(left).release()
        assert not locking.path_of(dead).exists()
        assert locking.path_of(held).exists()
        assert locking.taken(held)
        other.communicate("")
    assert not list(record.parent.iterdir())


@pytest.mark.parametrize("jump", [-YEARS, YEARS])
def test_clocks_that_jump_change_nothing(holder, record, jump, monkeypatch):
    path = locking.path_of(record)
    then = path.stat().st_mtime + jump
    os.utime(path, (then, then))
    monkeypatch.setattr("time.time", lambda: then)
    assert locking.taken(record)
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert not locking.taken(record)


def test_nothing_is_left_of_it(record, tmp_path):
    lock = locking.take(record)
    assert locking.path_of(record).exists()
    lock.release()
    assert not list(tmp_path.iterdir())

    record.parent.mkdir(parents=True)
    record.write_text("{}")
    locking.take(record).release()
    assert [path.name for path in record.parent.iterdir()] == [record.name]


def test_many_take_turns_and_none_is_lost(record, tmp_path):
    """Files and folders come and go meanwhile: each release removes them."""
    number = tmp_path / "number"
    number.write_text("0")
    processes = [python(COUNT, record, number, 60) for _ in range(4)]
    assert [process.wait() for process in processes] == [0] * 4
    for process in processes:
        process.communicate()
    assert number.read_text() == "240"
