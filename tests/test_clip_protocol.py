"""Protocols of the CLIP stream: prompts, orders, budgets, what a user may choose."""

from __future__ import annotations

import importlib

import pytest

from clbench import registry
from clbench.contract import InputError

Clip = registry.load("scenario", "clip")
protocol = importlib.import_module("clbench.scenarios.clip.protocol")

NAMES = ("pocket", "mtil", "mtil-fewshot", "xtail")
TEMPLATES = {
    "aircraft": 2,
    "caltech101": 34,
    "cifar100": 18,
    "dtd": 8,
    "eurosat": 3,
    "flowers": 1,
    "food": 1,
    "mnist": 1,
    "oxford_pet": 1,
    "stanford_cars": 9,
    "sun397": 2,
}


@pytest.mark.parametrize("name", NAMES)
def test_every_order_has_every_task_once(name):
    stated = protocol.read(name)
    for order in stated.orders.values():
        assert sorted(order) == sorted(stated.tasks)
    for spec in stated.tasks.values():
        assert all(t.count("{}") == 1 for t in spec.templates)
        assert len(set(spec.templates)) == len(spec.templates)


def test_mtil_is_as_published():
    stated = protocol.read("mtil")
    assert {n: len(s.templates) for n, s in stated.tasks.items()} == TEMPLATES
    assert (stated.labels, stated.ensemble, stated.label_smoothing) == (
        "own",
        True,
        0.2,
    )
    assert (stated.steps_per_task, stated.batch_size, stated.shots) == (1000, 64, None)
    first, second = stated.orders["I"], stated.orders["II"]
    index = [first.index(task) for task in second]
    assert index == [9, 6, 7, 8, 5, 10, 0, 1, 3, 4, 2]
    assert protocol.read("mtil-fewshot").shots == 5


def test_xtail_is_as_published():
    stated = protocol.read("xtail")
    assert (stated.labels, stated.ensemble, stated.shots) == ("union", False, 16)
    assert (stated.objective, stated.steps_per_task) == ("symmetric", 500)
    assert "cifar100" not in stated.tasks
    assert len(stated.tasks) == 10
    assert {len(spec.templates) for spec in stated.tasks.values()} == {1}
    assert stated.tasks["mnist"].classes[0] == 'number: "zero"'
    assert stated.tasks["eurosat"].classes[0] == "Annual Crop Land satellite location"


def test_a_word_in_a_prompt_changes_the_hash():
    stated = protocol.read("xtail")
    other = stated.tasks["food"].model_copy(update={"templates": ("a photo of a {}.",)})
    changed = stated.model_copy(update={"tasks": {**stated.tasks, "food": other}})
    assert changed.sha256 != stated.sha256
    assert protocol.read("xtail").sha256 == stated.sha256


def test_orders_by_name_and_by_seed():
    named = Clip(order="reversed").tasks
    assert named == tuple(reversed(Clip().tasks))
    shuffled = [Clip(order_seed=seed).tasks for seed in range(4)]
    assert len(set(shuffled)) > 1
    assert all(sorted(order) == sorted(named) for order in shuffled)
    # The order is a factor of its own: another seed of the cell leaves it alone.
    assert Clip(order_seed=1, seed=5).tasks == shuffled[1]


def test_budgets_are_the_protocol_s_unless_chosen():
    assert Clip().budget.steps == 100 * 6
    assert Clip(steps_per_task=7).budget.steps == 7 * 6
    assert Clip(dataset="mtil").budget.steps == 11_000
    assert Clip(dataset="xtail").budget.batch_size == 64
    joint = Clip(arrival="joint")
    assert joint.budget == Clip().budget


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({"order": "II"}, "scenario.order=II is no order .* pocket, reversed"),
        ({"datasets": ("a",)}, "needs scenario.dataset=folder, not pocket"),
        ({"dataset": "folder"}, "scenario.datasets is empty"),
        ({"dataset": "folder", "datasets": ("a", "a")}, "names 'a' twice"),
        ({"root": "/nowhere"}, "scenario.root=/nowhere: there is no such folder"),
    ],
)
def test_bad_choices_are_named(params, error):
    with pytest.raises(InputError, match=error):
        Clip(**params)


def test_real_data_without_a_folder_say_so():
    with pytest.raises(InputError, match=r"scenario\.root is missing"):
        Clip(dataset="mtil").card()


def test_missing_data_of_torchvision_are_named(tmp_path):
    scenario = Clip(dataset="xtail", root=str(tmp_path))
    with pytest.raises(
        InputError, match=r"'aircraft' cannot be read there .*FGVCAircraft"
    ):
        scenario.card()
