"""Dense multi-task learning: streams, single models, scores, pictures, cells."""

from __future__ import annotations

import importlib
import json
import re

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from clbench import outcomes, plot, record, registry
from clbench.matrix import Matrix, Row
from clbench.metrics import dense

Mtl = registry.load("scenario", "mtl")
judging = importlib.import_module("clbench.scenarios.mtl.judge")
metrics = importlib.import_module("clbench.scenarios.mtl.metrics")


def toy(**given):
    """The scenario's toy, of another arrival."""
    made = Mtl.toy()
    for name, value in given.items():
        setattr(made, name, value)
    made._begin(made._outputs)
    return made


def matrix(*rows, learned) -> Matrix:
    """A stream of which each row gives every task its first number."""
    return Matrix(
        rows=tuple(
            Row(
                experience=number,
                step=10 * number,
                boundary=True,
                scores={
                    task: {metrics.TASKS[task].main.name: value}
                    for task, value in scores.items()
                },
            )
            for number, scores in enumerate(rows)
        ),
        learned=learned,
    )


# --- streams ---


def test_all_tasks_come_at_once_unless_asked():
    (only,) = Mtl(steps=40).stream()
    assert only.tasks == ("semseg", "human_parts", "sal", "normals")
    assert only.steps == 40


def test_tasks_come_one_after_another_and_share_the_steps():
    scenario = Mtl(steps=42, arrival="sequential")
    stream = scenario.stream()
    assert [e.tasks for e in stream] == [(t,) for t in scenario.tasks]
    assert [e.steps for e in stream] == [11, 11, 10, 10]
    assert not scenario.shares_steps


def test_single_models_get_the_steps_each():
    scenario = Mtl(steps=40, arrival="single")
    assert [e.steps for e in scenario.stream()] == [40] * 4
    assert scenario.budget.models == 4
    assert scenario.budget.steps == 40


def test_a_batch_has_the_labels_of_its_experience_alone():
    (first, *_) = toy(arrival="sequential").stream()
    assert set(first.train.__getitems__([0, 1])) == {"image", "semseg"}
    (whole,) = toy().stream()
    assert set(whole.train.__getitems__([0])) == {"image", "semseg", "sal", "normals"}


def test_an_epoch_has_every_picture_once():
    (only,) = toy().stream()
    drawn = [i for batch in only.train.batches(seed=3, steps=6) for i in batch]
    assert sorted(drawn[:12]) == sorted(drawn[12:]) == list(range(12))
    assert drawn[:12] != drawn[12:]


def test_validation_never_sees_the_test_pictures():
    scenario = Mtl(judged_on="validation")
    details = scenario.card().details
    assert details["learned from"] + details["judged on"] == 1200
    learned = set(scenario._train.rows.tolist())
    assert learned.isdisjoint(scenario._test.rows.tolist())
    assert scenario._test.album.sha256 == scenario._train.album.sha256


# --- models ---


def test_single_models_are_as_those_of_one_task_alone():
    scenario = toy(arrival="single")
    model = scenario.model()
    alone = toy()
    alone._begin({"sal": 1})
    one = alone.model()
    images = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    batch = {"image": images, "sal": torch.zeros(2, 1, 16, 16)}
    assert set(model(batch)) == {"sal"}
    assert_close(model(batch)["sal"], one(batch)["sal"], rtol=0, atol=0)
    assert set(model({"image": images})) == {"semseg", "sal", "normals"}


def test_single_models_learn_nothing_of_each_other():
    scenario = toy(arrival="single")
    model = scenario.model()
    (first, *_) = scenario.stream()
    batch = first.train.__getitems__([0, 1, 2])
    scenario.loss(model(batch), batch).backward()
    moved = {
        name.split(".")[1] for name, p in model.named_parameters() if p.grad is not None
    }
    assert moved == {"semseg"}


def test_the_loss_is_the_weighted_sum_of_its_tasks():
    scenario = toy()
    model = scenario.model().eval()
    (only,) = scenario.stream()
    batch = only.train.__getitems__([0, 1, 2, 3])
    output = model(batch)
    each = scenario.losses(output, batch)
    assert_close(scenario.loss(output, batch), sum(each.values()))
    loss = metrics.TASKS["normals"].loss(output["normals"], batch["normals"])
    assert_close(each["normals"], 10 * loss)


# --- scores ---


def test_the_golden_delta_m(shared):
    z = np.load(shared / "golden" / "mtlora" / "schedule_and_delta.npz")
    names = ("semseg", "human", "sal", "normals")
    single = {name: float(z[f"st_{name}"]) for name in names}
    up = {name: name != "normals" for name in names}
    for given, percent in zip(z["delta_inputs"], z["delta_percent"], strict=True):
        found = dense.delta_m(dict(zip(names, given, strict=True)), single, up)
        assert 100 * found == pytest.approx(percent, abs=1e-8)


def test_delta_m_of_a_record_is_against_models_of_one_task():
    learned = {"semseg": 1, "normals": 1}
    joint = matrix(
        {"semseg": 0.1, "normals": 50.0}, {"semseg": 0.6, "normals": 18.0},
        learned=learned,
    )  # fmt: skip
    single = matrix(
        {"semseg": 0.1, "normals": 50.0}, {"semseg": 0.3, "normals": 50.0},
        {"semseg": 0.5, "normals": 20.0}, learned={"semseg": 1, "normals": 2},
    )  # fmt: skip
    # 20 % more of what should be more, 10 % less of what should be less.
    assert Mtl.against(joint, single) == {"delta_m": pytest.approx(0.15)}
    assert "delta_m" not in Mtl.scores(joint, {})


