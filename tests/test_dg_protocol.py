"""DomainBed's protocol: splits, batches, selection, and what never sees the target."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from clbench import registry
from clbench.contract import InputError
from clbench.matrix import Matrix, Row
from clbench.problem import view
from clbench.scenarios.dg import selection
from clbench.scenarios.dg.splits import seed_of, split


@pytest.fixture(scope="module")
def dg():
    return registry.load("scenario", "dg")


# --- splits ---


def test_the_split_is_domainbed_s(shared):
    golden = np.load(shared / "golden" / "pego" / "domainbed_split.npz")
    trials = {name.rpartition("_")[0] for name in golden.files}
    assert trials
    for name in trials:
        trial, domain = (int("".join(filter(str.isdigit, w))) for w in name.split("_"))
        made = split(20, 0.2, trial=trial, domain=domain)
        assert seed_of(trial, domain) == int(golden[f"{name}_seed"])
        assert made.holdout.tolist() == golden[f"{name}_out"].tolist()
        assert made.train.tolist() == golden[f"{name}_in"].tolist()


def test_the_split_of_a_plain_clone():
    """The same by hand: MD5 of the tuple's text, a shuffled range, rounded down."""
    assert seed_of(0, 1) == 1514274641
    keys = list(range(7))
    np.random.RandomState(seed_of(3, 2)).shuffle(keys)
    made = split(7, 0.2, trial=3, domain=2)
    assert made.holdout.tolist() == keys[:1]
    assert made.train.tolist() == keys[1:]


def test_trials_and_domains_are_split_differently():
    kinds = {
        (t, d): tuple(split(50, 0.2, trial=t, domain=d).holdout)
        for t in range(3)
        for d in range(3)
    }
    assert len(set(kinds.values())) == 9


def test_the_cell_s_seed_is_the_trial(dg):
    sizes = {}
    for seed in (0, 1):
        scenario = dg(target="sketch", seed=seed)
        sizes[seed] = scenario.evaluate(scenario.model().eval(), 0)
    one, two = (sizes[s]["photo"].outcomes["row"] for s in (0, 1))
    assert len(one) == len(two) == 280
    assert set(one.tolist()) != set(two.tolist())
    expected = split(1400, 0.2, trial=0, domain=2).holdout
    assert one.tolist() == expected.tolist()


# --- training data ---


def test_no_row_of_the_target_and_no_row_held_out_is_trained_on(dg):
    toy = dg.toy()
    (experience,) = toy.stream()
    train = experience.train
    seen = {}
    for indices in train.batches(0, 200):
        batch = train.__getitems__(indices)
        for image, domain in zip(batch["image"], batch["domain"], strict=True):
            seen.setdefault(int(domain), set()).add(image.numpy().tobytes())
    assert set(seen) == {0, 1}
    row = toy.evaluate(toy.model().eval(), 0)
    domains = toy._domains
    for number, name in enumerate(toy.tasks):
        held = row[name].outcomes["row"]
        pictures = {domains[name].pictures[i].tobytes() for i in held}
        assert not pictures & seen[number]
        assert len(seen[number]) + len(pictures) == len(domains[name].labels)
    target = {picture.tobytes() for picture in domains[toy.target].pictures}
    assert not target & (seen[0] | seen[1])


def test_batches_hold_equally_many_of_each_source(dg):
    toy = dg.toy()
    (experience,) = toy.stream()
    for indices in experience.train.batches(5, 10):
        domains = experience.train.__getitems__(indices)["domain"]
        assert torch.bincount(domains).tolist() == [4, 4]
    assert toy.budget.batch_size == 8


def test_a_source_is_drawn_from_evenly(dg):
    (experience,) = dg.toy().stream()
    drawn = np.concatenate(list(experience.train.batches(1, 4000)))
    counts = np.bincount(drawn, minlength=len(experience.train))
    expected = len(drawn) / len(counts)
    assert abs(counts - expected).max() < 5 * math.sqrt(expected)


def test_one_source_after_another(dg):
    scenario = dg(target="photo", arrival="sequential", steps=100)
    stream = scenario.stream()
    assert [part.tasks for part in stream] == [("cartoon",), ("painting",), ("sketch",)]
    assert [part.steps for part in stream] == [34, 33, 33]
    for number, part in enumerate(stream):
        (indices,) = part.train.batches(0, 1)
        assert len(indices) == scenario.budget.batch_size
        domains = part.train.__getitems__(indices)["domain"]
        assert set(domains.tolist()) == {number}


def test_a_strategy_cannot_reach_the_target(dg):
    problem = view(dg.toy())
    assert problem.tasks == ("green", "red")
    for name in ("target", "evaluate", "stream", "_domains", "card"):
        with pytest.raises(AttributeError):
            getattr(problem, name)


# --- selection and scores ---


