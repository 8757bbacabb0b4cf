"""An ordinary Avalanche script, with a strategy of clbench as one of its plugins.

python examples/avalanche/script.py replay
"""

from __future__ import annotations

import sys

import torch
from avalanche.benchmarks import nc_benchmark
from avalanche.benchmarks.utils import as_classification_dataset
from avalanche.training.plugins import EvaluationPlugin
from avalanche.training.supervised import Naive
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import TensorDataset

from clbench import registry
from clbench.avalanche import ScriptProblem, StrategyPlugin
from clbench.contract import Layer


def digits():
    """Scanned digits, two classes at a time."""
    images, labels = load_digits(return_X_y=True)
    x = torch.tensor(images, dtype=torch.float32) / 16
    y = torch.tensor(labels)
    parts = []
    for rows in (torch.arange(len(y)) % 5 != 0, torch.arange(len(y)) % 5 == 0):
        data = TensorDataset(x[rows], y[rows])
        data.targets = y[rows].tolist()
        parts.append(as_classification_dataset(data))
    train, test = parts
    order = list(range(10))
    return nc_benchmark(train, test, 5, task_labels=False, fixed_class_order=order)


def network():
    """Two hidden layers and a head."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10)
    )


def learn(name: str | None, **settings) -> list[float]:
    """Accuracy on each of the five test experiences after the last."""
    problem = ScriptProblem(
        heads=["4"],
        adapt=[Layer(path="0", role="fc1"), Layer(path="2", role="fc2")],
    )
    plugins = []
    if name is not None:
        strategy = registry.load("strategy", name)(**settings)
        plugins.append(StrategyPlugin(strategy, problem))
    model = network()
    script = Naive(
        model=model,
        optimizer=torch.optim.Adam(model.parameters(), lr=1e-3),
        criterion=nn.CrossEntropyLoss(),
        train_mb_size=32,
        train_epochs=4,
        plugins=plugins,
        evaluator=EvaluationPlugin(),
    )
    benchmark = digits()
    torch.manual_seed(0)
    for experience in benchmark.train_stream:
        script.train(experience)
    script.model.eval()
    scores = []
    for experience in benchmark.test_stream:
        x = torch.stack([example[0] for example in experience.dataset])
        y = torch.tensor([example[1] for example in experience.dataset])
        with torch.no_grad():
            scores.append(float((script.model(x).argmax(-1) == y).float().mean()))
    return scores


if __name__ == "__main__":
    chosen = sys.argv[1] if len(sys.argv) > 1 else None
    print(chosen or "naive", [round(score, 3) for score in learn(chosen)])
