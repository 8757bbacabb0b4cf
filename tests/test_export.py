"""A kept model, as an adapter of PEFT and as a plain folder, answers as trained."""

from __future__ import annotations

import json
from pathlib import Path

import peft
import pytest
import torch
from safetensors.torch import load_file

from clbench import kept, places, record, templating
from clbench.building import build_scenario
from clbench.cell import run_cell
from clbench.check.checks import first_batch
from clbench.cli import exporting
from clbench.config import resolve
from clbench.contract import InputError
from clbench.export import export
from clbench.report import QuietReporter

SCENARIO = "tiny_clouds"


@pytest.fixture(scope="module")
def plugins(tmp_path_factory) -> Path:
    """A folder with the scenario that `clbench new` writes: small, with every role."""
    folder = tmp_path_factory.mktemp("plugins")
    templating.create("scenario", SCENARIO, folder)
    return folder


@pytest.fixture
def run(plugins, tmp_path, monkeypatch):
    """Runs one cell with keep=true: its scenario's bare model, batch and record."""
    monkeypatch.setenv(places.VARIABLE, str(plugins))

    def go(*words: str):
        words = (*words, f"scenario={SCENARIO}", "scenario.steps_per_task=4")
        (cell,), options = resolve([*words, "keep=true", f"out={tmp_path}"])
        made = run_cell(cell, options, QuietReporter())
        assert made.status == "ok"
        scenario = build_scenario(cell)
        return scenario, first_batch(scenario), record.path_of(tmp_path, cell)

    return go


def trained(scenario, path: Path) -> torch.nn.Module:
    model = scenario.model()
    model.load_state_dict(kept.read(record.model_path(path)), strict=False)
    return model.eval()


def answers(model, batch) -> torch.Tensor:
    with torch.no_grad():
        return model.eval()(batch)


@pytest.mark.parametrize(
    ("strategy", "rank"),
    [("lora", 16), ("codyra", 16), ("pego", 16), ("dora", None), ("olora", None)],
)
def test_an_adapter_that_peft_loads_answers_as_the_trained_model(
    run, tmp_path, strategy, rank
):
    scenario, batch, path = run(f"strategy={strategy}")
    made = export(path, "peft", tmp_path / "adapter")
    again = peft.PeftModel.from_pretrained(scenario.model(), str(tmp_path / "adapter"))
    expected = answers(trained(scenario, path), batch)
    assert torch.allclose(answers(again, batch), expected, atol=1e-5)
    assert not torch.allclose(answers(scenario.model(), batch), expected, atol=1e-4)
    assert made.whole == ("head",)
    assert made.lost < 1e-3
    if rank is not None:
        # A fused projection holds up to two updates, of q and v.
        assert max(made.layers.values()) <= 32


def test_the_kept_model_is_what_was_trained(run):
    """Its answers are those that the record's last row judged."""
    scenario, _, path = run("strategy=lora")
    model = trained(scenario, path)
    with torch.no_grad():
        row = scenario.evaluate(model, 3)
    last = record.read(path).rows[-1].scores
    for task, result in row.items():
        assert result.metrics["accuracy"] == pytest.approx(last[task]["accuracy"])


def test_only_what_changed_is_kept(run):
    scenario, _, path = run("strategy=lora")
    names = set(load_file(record.model_path(path)))
    assert {name.rpartition(".")[0] for name in names} <= {
        "head",
        *(layer.path for layer in scenario.adaptable(scenario.model())),
    }
    assert "embed.weight" not in names


def test_full_fine_tuning_is_cut_to_a_rank_and_the_error_said(run, tmp_path):
    _, _, path = run("strategy=linear")
    with pytest.raises(InputError, match="no linear layer was changed"):
        export(path, "peft", tmp_path / "a")
    _, _, path = run("strategy=finetune")
    with pytest.raises(InputError, match="belongs to no layer of its own"):
        export(path, "peft", tmp_path / "b")


def test_a_smaller_rank_loses_what_it_says(run, tmp_path):
    scenario, _, path = run("strategy=lora", "strategy.rank=8")
    whole = export(path, "peft", tmp_path / "whole")
    cut = export(path, "peft", tmp_path / "cut", rank=1)
    assert set(cut.layers.values()) == {1}
    assert whole.lost < 1e-3 < cut.lost < 1
    assert whole.gap < 1e-5 < cut.gap
    before = dict(scenario.model().named_parameters())
    after = trained(scenario, path)
    worst = 0.0
    for name in cut.layers:
        delta = after.get_submodule(name).weight - before[f"{name}.weight"]
        values = torch.linalg.svdvals(delta.detach().double())
        worst = max(worst, float(values[1:].norm() / values.norm()))
    assert cut.lost == pytest.approx(worst, rel=1e-3)


def test_a_plain_folder_holds_the_whole_model(run, tmp_path):
    scenario, batch, path = run("strategy=codyra")
    export(path, "merged", tmp_path / "plain")
    model = scenario.model()
    model.load_state_dict(load_file(tmp_path / "plain" / "weights.safetensors"))
    expected = answers(trained(scenario, path), batch)
    assert torch.equal(answers(model, batch), expected)
    facts = json.loads((tmp_path / "plain" / "clbench.json").read_text())
    assert (facts["strategy"], facts["scenario"]) == ("codyra", SCENARIO)


def test_a_run_without_keep_says_how_to_get_it(run, tmp_path):
    _, _, path = run("strategy=lora")
    record.model_path(path).unlink()
    with pytest.raises(InputError, match="keep=true"):
        export(path, "peft", tmp_path / "adapter")


def test_the_command_says_what_was_lost(run, tmp_path):
    _, _, path = run("strategy=lora")
    lines = list(exporting.export(path, "peft", tmp_path / "adapter", 2))
    text = "\n".join(lines)
    assert "of rank 2" in text
    assert "left out of an update" in text
    assert "PeftModel.from_pretrained" in text
    with pytest.raises(InputError, match="--to onnx is no form"):
        list(exporting.export(path, "onnx", None, None))
