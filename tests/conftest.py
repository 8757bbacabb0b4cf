"""What several tests share: a scenario small enough to reason about."""

from __future__ import annotations

import itertools
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from clbench import __version__
from clbench.config import resolve
from clbench.contract import (
    Batch,
    Budget,
    Card,
    Data,
    Experience,
    Layer,
    Metric,
    Recipe,
    Result,
    Scenario,
)
from clbench.grammar import write
from clbench.matrix import Matrix
from clbench.record import (
    Cost,
    DataCard,
    Entry,
    Environment,
    Origin,
    Plugin,
    Record,
    ScenarioPart,
    Status,
    StrategyPart,
    Trainable,
)
from clbench.record import write as write_record

STYLES = ("photo", "cartoon", "sketch", "painting")
"""Domains of the embedded `dg`."""

SHARED = Path(__file__).resolve().parents[2] / "shared"


class Points(Data):
    """Labelled points of the plane, drawn from one cloud for each class."""

    def __init__(self, task: int, examples: int, seed: int) -> None:
        generator = torch.Generator().manual_seed(1000 * task + seed)
        self.y = torch.randint(3, (examples,), generator=generator)
        noise = torch.randn(examples, 4, generator=generator)
        centres = 3 * torch.randn(3, 4, generator=torch.Generator().manual_seed(task))
        self.x = centres[self.y] + noise

    def __len__(self) -> int:
        return len(self.y)

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        chosen = torch.as_tensor(indices)
        return {"x": self.x[chosen], "label": self.y[chosen]}

    def batches(self, seed: int, steps: int) -> Iterator[Sequence[int]]:
        generator = torch.Generator().manual_seed(seed)
        for _ in range(steps):
            yield torch.randint(len(self), (16,), generator=generator).tolist()


class Block(nn.Module):
    """An attention-like block whose maps have roles."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(8, 24)
        self.proj = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).chunk(3, -1)
        return x + self.proj(torch.tanh(q) * torch.sigmoid(k) + v)


class Net(nn.Module):
    """A backbone of two blocks and a head for three classes."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.stem = nn.Linear(4, 8)
        self.blocks = nn.Sequential(Block(), Block())
        self.head = nn.Linear(8, 3)
        generator = torch.Generator().manual_seed(seed)
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.3, generator=generator)

    def forward(self, batch: Batch) -> Tensor:
        return self.head(self.blocks(self.stem(batch["x"])))


class Blobs(Scenario):
    """Clouds of points, one task after another.

    Args:
        experiences: Number of tasks.
        steps: Optimizer steps of each.
        poison: Step whose loss is NaN; -1 poisons none.
        every: Steps between evaluations within an experience.
    """

    version = 3
    per_example = True
    main = Metric(name="final", title="Accuracy", definition="Mean of the last row.")
    metrics = (main,)

    def __init__(
        self,
        *,
        experiences: int = 2,
        steps: int = 30,
        poison: int = -1,
        every: int = 0,
        seed: int = 0,
    ) -> None:
        self.experiences, self.steps, self.seed = experiences, steps, seed
        self.poison = poison
        self.budget = Budget(
            steps=experiences * steps, batch_size=16, evaluate_every=every or None
        )
        self.recipe = Recipe(lr=1e-2)
        self._losses = 0

    @property
    def tasks(self) -> tuple[str, ...]:
        return tuple(f"task{i}" for i in range(self.experiences))

    def model(self) -> nn.Module:
        return Net(self.seed)

    def stream(self) -> Sequence[Experience]:
        return [
            Experience(
                index=i,
                name=name,
                tasks=(name,),
                train=Points(i, 200, self.seed),
                steps=self.steps,
            )
            for i, name in enumerate(self.tasks)
        ]

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        loss = nn.functional.cross_entropy(output, batch["label"])
        self._losses += 1
        return loss * float("nan") if self._losses == self.poison + 1 else loss

    def merit(self, output: Tensor, batch: Batch) -> Tensor:
        return -nn.functional.cross_entropy(output, batch["label"], reduction="none")

    def distance(self, new: Tensor, old: Tensor, batch: Batch) -> Tensor:
        new, old = new.log_softmax(-1), old.log_softmax(-1)
        return (old.exp() * (old - new)).sum(-1).mean()

    def evaluate(self, model: nn.Module, upto: int) -> dict[str, Result]:
        row = {}
        for i, name in enumerate(self.tasks):
            data = Points(i, 100, self.seed + 500)
            prediction = model({"x": data.x}).argmax(-1)
            row[name] = Result(
                metrics={"accuracy": float((prediction == data.y).float().mean())},
                outcomes={
                    "prediction": prediction.numpy(),
                    "label": data.y.numpy(),
                    "confidence": np.ones(100, dtype=np.float32),
                },
            )
        return row

    def adaptable(self, model: nn.Module) -> Iterator[Layer]:
        for i in range(2):
            for j, role in enumerate("qkv"):
                rows = (8 * j, 8 * j + 8)
                yield Layer(path=f"blocks.{i}.qkv", role=role, rows=rows)
            yield Layer(path=f"blocks.{i}.proj", role="out")

    def heads(self, model: nn.Module) -> Iterator[nn.Parameter]:
        yield from model.head.parameters()

    def card(self) -> Card:
        return Card(data="blobs", fingerprint="0" * 12, backbone="net")

    @classmethod
    def scores(cls, matrix: Matrix, params: Mapping[str, Any]) -> dict[str, float]:
        return {"final": float(np.mean(matrix.array("accuracy")[-1]))}

    @classmethod
    def toy(cls) -> Blobs:
        return cls(steps=3)