def matrix(rows, *, learned=None) -> Matrix:
    """Rows of (step, boundary, {task: (accuracy, holdout)})."""
    made = [
        Row(
            experience=0,
            step=step,
            boundary=boundary,
            scores={
                task: {"accuracy": accuracy, "holdout": holdout}
                for task, (accuracy, holdout) in tasks.items()
            },
        )
        for step, boundary, tasks in rows
    ]
    return Matrix(rows=tuple(made), learned=learned or {"a": 1, "b": 1})


JOINT = matrix(
    [
        (0, True, {"a": (0.1, 0.1), "b": (0.1, 0.1), "t": (0.15, 0.1)}),
        (5, False, {"a": (0.5, 0.6), "b": (0.7, 0.8), "t": (0.4, 0.9)}),
        (10, False, {"a": (0.6, 0.9), "b": (0.6, 0.5), "t": (0.5, 0.3)}),
        (15, True, {"a": (0.9, 0.4), "b": (0.8, 0.6), "t": (0.6, 0.2)}),
    ]
)


def test_validation_takes_the_first_of_the_largest_means(dg):
    """Steps 5 and 10 have a mean of 0.7; the target's 0.9 must not matter."""
    assert selection.VALIDATION.choose(JOINT, "t") == 1
    scores = dg.scores(JOINT, {"target": "t"})
    assert scores["selected_step"] == 5
    assert scores["target_accuracy"] == 0.4
    assert scores["source_accuracy"] == pytest.approx(0.6)


def test_the_oracle_is_another_rule_with_another_name(dg):
    other = matrix(
        [
            (0, True, {"a": (0, 0.9), "b": (0, 0.9), "t": (0.1, 0.1)}),
            (5, True, {"a": (0, 0.1), "b": (0, 0.1), "t": (0.8, 0.7)}),
        ]
    )
    scores = dg.scores(other, {"target": "t"})
    assert (scores["target_accuracy"], scores["oracle_accuracy"]) == (0.1, 0.8)
    assert scores["last_accuracy"] == 0.8
    rules = (selection.VALIDATION, selection.ORACLE, selection.LAST)
    assert len({rule.name for rule in rules}) == 3


def test_forgetting_has_no_value_when_sources_arrive_at_once(dg):
    assert math.isnan(dg.scores(JOINT, {"target": "t"})["forgetting"])


def test_forgetting_over_sources_that_arrive_in_turn(dg):
    rows = [
        (0, True, {"a": (0.1, 0), "b": (0.2, 0), "t": (0, 0)}),
        (5, False, {"a": (1.0, 0), "b": (1.0, 0), "t": (1, 1)}),
        (10, True, {"a": (0.9, 0), "b": (0.3, 0), "t": (0, 0)}),
        (20, True, {"a": (0.4, 1), "b": (0.8, 1), "t": (0, 0)}),
    ]
    scores = dg.scores(matrix(rows, learned={"a": 1, "b": 2}), {"target": "t"})
    assert scores["forgetting"] == pytest.approx(0.9 - 0.4)


def test_the_target_is_scored_on_its_training_part(dg):
    scenario = dg(target="sketch")
    row = scenario.evaluate(scenario.model().eval(), 0)
    outcomes = row["sketch"].outcomes
    reported = outcomes["reported"].astype(bool)
    assert reported.sum() == 1120
    correct = outcomes["prediction"] == outcomes["label"]
    metrics = row["sketch"].metrics
    assert metrics["accuracy"] == pytest.approx(correct[reported].mean())
    assert metrics["holdout"] == pytest.approx(correct[~reported].mean())
    source = row["photo"]
    assert source.metrics["accuracy"] == source.metrics["holdout"]
    assert (outcomes["confidence"] >= 1 / 7 - 1e-6).all()


# --- bad input ---


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"target": "skech"}, "nearest is 'sketch' .*cartoon, painting, photo, sketch"),
        ({"target": "all"}, "'all' is one cell for each"),
        ({"target": "photo", "arrival": "sequential", "steps": 2}, "at least 3 steps"),
    ],
)
def test_bad_parameters(dg, given, line):
    with pytest.raises(InputError, match=line):
        dg(**given)


def test_a_holdout_that_leaves_nothing(dg):
    toy = dg.toy()
    toy.holdout = 0.01
    with pytest.raises(InputError, match=r"scenario\.holdout=0\.01: of the 20 images"):
        toy.stream()


def test_defaults_depend_on_the_data(dg, tmp_path):
    for domain in ("x", "y", "z"):
        for name in ("cat", "dog"):
            (tmp_path / domain / name).mkdir(parents=True)
    real = dg(dataset="folder", root=str(tmp_path), target="x", backbone="vit_tiny")
    assert (real.budget.steps, real.budget.evaluate_every) == (5001, 200)
    assert real.budget.batch_size == 64
    assert (real.augment, real.statistics) == (True, "imagenet")
    own = dg(target="photo")
    assert (own.budget.steps, own.augment, own.statistics) == (300, False, "backbone")