def test_forgetting_is_relative_and_signed_by_the_measure():
    learned = {"semseg": 1, "normals": 2, "sal": 3}
    found = metrics.forgetting(
        matrix(
            {"semseg": 0.1, "normals": 60.0, "sal": 0.2},
            {"semseg": 0.5, "normals": 55.0, "sal": 0.3},
            {"semseg": 0.4, "normals": 20.0, "sal": 0.3},
            {"semseg": 0.3, "normals": 25.0, "sal": 0.9},
            learned=learned,
        )
    )
    assert found == pytest.approx(((0.5 - 0.3) / 0.5 + (25 - 20) / 20) / 2)


def test_forgetting_is_undefined_where_all_comes_at_once():
    values = {"semseg": 0.1, "sal": 0.2}
    at_once = matrix(values, values, learned={"semseg": 1, "sal": 1})
    assert np.isnan(metrics.forgetting(at_once))


def test_perfect_predictions_get_perfect_scores():
    scenario = toy()
    truth = scenario._test

    class Oracle(torch.nn.Module):
        """Answers what it was asked for, by the picture."""

        def __init__(self):
            super().__init__()
            self.unused = torch.nn.Parameter(torch.zeros(()))

        def forward(self, batch):
            whole = truth.batch(np.arange(len(batch["image"])))
            classes = torch.nn.functional.one_hot(whole["semseg"], 3)
            return {
                "semseg": 9.0 * classes.permute(0, 3, 1, 2),
                "sal": 40 * whole["sal"] - 20,
                "normals": whole["normals"],
            }

    found = judging.judge(Oracle(), truth, scenario._outputs)
    assert found["semseg"].metrics["miou"] == 1
    assert found["sal"].metrics == {"miou": 1, "max_f": pytest.approx(1)}
    assert found["normals"].metrics["mean"] == pytest.approx(0, abs=1e-3)
    assert found["normals"].metrics["within_11"] == 1


def test_what_is_ignored_never_counts():
    label = torch.randint(
        0, 2, (2, 1, 4, 4), generator=torch.Generator().manual_seed(0)
    )
    label = label.float()
    label[0, 0, :2] = 255
    output = torch.randn(2, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    other = output.clone()
    other[0, 0, :2] = -output[0, 0, :2] + 7
    for task in ("sal", "edge", "depth"):
        entry = metrics.TASKS[task]
        assert_close(entry.loss(output, label), entry.loss(other, label))
        scores = []
        for made in (output, other):
            gathered = importlib.import_module("clbench.scenarios.mtl.tasks").meter(
                task, 1
            )
            gathered.add(made, label)
            scores.append(gathered.value())
        assert scores[0] == scores[1]


@pytest.mark.parametrize("task", ["semseg", "sal", "normals", "depth"])
def test_distances_are_0_to_oneself_and_positive_to_others(task):
    entry = metrics.TASKS[task]
    draw = torch.Generator().manual_seed(0)
    K = {"semseg": 5, "normals": 3}.get(task, 1)
    one, other = (torch.randn(2, K, 4, 4, generator=draw) for _ in range(2))
    assert_close(entry.distance(one, one), torch.zeros(()), atol=1e-6, rtol=0)
    assert entry.distance(one, other) > 0.01


# --- pictures ---


def test_labels_are_painted():
    classes = torch.tensor([[[0, 1], [2, 255]]])
    made = judging.painted("semseg", classes)
    # PASCAL VOC's colours of background, aeroplane and bicycle.
    assert made[0, 0].tolist() == [[0, 0, 0], [128, 0, 0]]
    assert made[0, 1].tolist() == [[0, 128, 0], [128, 128, 128]]
    normals = torch.zeros(1, 3, 1, 2)
    normals[:, 2, :, 0] = 1
    normals[..., 1] = 255
    made = judging.painted("normals", normals)
    assert made[0, 0].tolist() == [[128, 128, 255], [128, 128, 128]]


def test_pictures_come_back_as_they_were(tmp_path):
    scenario = toy()
    found = scenario.evaluate(scenario.model().eval(), 0)
    pictures = {task: result.pictures for task, result in found.items()}
    path = tmp_path / "p.safetensors"
    path.write_bytes(outcomes.pack_pictures(pictures))
    back = outcomes.read_pictures(path)
    assert list(back) == list(pictures)
    for task, arrays in pictures.items():
        assert list(back[task]) == ["input", "label", "prediction"]
        for name, value in arrays.items():
            np.testing.assert_array_equal(back[task][name], value)
    # The input, which is that of all tasks, is shown once.
    figure = plot.examples(back, "title")
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles == [
        "input",
        *(f"{t}\n{n}" for t in back for n in ("label", "prediction")),
    ]


def test_a_cell_keeps_pictures_that_are_drawn(forked, tmp_path):
    def clbench(*words):
        done = forked(*words, cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    told = clbench(
        "run", "strategy=linear", "scenario=mtl", "scenario.steps=2",
        "scenario.tasks=[sal,normals]", "out=runs", "--json",
    )  # fmt: skip
    path = tmp_path / json.loads(told)["record"]
    assert record.pictures_path(path).is_file()
    (_, last) = record.read(path).matrix().boundaries()
    assert set(last.scores) == {"sal", "normals"}
    clbench("plot", str(path))
    drawn = path.with_name(f"{path.stem}.examples.png")
    assert drawn.read_bytes().startswith(b"\x89PNG")


def test_several_seeds_are_summed_up_without_a_bound(forked, tmp_path):
    words = ["strategy=linear", "scenario=mtl", "scenario.tasks=[sal]"]
    words += ["scenario.steps=1", "seed=0,1", "out=runs"]
    done = forked("run", *words, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "needs another record beside it" in done.stdout
    assert re.search(r"linear.* - +2 ", done.stdout)