@pytest.fixture(scope="session")
def blobs() -> type[Blobs]:
    """The class of the scenario, to be made with the parameters that a test needs."""
    return Blobs


TOGETHER = ("test_devices", "test_distribution", "test_page", "test_sweep")
"""Modules with fixtures that take long: one process of the tests has all of each."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Every test goes to the process that is free, but for those that go together."""
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            path = nodeid.split("::")[0]
            return path if Path(path).stem in TOGETHER else nodeid

    return Scheduling(config, log)


@pytest.fixture(scope="session", autouse=True)
def _hears_ctrl_c() -> None:
    """A shell starts jobs of its background, this one perhaps, deaf to Ctrl-C."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def forked(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[..., subprocess.CompletedProcess[str]]]:
    """Runs a command to its end, as `python -m clbench` does, in a forked process.

    Imports are done there, which take most of the time that a small cell needs. Called
    with the command's words; `cwd` is its folder, `module` what is run where that is
    not clbench, and other keywords are its environment.
    """
    command = [sys.executable, "-P", str(Path(__file__).with_name("forks.py"))]
    folder = tmp_path_factory.mktemp("forked")
    outputs = folder / "out", folder / "err"
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None

        def call(
            *words: str,
            cwd: Path | str = folder,
            module: str = "clbench",
            **known: str,
        ):
            for path in outputs:
                path.write_text("")
            asked = {"module": module, "words": words, "cwd": str(cwd)}
            asked["env"] = {**os.environ, **known}
            asked |= dict(zip(("out", "err"), map(str, outputs), strict=True))
            print(json.dumps(asked), file=server.stdin, flush=True)
            code = int(server.stdout.readline())
            said = [path.read_text() for path in outputs]
            return subprocess.CompletedProcess(words, code, *said)

        yield call
        server.stdin.close()


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    """Finds a port of this machine that nothing listens to."""

    def find() -> int:
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            return found.getsockname()[1]

    return find


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of golden numbers and real data that lies beside a checkout."""
    if not SHARED.is_dir():
        pytest.skip("there is no folder ../shared with golden numbers and real data")
    return SHARED


@pytest.fixture(scope="session")
def make_record() -> Callable[..., Record]:
    """Makes the record of a cell of `dg` that was never run, with the facts given."""
    return _record


@pytest.fixture
def runs(tmp_path: Path, make_record: Callable[..., Record]) -> Callable[..., None]:
    """A folder of records of `dg`; calling it adds one for each combination."""
    folder = tmp_path / "runs"

    def add(strategy="lora", seeds=(0,), targets=STYLES, **facts):
        for seed, target in itertools.product(seeds, targets):
            made = make_record(strategy=strategy, seed=seed, target=target, **facts)
            write_record(made, folder / "dg" / f"{strategy}--{made.key}.json")

    add.folder = folder
    return add


def _record(
    strategy: str = "lora",
    seed: int = 0,
    target: str = "photo",
    *,
    accuracy: float = 0.5,
    status: Status = "ok",
    reason: str | None = None,
    rank: int | None = None,
    version: int = 1,
    fingerprint: str = "a" * 64,
    backbone: str = "pocket",
    seconds: float = 1.5,
    created: str = "2030-01-01T00:00:00+00:00",
    **scenario: Any,
) -> Record:
    words = [f"strategy={strategy}", "scenario=dg", f"seed={seed}", "tuned=false"]
    words += [f"strategy.rank={rank}"] if rank is not None else []
    given = {"target": target, "backbone": backbone, **scenario}
    words += [f"scenario.{name}={write(value)}" for name, value in given.items()]
    ((cell,), _) = resolve(words)
    members = [_plugin(m.name, m.params) for m in cell.strategy]
    domains = ("photo", "cartoon", "sketch", "painting")
    rows = [
        Entry(
            experience=experience,
            step=step,
            boundary=True,
            scores={
                name: {"accuracy": accuracy, "holdout": 0.25 * (1 + experience)}
                for name in domains
            },
        )
        for experience, step in ((0, 0), (1, 300))
    ]
    return Record(
        key=cell.key(),
        status=status,
        reason=reason,
        strategy=StrategyPart(name=cell.name, members=members),
        scenario=ScenarioPart(
            **_plugin("dg", cell.scenario.params).model_dump(),
            version=version,
            main="target_accuracy",
            fold="target",
            folds=list(domains),
            card=DataCard(data="pocket", fingerprint=fingerprint, backbone=backbone),
        ),
        seed=seed,
        recipe=dict(cell.recipe),
        origins=dict(cell.origins),
        budget={
            "steps": cell.scenario.params["steps"] or 300,
            "batch_size": 48,
            "evaluate_every": 50,
            "models": 1,
        },
        learned={name: 1 for name in domains if name != target},
        rows=rows,
        cost=Cost(
            trainable=Trainable(adapter=10, other=0, head=20),
            parameters=1000,
            steps=300,
            examples=300 * 48,
            seconds={"prepare": 0.1, "train": 1, "evaluate": 0.4, "total": seconds},
            examples_per_second=100.0,
            peak_bytes=2**20,
            flops=1,
            device="cpu",
        ),
        environment=Environment(
            python="3.11",
            platform="Linux",
            threads=2,
            versions={"torch": "2"},
            commit=None,
            dirty=None,
        ),
        command=cell.command(),
        created=created,
    )


def _plugin(name: str, params: Mapping[str, Any]) -> Plugin:
    origin = Origin(
        kind="built in", distribution="clbench", version=__version__, sha256="b" * 64
    )
    return Plugin(name=name, params=dict(params), origin=origin)
