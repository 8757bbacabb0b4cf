"""How numbers and progress are shown."""

from __future__ import annotations

import io
import math

import pytest
from rich.console import Console

from clbench.contract import Metric
from clbench.report import QuietReporter, Reporter, number

PERCENT = Metric(name="a", title="A", definition="")
PLAIN = Metric(name="b", title="B", definition="", percent=False)


@pytest.mark.parametrize(
    ("value", "metric", "text"),
    [
        (0.98765, PERCENT, "98.8"),
        (1.0, PERCENT, "100.0"),
        (-0.031, PERCENT, "-3.1"),
        (math.nan, PERCENT, "-"),
        (math.nan, PLAIN, "-"),
        (15001.0, PLAIN, "15001"),
        (0.123456, PLAIN, "0.1235"),
    ],
)
def test_numbers_are_short(value, metric, text):
    assert number(value, metric) == text


def test_one_bar_covers_the_whole_cell(capsys):
    out = io.StringIO()
    with Reporter(Console(file=out, width=80), "name") as reporter:
        reporter.start({"strategy": "name", "device": "cpu"})
        reporter.total(3)
        for loss in (3.0, 2.0, 1.25):
            reporter.advance(loss, 8)
        reporter.note("a [note]")
    errors = capsys.readouterr().err
    assert "3/3" in errors
    assert "loss 1.25" in errors
    assert "examples/s" in errors
    assert "strategy  name" in out.getvalue()
    assert "a [note]" in out.getvalue()


def test_an_error_closes_the_bar(capsys):
    def break_off():
        with Reporter(Console(file=io.StringIO()), "name") as reporter:
            reporter.total(3)
            raise KeyError

    with pytest.raises(KeyError):
        break_off()
    assert capsys.readouterr().err.endswith("\n")


def test_quiet_shows_nothing(capsys):
    with QuietReporter() as reporter:
        reporter.start({"strategy": "name"})
        reporter.total(3)
        reporter.advance(1.0, 8)
        reporter.note("text")
    assert capsys.readouterr() == ("", "")
