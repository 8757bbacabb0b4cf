"""Precision, parts, blocks that compute again: what is learned stays what it was."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from torch import nn

from clbench import record, registry
from clbench.board.gather import gather
from clbench.board.table import boards
from clbench.check.checks import learn
from clbench.cli import running
from clbench.config import resolve
from clbench.contract import InputError, Scenario
from clbench.devices import Plan, arithmetic, methods_of, repeated
from clbench.devices.scaling import FIRST, PATIENCE, Scaling
from clbench.execution import Execution
from clbench.problem import view
from clbench.resolved import Cell
from clbench.seeding import global_seed

CPU = torch.device("cpu")
PLUGINS = Path(__file__).parent / "plugins"


def applied(scenario: Scenario, settings: Execution) -> tuple[Plan, object]:
    """A plan, and what lets a prepared model compute so."""
    problem, plan = view(scenario), Plan(settings, CPU)
    again = repeated(scenario.model(), problem, settings)
    return plan, lambda model: plan.apply(model, methods_of(model, problem), again)


def learned(strategy: str, scenario: str, settings: Execution | None = None, **params):
    """Losses of the first two experiences of a toy, and the scores after them."""
    toy = registry.load("scenario", scenario).toy()
    prepared = (lambda model: None) if settings is None else applied(toy, settings)[1]
    made = registry.load("strategy", strategy)(**params)
    with global_seed(0):
        stream = toy.stream()[:2]
        model, _, trace = learn(made, toy, prepared=prepared, stream=stream)
    with torch.no_grad():
        row = toy.evaluate(model.eval(), len(stream))
    scores = [value for result in row.values() for value in result.metrics.values()]
    return trace.losses, scores


# Dropout and streams of tasks, growth, two modules, gradients a strategy takes itself.
CELLS = [
    ("mtlora", "mtl", {"dropout": 0.2}),
    ("increlora", "nlu", {}),
    ("ofs_dpo", "dpo", {}),
    ("pcgrad", "mtl", {}),
    ("ewc", "dg", {"examples": 6}),
]


@pytest.mark.parametrize(("strategy", "scenario", "params"), CELLS)
def test_parts_of_a_minibatch_give_the_numbers_of_the_whole(strategy, scenario, params):
    usual = learned(strategy, scenario, **params)
    parts = learned(strategy, scenario, Execution(accumulate=3), **params)
    assert parts[0] == pytest.approx(usual[0], abs=1e-5)
    assert parts[1] == pytest.approx(usual[1], abs=1e-5)


@pytest.mark.parametrize(
    ("strategy", "scenario"), [("mtlora", "nlu"), ("ofs_dpo", "dpo")]
)
def test_blocks_that_compute_again_change_no_bit(strategy, scenario):
    settings = Execution(gradient_checkpointing=True)
    assert learned(strategy, scenario, settings) == learned(strategy, scenario)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_is_close_and_not_equal(precision):
    usual, _ = learned("lora", "nlu")
    half, _ = learned("lora", "nlu", Execution(precision=precision))
    assert half != usual
    assert half == pytest.approx(usual, rel=0.02)


def test_outputs_and_gradients_of_half_precision_are_float32():
    toy = registry.load("scenario", "dg").toy()
    seen = []

    class Looks(registry.load("strategy", "lora")):
        def penalty(self, run, output, batch):
            seen.append(output.dtype)
            return

        def before_step(self, run):
            seen.extend(p.grad.dtype for p in run.model.parameters() if p.requires_grad)

    _, prepared = applied(toy, Execution(precision="bf16"))
    learn(Looks(), toy, prepared=prepared)
    assert set(seen) == {torch.float32}


def test_memory_of_parts_and_of_blocks_is_smaller():
    """What is kept for the backward pass, counted as tensors are saved."""

    def kept(settings: Execution | None) -> int:
        toy = registry.load("scenario", "dg").toy()
        model = toy.model()
        if settings is not None:
            applied(toy, settings)[1](model)
        experience = toy.stream()[0]
        batch = experience.train.__getitems__(list(range(12)))
        bytes_kept = 0

        def pack(tensor):
            nonlocal bytes_kept
            if not isinstance(tensor, nn.Parameter):
                bytes_kept += tensor.numel() * tensor.element_size()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
            toy.loss(model(batch), batch)
        return bytes_kept

    usual = kept(None)
    assert kept(Execution(accumulate=4)) < usual / 4
    assert kept(Execution(gradient_checkpointing=True)) < usual / 2


def test_a_gradient_that_overflows_is_computed_again_at_a_smaller_scale():
    scaling, asked = Scaling(), []

    def backward(factor):
        asked.append(factor)
        gradient = torch.tensor([3.0, 1e-7]) * factor
        return [gradient if factor < FIRST / 2 else gradient / 0, None]

    gradient, none = scaling.descend(backward)
    assert asked == [FIRST, FIRST / 2, FIRST / 4]
    assert gradient.tolist() == pytest.approx([3.0, 1e-7])
    assert none is None
    assert scaling.state() == {"factor": FIRST / 4, "good": 1}


def test_what_is_not_finite_at_any_scale_is_given_as_it_is_and_scales_rise_again():
    scaling = Scaling()
    (gradient,) = scaling.descend(lambda factor: [torch.tensor([float("nan")])])
    assert gradient.isnan().all()
    scaling.load_state({"factor": 8.0, "good": PATIENCE - 1})
    scaling.descend(lambda factor: [torch.ones(1)])
    assert scaling.factor == 16.0


def test_a_model_that_is_not_row_by_row_has_no_parts():
    toy = registry.load("scenario", "dg").toy()
    model = toy.model()
    with pytest.raises(InputError, match=r"accumulate=2.*example by example"):
        Plan(Execution(accumulate=2), CPU).apply(model, (), [])


def test_statistics_of_a_batch_do_not_count_twice():
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    with pytest.raises(InputError, match="accumulate: the model normalises"):
        Plan(Execution(accumulate=2), CPU).apply(model, ("forward",), [])


def test_an_output_without_a_row_for_each_example_is_named():
    class Sums(nn.Module):
        def __init__(self):
            super().__init__()
            self.map = nn.Linear(2, 2)

        def forward(self, batch):
            return self.map(batch["x"]).sum()

    model = Sums()
    Plan(Execution(accumulate=2), CPU).apply(model, ("forward",), [])
    with pytest.raises(TypeError, match=r"shape \(\) for 2 examples"):
        model({"x": torch.ones(4, 2)})


def test_features_of_other_arithmetic_are_not_those_of_the_cache():
    toy = registry.load("scenario", "clip").toy()
    model = toy.model()
    assert arithmetic(model) == ""
    applied(toy, Execution(precision="bf16", accumulate=2))[1](model)
    assert arithmetic(model) == "precision=bf16"


# --- the command line ---


def test_keys_are_a_part_of_the_cell_where_they_are_not_default():
    words = ["strategy=lora", "scenario=dg", "scenario.target=sketch"]
    (usual,), _ = resolve(words)
    (same,), _ = resolve([*words, "precision=fp32", "accumulate=1", "compile=false"])
    one, two = resolve([*words, "precision=bf16,fp16"])[0]
    assert same.key() == usual.key()
    assert len({usual.key(), one.key(), two.key()}) == 3
    assert "precision=bf16" in one.command()
    assert one.label().endswith("precision=bf16 seed=0")
    assert Cell.from_dict(json.loads(json.dumps(one.to_dict()))) == one
    old = {k: v for k, v in usual.to_dict().items() if k != "execution"}
    assert Cell.from_dict(old) == usual


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("precision=bf61", "nearest is 'bf16'.*show execution"),
        ("accumulate=0", "accumulate=0"),
        ("gradient_checkpoint=true", "'gradient_checkpointing'"),
    ],
)
def test_a_wrong_value_is_one_line(word, says):
    with pytest.raises(InputError, match=says):
        resolve(["strategy=lora", "scenario=dg", word])


def test_a_cell_says_how_it_was_computed_and_runs_again_so(tmp_path):
    words = ["strategy=fake_head", "scenario=fake_points", "scenario.target=east"]
    words += ["precision=bf16", "accumulate=2", "device=cpu"]
    words += [f"plugins={PLUGINS}", f"out={tmp_path}"]
    assert running.run(words, force=False, quiet=True, json=False) == 0
    (path,) = (tmp_path / "fake_points").glob("*.json")
    found = record.read(path)
    assert found.status == "ok"
    assert found.execution.settings == Execution(precision="bf16", accumulate=2)
    assert found.execution.processes == 1
    cell = Cell.from_record(found)
    assert cell.key() == found.key
    assert cell.execution == {"precision": "bf16", "accumulate": 2}
    (board,), _ = boards("fake_points", gather([tmp_path])[0])
    assert board.lines[0].settings == "accumulate=2 precision=bf16"


def test_a_record_of_before_was_computed_as_usual(tmp_path):
    known = record.Computed()
    assert known.settings == Execution()
    assert dataclasses.asdict(Execution()) == known.model_dump(exclude={"processes"})


def test_blocks_that_compute_again_are_not_compiled():
    toy = registry.load("scenario", "dg").toy()
    both = Execution(compile=True, gradient_checkpointing=True)
    with pytest.raises(InputError, match="one of the two"):
        applied(toy, both)[1](toy.model())


def test_a_model_without_blocks_has_none_to_compute_again(tmp_path):
    words = ["strategy=fake_head", "scenario=fake_points", "scenario.target=east"]
    words += ["gradient_checkpointing=true", f"plugins={PLUGINS}", f"out={tmp_path}"]
    with pytest.raises(InputError, match="no blocks that repeat"):
        running.run(words, force=False, quiet=True, json=False)


def test_operations_of_a_step_are_counted_once():
    """Parts compute again in the backward pass, and not to find out what drops."""

    def counted(settings: Execution) -> int:
        toy = registry.load("scenario", "nlu").toy()
        strategy = registry.load("strategy", "mtlora")(dropout=0.1)
        prepared, stream = applied(toy, settings)[1], toy.stream()[:1]
        _, run, _ = learn(strategy, toy, prepared=prepared, stream=stream)
        return run.step_flops

    assert counted(Execution(accumulate=2)) < 1.5 * counted(Execution())
