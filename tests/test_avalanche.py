"""A strategy inside an Avalanche script, and an Avalanche benchmark as a scenario."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest
import torch
from avalanche.benchmarks import benchmark_from_datasets
from avalanche.benchmarks.utils import as_classification_dataset
from avalanche.training.plugins import EvaluationPlugin
from avalanche.training.supervised import Naive
from torch import nn
from torch.utils.data import TensorDataset

from clbench import check, places, registry
from clbench.avalanche import BenchmarkScenario, Examples, ScriptProblem, StrategyPlugin
from clbench.contract import Layer

EXAMPLES = Path(__file__).resolve().parents[1] / "examples" / "avalanche"

pytestmark = pytest.mark.filterwarnings("ignore:No loggers specified")


def points(seed: int, classes: tuple[int, int]):
    """Two clouds of labelled points of the plane."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.tensor(classes).repeat(32)
    x = torch.randn(64, 4, generator=generator) + 2 * y[:, None]
    data = TensorDataset(x, y)
    data.targets = y.tolist()
    return as_classification_dataset(data)


def benchmark():
    train = [points(number, (2 * number, 2 * number + 1)) for number in range(2)]
    test = [points(9 + number, (2 * number, 2 * number + 1)) for number in range(2)]
    return benchmark_from_datasets(train=train, test=test)


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 4))


def script(*plugins: StrategyPlugin) -> Naive:
    model = network()
    made = Naive(
        model=model,
        optimizer=torch.optim.SGD(model.parameters(), lr=0.05),
        criterion=nn.CrossEntropyLoss(),
        train_mb_size=16,
        train_epochs=2,
        plugins=list(plugins),
        evaluator=EvaluationPlugin(),
    )
    torch.manual_seed(0)
    for experience in benchmark().train_stream:
        made.train(experience)
    return made


def plugin(name: str, **settings) -> StrategyPlugin:
    problem = ScriptProblem(heads=["2"], adapt=[Layer(path="0", role="fc1")])
    return StrategyPlugin(registry.load("strategy", name)(**settings), problem)


def test_plain_fine_tuning_is_the_script_itself():
    one, two = script(), script(plugin("finetune"))
    for a, b in zip(one.model.parameters(), two.model.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_penalty_acts_from_the_second_experience_on():
    free, held = script(), script(plugin("ewc", strength=10.0))
    start = dict(network().named_parameters())

    def moved(model):
        return sum(
            float((p.detach() - start[n].detach()).norm())
            for n, p in model.named_parameters()
        )

    assert moved(held.model) < moved(free.model)
    assert held.plugins[0].strategy.state()["fisher"]


def test_an_injected_adapter_is_trained_by_the_script_s_optimizer():
    made = script(plugin("lora", rank=2, roles=("fc1",)))
    layer = made.model[0]
    assert layer.B.abs().max() > 0
    before = network()
    assert torch.equal(layer.base.weight, before[0].weight)
    assert not torch.equal(made.model[2].weight, before[2].weight)


def test_steps_and_experiences_are_counted():
    own = plugin("l2")
    script(own)
    run = own._session
    assert (run.experience.index, run.step, run.steps, run.total_step) == (1, 8, 8, 16)
    assert own.problem.tasks == ("experience0", "experience1")


def test_minibatches_go_round_and_are_full():
    data = Examples(points(0, (0, 1)), batch=24)
    batches = list(data.batches(3, steps=8))
    assert {len(batch) for batch in batches} == {24}
    seen = [row for batch in batches for row in batch]
    assert sorted(seen[:64]) == list(range(64))
    assert data.__getitems__([1, 0])["label"].tolist() == [1, 0]


class Clouds(BenchmarkScenario):
    """Clouds.

    Args:
        steps_per_experience: Steps.
        batch_size: Points.
        seed: The cell's.
    """

    head = "2"

    def benchmark(self):
        return benchmark()

    def network(self) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            return network()

    def adaptable(self, model):
        yield Layer(path="network.0", role="fc1")


@pytest.mark.parametrize("one", check.SCENARIO_CHECKS, ids=lambda c: c.__name__)
def test_a_benchmark_is_a_scenario_that_keeps_the_contract(one):
    finding = check.run(one, "clouds", Clouds)
    assert finding.status == "holds", finding.reason


@pytest.mark.parametrize("one", check.PAIR_CHECKS, ids=lambda c: c.__name__)
def test_a_strategy_runs_on_a_benchmark(one):
    finding = check.run(one, "ewc", registry.load("strategy", "ewc"), Clouds)
    assert finding.status == "holds", finding.reason


def test_the_example_scenario_is_found_and_fits_adapters(monkeypatch):
    monkeypatch.setenv(places.VARIABLE, str(EXAMPLES))
    kind = registry.load("scenario", "split_digits")
    toy = kind.toy()
    assert toy.tasks == tuple(f"experience{n}" for n in range(5))
    assert {layer.role for layer in toy.adaptable(toy.model())} >= {"q", "v", "fc1"}
    finding = check.run(
        check.PAIR_CHECKS[0], "lora", registry.load("strategy", "lora"), kind
    )
    assert finding.status == "holds", finding.reason


def test_the_example_script_forgets_less_with_a_plugin():
    spec = importlib.util.spec_from_file_location("example", EXAMPLES / "script.py")
    example = importlib.util.module_from_spec(spec)
    sys.modules["example"] = example
    spec.loader.exec_module(example)
    naive = example.learn(None)
    replayed = example.learn("replay")
    assert sum(replayed[:4]) > sum(naive[:4])
