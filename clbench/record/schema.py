"""What a record says: its fields, and what can be told from them alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from clbench.execution import Execution, Precision
from clbench.matrix import Matrix, Row

SCHEMA = 3
"""Version of the fields below; raised whenever one changes, with a function in
`clbench.migration` that brings older records up to it."""

Status = Literal["ok", "failed", "interrupted", "unsupported"]


Name = Annotated[str, StringConstraints(pattern=r"^\w[\w.+ -]*$")]
"""What files and folders are called by: it leads nowhere else."""


class Part(BaseModel):
    """A part of a record: closed, so that a misspelt field is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Origin(Part):
    """Where a plugin's code comes from."""

    kind: Literal["built in", "installed", "local"]
    distribution: str | None = None
    version: str | None = None
    sha256: str = Field(description="hash of its source")


class Plugin(Part):
    """A plugin, its parameters, defaults included, and its code."""

    name: Name
    params: dict[str, Any]
    origin: Origin


class DataCard(Part):
    """What was learned from."""

    data: str
    fingerprint: str
    backbone: str
    details: dict[str, Any] = {}


class StrategyPart(Part):
    """The strategy: one plugin, or several that learned together."""

    name: Name = Field(description="names of the members joined by +")
    members: list[Plugin]


class ScenarioPart(Plugin):
    """The scenario as it was then."""

    version: int
    main: str = Field(description="name of the metric that ranks")
    fold: str | None = Field(description="parameter that boards average over")
    folds: list[str] = Field(description="all its values, in the scenario's order")
    card: DataCard


class Entry(Part):
    """One row of the score matrix."""

    experience: int = Field(description="experiences learned before it")
    step: int = Field(description="optimizer steps taken before it")
    boundary: bool = Field(description="whether it ends an experience")
    scores: dict[str, dict[str, float | None]] = Field(
        description="task -> metric -> value"
    )


class Trainable(Part):
    """The largest numbers of parameters trained at once."""

    adapter: int
    other: int
    head: int


class Cost(Part):
    """What the cell took."""

    trainable: Trainable
    parameters: int = Field(description="of the model with its adapters")
    steps: int
    examples: int
    seconds: dict[str, float] = Field(
        description="prepare, train, evaluate, checkpoint, total"
    )
    examples_per_second: float
    peak_bytes: int
    flops: int = Field(description="of all steps, in products and, on GPUs, attention")
    device: str


class AssetPart(Part):
    """A data set, or weights, that the cell read; lock files know each of its files."""

    kind: Literal["data", "weights"]
    name: str
    revision: str | None = Field(description="commit, of what comes from the hub")
    sha256: str = Field(description="of the list of its files, sizes and hashes")
    bytes: int
    files: int


class Environment(Part):
    """What it ran with; names no machine and no person."""

    python: str
    platform: str
    processor: str | None = Field(
        None, description="model of the CPU, and the instructions it computed with"
    )
    threads: int
    versions: dict[str, str]
    commit: str | None = Field(description="of the checkout it ran from, if it did")
    dirty: bool | None = Field(description="whether that checkout had other changes")
    deterministic: bool = Field(
        False, description="whether torch took deterministic kernels alone"
    )
    trust_remote_code: bool = Field(
        False, description="whether code that models of the hub bring along could run"
    )


class Computed(Part):
    """How steps were computed; see `Execution`."""

    accumulate: int = 1
    precision: Precision = "fp32"
    compile: bool = False
    gradient_checkpointing: bool = False
    processes: int = Field(1, description="that had a part of each minibatch")

    @property
    def settings(self) -> Execution:
        """What was asked for."""
        return Execution(**self.model_dump(exclude={"processes"}))


class Record(Part):
    """One cell's record."""

    schema_version: int = SCHEMA
    key: Name
    status: Status
    reason: str | None = None
    step_failed: int | None = Field(None, description="steps done before it failed")
    strategy: StrategyPart
    scenario: ScenarioPart
    seed: int
    recipe: dict[str, Any]
    origins: dict[str, str] = Field(description="where settings came from")
    trials: int | None = Field(
        None, description="settings tried to choose the tuned ones, where known"
    )
    budget: dict[str, Any]
    learned: dict[str, int] = Field(description="task -> experience that teaches it")
    rows: list[Entry]
    log: dict[str, list[tuple[int, float | None]]] = Field(
        {}, description="name -> (step, value); None is no number"
    )
    cost: Cost | None
    environment: Environment
    execution: Computed = Computed()
    assets: list[AssetPart] = Field([], description="data and weights that it read")
    command: str
    created: str
    outcomes: str = Field("", description="hash of the file of outcomes beside it")
    sha256: str = Field("", description="of everything else in this record")

    @property
    def terms(self) -> dict[str, Any]:
        """Of the budget what is equal on a board: how many models there are is not."""
        return {k: v for k, v in self.budget.items() if k != "models"}

    @property
    def set_in_recipe(self) -> list[str]:
        """Entries of the recipe that are not the scenario's own."""
        start = "recipe."
        return [k.removeprefix(start) for k in self.origins if k.startswith(start)]

    def matrix(self) -> Matrix:
        """Its rows, to compute scores from."""
        rows = tuple(
            Row(
                experience=entry.experience,
                step=entry.step,
                boundary=entry.boundary,
                scores={task: _known(v) for task, v in entry.scores.items()},
            )
            for entry in self.rows
        )
        return Matrix(rows=rows, learned=self.learned)


def _known(values: dict[str, float | None]) -> Mapping[str, float]:
    """`values` with NaN for None; the same object where there is none to replace."""
    if None not in values.values():
        return cast("dict[str, float]", values)
    return {k: math.nan if v is None else v for k, v in values.items()}


def comparable(record: Record) -> dict[str, Any]:
    """What two runs of one cell must agree on: all but times, memory and machine."""
    document = record.model_dump(mode="json")
    for name in ("environment", "created", "sha256"):
        del document[name]
    del document["execution"]["processes"]
    if document["cost"] is not None:
        for name in ("seconds", "examples_per_second", "peak_bytes"):
            del document["cost"][name]
    return document


def numbers(record: Record) -> dict[str, Any]:
    """What two runs of one configuration must agree on, whoever ran them.

    That is `comparable`, less the configuration and where the code came from.
    """
    document = comparable(record)
    names = ("status", "budget", "recipe", "learned", "rows", "log", "cost")
    return {name: document[name] for name in names} | {
        "version": document["scenario"]["version"],
        "card": document["scenario"]["card"],
    }
