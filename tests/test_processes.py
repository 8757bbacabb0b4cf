"""Work in other processes: what it gives, what it raises, and how it ends."""

import math
import os
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from clbench.processes import apart, together

LINUX = platform.system() == "Linux"

APART = """
import time
from clbench.processes import apart
print("begun", flush=True)
apart(time.sleep, 600)
"""


def test_what_is_done_apart_is_given():
    assert apart(math.sqrt, 4.0) == 2.0
    assert apart(os.getpid) != os.getpid()


def test_what_is_raised_apart_is_raised_here():
    with pytest.raises(ValueError, match="domain") as caught:
        apart(math.sqrt, -1.0)
    (note,) = caught.value.__notes__
    assert note.startswith("Traceback")


def test_a_process_that_is_killed_is_told():
    with pytest.raises(MemoryError, match=r"exit code 3.*memory is short"):
        apart(os._exit, 3)


def test_parts_are_done_at_once_and_given_in_their_order():
    found = together(lambda n: (n, os.getpid()), [1, 2, 3])
    assert [n for n, _ in found] == [1, 2, 3]
    numbers = [number for _, number in found]
    assert numbers[0] == os.getpid()
    assert len(set(numbers)) == (3 if LINUX else 1)
    assert together(math.sqrt, []) == []


def test_a_part_that_fails_is_raised():
    for parts in ([-1.0, 1.0], [1.0, -1.0]):
        with pytest.raises(ValueError, match="domain"):
            together(math.sqrt, parts)


@pytest.mark.skipif(not LINUX, reason="parts are forks on Linux alone")
def test_a_part_that_is_killed_is_told():
    with pytest.raises(MemoryError, match="exit code 3"):
        together(lambda n: n or os._exit(3), [1, 0])


@pytest.mark.skipif(not LINUX, reason="processes are seen in /proc")
def test_ctrl_c_ends_what_is_done_apart():
    with subprocess.Popen(
        [sys.executable, "-c", APART],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        deadline = time.monotonic() + 60
        # One counts what several processes hold; the other is the work.
        while len(numbers := children.read_text().split()) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) != 0
    while any(Path(f"/proc/{number}").exists() for number in numbers):
        assert time.monotonic() < deadline
        time.sleep(0.01)
