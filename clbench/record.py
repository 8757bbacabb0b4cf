"""One cell's record: everything needed to score it, to trust it and to run it again.

A record is one JSON file, `runs/<scenario>/<strategy>--<key>.json`, written atomically
and never changed. Beside it lie the outcomes of every example. Metrics are not kept in
it: boards compute them from its rows.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)

from clbench.contract import InputError
from clbench.execution import Execution, Precision
from clbench.inside import inside
from clbench.masking import clean
from clbench.matrix import Matrix, Row
from clbench.migration import migrate

if TYPE_CHECKING:
    from clbench.resolved import Cell

SCHEMA = 2
"""Version of the fields below; raised whenever one changes, with a function in
`clbench.migration` that brings older records up to it."""

TUNING = "tuning"
"""Folder, in that of the records, of trials: they choose settings, boards pass by."""

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
    flops: int = Field(description="of all steps, in products and attention")
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


class NotWritten(InputError):
    """A record cannot be written where it should be.

    Attributes:
        record: What would have been written.
    """

    def __init__(self, message: str, record: Record) -> None:
        super().__init__(message)
        self.record = record


def _known(values: dict[str, float | None]) -> Mapping[str, float]:
    """`values` with NaN for None; the same object where there is none to replace."""
    if None not in values.values():
        return cast("dict[str, float]", values)
    return {k: math.nan if v is None else v for k, v in values.items()}


def path_of(out: Path, cell: Cell) -> Path:
    """Where the record of `cell` lies under `out`.

    Raises:
        InputError: A name or a link leads out of `out`.
    """
    return inside(out, cell.scenario.name, f"{cell.name}--{cell.key()}.json")


def outcomes_path(path: Path) -> Path:
    """Where the outcomes beside the record at `path` lie."""
    return path.with_suffix(".outcomes.safetensors")


def pictures_path(path: Path) -> Path:
    """Where the pictures to look at beside the record at `path` lie, if there are."""
    return path.with_suffix(".pictures.safetensors")


def model_path(path: Path) -> Path:
    """Where the trained model beside the record at `path` lies, if it was kept."""
    return path.with_suffix(".model.safetensors")


def checkpoint_paths(path: Path) -> tuple[Path, ...]:
    """Where the checkpoints beside the record at `path` lie, while it comes to be.

    Two: while one is written, the one before is whole.
    """
    return tuple(path.with_suffix(f".checkpoint-{n}.safetensors") for n in range(2))


def write(record: Record, path: Path) -> None:
    """Write `record`: all of it or nothing, whatever happens meanwhile.

    Secrets in it are masked, and home folders are `~`.

    Raises:
        ValueError: A number in it is NaN or infinite.
    """
    write_bytes(path, encode(record))


def encode(record: Record) -> bytes:
    """The content of the file of `record`, its hash included.

    Raises:
        ValueError: A number in it is NaN or infinite.
    """
    document = clean(record.model_dump(mode="json"))
    document["sha256"] = digest(document)
    text = json.dumps(document, indent=1, allow_nan=False, ensure_ascii=False)
    return (text + "\n").encode()


def write_bytes(path: Path, *content: bytes | memoryview) -> None:
    """Write a file at once: a reader sees the old one or the new one, whole.

    It is on the disk when this returns, and so is its name: a crash right after leaves
    it there.

    Args:
        path: Of the file; folders are made.
        content: What it shall hold, in parts.

    Raises:
        OSError: It cannot be written; what was there before is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            for part in content:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes files that nobody else may read.
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Have the names in `folder` on the disk; there is no such call on Windows."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def read(path: Path) -> Record:
    """The record at `path`, in today's fields, if it is what was written.

    Its hash is compared with its content as it lies there; only then is a record of an
    older schema brought up to this one, in memory.

    Raises:
        InputError: It is damaged, edited, or of a newer schema.
    """
    try:
        document = json.loads(path.read_text(), parse_constant=_no_number)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a record ({_line(error)})") from error
    if not isinstance(document, dict) or "schema_version" not in document:
        raise InputError(f"{path}: not a record (no schema_version)")
    version = document["schema_version"]
    if not isinstance(version, int) or version > SCHEMA:
        raise InputError(
            f"{path}: schema {version} is not known here, only up to {SCHEMA}: install "
            f"a newer clbench"
        )
    if document.get("sha256") != digest(document):
        raise InputError(f"{path}: its content is not what was written (hash differs)")
    try:
        return Record.model_validate(migrate(document, SCHEMA))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise InputError(f"{path}: damaged at '{place}' ({first['msg']})") from error
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number")


def digest(document: Mapping[str, Any]) -> str:
    """SHA-256 of a record's content, less the field that holds it."""
    content = {key: value for key, value in document.items() if key != "sha256"}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


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


def _line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
