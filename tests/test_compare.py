"""`clbench compare`: two rows in words and figures, and strategies over boards."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from scipy import stats

from clbench.board import documents
from clbench.cli import main
from clbench.compare import compare
from clbench.contract import InputError
from clbench.critical import across, draw
from clbench.statistics.several import mean_ranks

LORA = (0.50, 0.52, 0.49)
PEGO = (0.60, 0.63, 0.58)


@pytest.fixture
def two(runs):
    """Three seeds of lora, three of pego; a fourth that pego alone has."""
    for seed, accuracy in enumerate(LORA):
        runs("lora", seeds=(seed,), accuracy=accuracy)
    for seed, accuracy in enumerate((*PEGO, 0.99)):
        runs("pego", seeds=(seed,), accuracy=accuracy)
    return runs


@pytest.fixture
def say(monkeypatch, capsys, tmp_path):
    """Runs the command line: its exit code, output and errors."""
    monkeypatch.setenv("COLUMNS", "120")

    def run(runs, *words):
        places = [f"runs={runs.folder}", f"out={tmp_path / 'out'}"]
        monkeypatch.setattr(sys, "argv", ["clbench", "compare", *words, *places])
        with pytest.raises(SystemExit) as end:
            main()
        return end.value.code or 0, *capsys.readouterr()

    return run


def test_differences_are_paired_over_common_seeds(two, tmp_path):
    found = compare("pego", "lora", "dg", two.folder, tmp_path)
    d = 100 * (np.array(PEGO) - np.array(LORA))
    assert found.seeds == [0, 1, 2]
    assert found.main.difference == pytest.approx(d.mean())
    assert found.main.test.by == "t"
    assert found.main.test.p == pytest.approx(stats.ttest_1samp(d, 0).pvalue)
    half = stats.t.ppf(0.975, 2) * d.std(ddof=1) / 3**0.5
    assert found.main.interval.high == pytest.approx(d.mean() + half)
    turned = compare("lora", "pego", "dg", two.folder, tmp_path)
    assert turned.main.difference == pytest.approx(-d.mean())


def test_tasks_are_shown_apart_and_corrected(two, tmp_path):
    found = compare("pego", "lora", "dg", two.folder, tmp_path)
    names = {part.name for part in found.tasks}
    assert names == {"photo", "cartoon", "sketch", "painting"}
    # Every fold of this test has the same numbers: Holm multiplies by four.
    for part in found.tasks:
        assert part.test.p == pytest.approx(found.main.test.p)
        assert part.holm == pytest.approx(4 * found.main.test.p)


def test_few_common_seeds_are_not_tested(runs, tmp_path):
    runs("lora", seeds=(0, 1))
    runs("pego", seeds=(0, 1, 2), accuracy=0.9)
    found = compare("pego", "lora", "dg", runs.folder, tmp_path)
    assert found.main.test is None
    assert found.main.difference == pytest.approx(40.0)


def test_bad_names_are_one_clear_line(two, tmp_path):
    def said(*words):
        with pytest.raises(InputError) as error:
            compare(*words[:2], "dg", two.folder, tmp_path, *words[2:])
        return str(error.value)

    assert "no row 'lroa' on dg: the nearest is 'lora'" in said("pego", "lroa")
    assert "has no such board: the nearest is 'dg-" in said("pego", "lora", "dg-x")
    with pytest.raises(InputError, match="no record of clip"):
        compare("pego", "lora", "clip", two.folder, tmp_path)


def test_no_common_seeds_no_common_board_several_boards(runs, tmp_path):
    runs("lora", seeds=(0,))
    runs("pego", seeds=(1,))
    with pytest.raises(InputError, match="lora has seeds 0, pego has 1: none"):
        compare("lora", "pego", "dg", runs.folder, tmp_path)
    runs("finetune", steps=7)
    with pytest.raises(InputError, match="no board of dg has both"):
        compare("finetune", "lora", "dg", runs.folder, tmp_path)
    runs("pego", steps=7)
    runs("finetune", seeds=(1,))
    with pytest.raises(InputError, match="2 boards of dg have both: choose --board"):
        compare("finetune", "pego", "dg", runs.folder, tmp_path)
    made = documents(runs.folder, tmp_path / "out")
    ids = [board.id for document in made for board in document.boards]
    for name in ids:
        found = compare("finetune", "pego", "dg", runs.folder, tmp_path, name)
        assert found.board == name


def test_rows_are_named_by_label(runs, tmp_path):
    runs("lora", accuracy=0.5)
    runs("lora", accuracy=0.6, rank=8)
    found = compare("lora rank=8", "lora", "dg", runs.folder, tmp_path)
    assert (found.a, found.b) == ("lora rank=8", "lora")
    assert found.main.difference == pytest.approx(10.0)


def test_the_command_answers_in_words_and_figures(two, say):
    code, out, _ = say(two, "pego", "lora", "scenario=dg")
    assert code == 0
    assert "pego is better than lora: Target accuracy 60.3 % against 50.3 %." in out
    assert "difference  +10.0 points, 95 % interval 7.5 to 12.5" in out
    assert "seed=0,1,2" in out
    assert "which cannot fall below 0.25 here: the t-test decides" in out
    assert "sketch" in out
    assert "trained in adapters" in out


def test_the_command_answers_in_json(two, say):
    _, out, _ = say(two, "lora", "pego", "scenario=dg", "--json")
    found = json.loads(out)
    assert found["main"]["difference"] == pytest.approx(-10.0)
    assert [cost["adapter"] for cost in found["costs"]] == [10, 10]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["lora", "scenario=dg"], "compare takes two rows of a board, not 1"),
        (["lora", "pego"], "scenario=NAME is missing; there are: clip"),
        (["lora", "pego", "scenario=gd"], "unknown scenario 'gd': the nearest is 'dg'"),
        (["lora", "pego", "scenari=dg"], "unknown key 'scenari'"),
        (["lora", "pogo", "scenario=dg"], "no row 'pogo'"),
        (["--boards", "--test", "nemeny"], "--test nemeny: the nearest is 'nemenyi'"),
        (["--boards", "dg"], "mean ranks need three strategies on two boards"),
    ],
)
def test_bad_input_is_exit_code_2(two, say, words, said):
    code, out, err = say(two, *words)
    assert (code, out) == (2, "")
    assert said in err


# --- over several boards ---


@pytest.fixture
def several(runs):
    """Three strategies on three boards, always in the same order; one on one board."""
    for steps in (5, 6, 7):
        for place, name in enumerate(("pego", "lora", "finetune")):
            runs(name, steps=steps, accuracy=0.8 - 0.1 * place + 0.01 * steps)
    runs("linear", steps=5)
    return runs


def test_mean_ranks_over_the_boards_that_are_named(several, tmp_path):
    (document,) = documents(several.folder, tmp_path / "out")
    ids = [board.id for board in document.boards]
    found = across([document], ids)
    assert found.found.names == ["pego", "lora", "finetune"]
    assert found.found.means == [1.0, 2.0, 3.0]
    assert found.left == ["linear"]
    with pytest.raises(InputError, match="--board nope: no such board"):
        across([document], ["nope"])


def test_the_command_ranks_over_boards_and_draws(several, say, tmp_path):
    (document,) = documents(several.folder, tmp_path / "out")
    words = [word for board in document.boards for word in ("--board", board.id)]
    picture = tmp_path / "ranks.svg"
    code, out, _ = say(several, "--boards", *words, "--plot", str(picture))
    assert code == 0
    assert "not on every board, left out: linear" in out
    assert "3 boards are few" in out
    assert picture.read_text().startswith("<?xml")


@pytest.mark.parametrize("form", ["svg", "png"])
def test_equal_ranks_give_an_equal_picture(tmp_path, form):
    scores = np.random.default_rng(0).normal(size=(6, 4))
    found = mean_ranks(["a", "b", "c", "d"], scores)
    paths = [tmp_path / f"{name}.{form}" for name in ("one", "two")]
    for path in paths:
        draw(found, path)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    with pytest.raises(InputError, match=r"must end in \.png or \.svg"):
        draw(found, tmp_path / "x.pdf")


def test_without_scikit_posthocs_it_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "scikit_posthocs", None)
    scores = np.random.default_rng(0).normal(size=(6, 3))
    with pytest.raises(InputError, match=r"pip install 'clbench\[stats\]'"):
        mean_ranks(["a", "b", "c"], scores)
    assert mean_ranks(["a", "b", "c"], scores, "wilcoxon").critical is None
