"""Bytes and seconds as people read them."""

from __future__ import annotations

import pytest

from clbench.quantities import clock, duration, size


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (9949, "9.9 kB"),
        (9960, "10 kB"),
        (999_499, "999 kB"),
        (999_600, "1.0 MB"),
        (345_000_000, "345 MB"),
        (3.4e9, "3.4 GB"),
        (4.2e16, "42000 TB"),
    ],
)
def test_sizes_have_the_unit_that_suits_them(count, text):
    assert size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.34, "0.3 s"), (42, "42 s"), (150, "2.5 min"), (600, "10 min"), (9000, "2.5 h")],
)
def test_durations_have_the_unit_that_suits_them(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "1 s"), (59, "59 s"), (60, "1:00"), (187, "3:07"), (7387, "2:03:07")],
)
def test_what_runs_is_told_to_the_second(seconds, text):
    assert clock(seconds) == text
