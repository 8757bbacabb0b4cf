"""Accuracy, F1 and Matthews correlation by hand, at their edges, and explained."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from clbench.metrics import labels
from clbench.metrics.meanings import MEANINGS

# TP 3, FP 1, FN 2, TN 4.
LABEL = torch.tensor([1, 1, 1, 1, 1, 0, 0, 0, 0, 0])
GUESS = torch.tensor([1, 1, 1, 0, 0, 1, 0, 0, 0, 0])


def test_by_hand():
    assert labels.accuracy(GUESS, LABEL) == pytest.approx(0.7)
    assert labels.f1(GUESS, LABEL) == pytest.approx(6 / 9)
    expected = (3 * 4 - 1 * 2) / math.sqrt(4 * 5 * 5 * 6)
    assert labels.matthews(GUESS, LABEL) == pytest.approx(expected)


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30))
def test_the_formulas_that_explain_prints(pairs):
    guess, label = torch.tensor(pairs, dtype=torch.long).T
    TP, FP, FN, TN = (
        int(((guess == g) & (label == truth)).sum())
        for g, truth in ((1, 1), (1, 0), (0, 1), (0, 0))
    )
    assert labels.accuracy(guess, label) == pytest.approx((TP + TN) / len(pairs))
    below = 2 * TP + FP + FN
    assert labels.f1(guess, label) == pytest.approx(2 * TP / below if below else 0)
    below = math.sqrt((TP + FP) * (TP + FN) * (TN + FP) * (TN + FN))
    wanted = (TP * TN - FP * FN) / below if below else 0
    assert labels.matthews(guess, label) == pytest.approx(wanted)


def test_three_labels_by_hand():
    label = torch.tensor([0, 0, 1, 1, 2, 2])
    guess = torch.tensor([0, 0, 1, 2, 2, 1])
    # s = 6, c = 4, t = p = (2, 2, 2): (24 - 12) / (36 - 12).
    assert labels.matthews(guess, label) == pytest.approx(0.5)


def test_one_answer_for_everything_is_worth_nothing():
    assert labels.matthews(torch.ones(10).long(), LABEL) == 0
    assert labels.f1(torch.zeros(10).long(), LABEL) == 0
    assert labels.accuracy(torch.ones(10).long(), LABEL) == 0.5


@pytest.mark.parametrize(
    "name", [name for name, m in MEANINGS.items() if m.family == "labels"]
)
def test_explain_knows_them(name):
    done = subprocess.run(
        [sys.executable, "-m", "clbench", "explain", name],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    flat = " ".join(done.stdout.split())
    assert MEANINGS[name].formula in flat
    assert "GLUE" in flat
