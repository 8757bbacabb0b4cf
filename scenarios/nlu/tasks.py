"""The tasks there are: what each asks, and which numbers score it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from clbench.contract import InputError, Metric, nearest

Dataset = Literal["pocket", "glue"]

Form = Literal["acceptability", "sentiment", "paraphrase", "entailment"]

NUMBERS: dict[Form, tuple[str, ...]] = {
    "acceptability": ("matthews",),
    "sentiment": ("accuracy",),
    "paraphrase": ("f1", "accuracy"),
    "entailment": ("accuracy",),
}
"""What GLUE scores each form by; of several their mean is the task's score."""


def _score(title: str, definition: str) -> Metric:
    return Metric(name="score", title=title, definition=definition)


HEADLINES: dict[Form, Metric] = {
    "acceptability": _score("Matthews", "Matthews correlation, as of CoLA in GLUE."),
    "sentiment": _score("Accuracy", "Part of the answers that are right."),
    "paraphrase": _score("F1, accuracy", "Mean of both, as GLUE averages MRPC."),
    "entailment": _score("Accuracy", "Part of the answers that are right."),
}
"""How good a model is at a task, as one number."""


@dataclass(frozen=True)
class Columns:
    """How the rows of a task's files are laid out.

    Attributes:
        folder: Name of its folder.
        header: Names of the columns as the first line has them; empty where there is
            none, and columns are found by their place.
        first, second: Column of the first text and of the second, if there is one.
        label: Column of the label.
        count: Columns of a row.
    """

    folder: str
    header: tuple[str, ...]
    first: int
    second: int | None
    label: int
    count: int


@dataclass(frozen=True)
class Task:
    """One task.

    Attributes:
        dataset: Where it is from.
        form: What it asks.
        labels: Names of the answers, in the order of their numbers; in files they are
            these words or these numbers.
        columns: Of its files; None for tasks that are made, not read.
    """

    dataset: Dataset
    form: Form
    labels: tuple[str, ...]
    columns: Columns | None = None


TASKS: dict[str, Task] = {
    "order": Task("pocket", "acceptability", ("broken", "well formed")),
    "manner": Task("pocket", "sentiment", ("rude", "polite")),
    "paraphrase": Task("pocket", "paraphrase", ("different", "same")),
    "entailment": Task("pocket", "entailment", ("does not follow", "follows")),
    "cola": Task(
        "glue",
        "acceptability",
        ("unacceptable", "acceptable"),
        Columns("CoLA", (), first=3, second=None, label=1, count=4),
    ),
    "sst2": Task(
        "glue",
        "sentiment",
        ("negative", "positive"),
        Columns("SST-2", ("sentence", "label"), first=0, second=None, label=1, count=2),
    ),
    "mrpc": Task(
        "glue",
        "paraphrase",
        ("not_equivalent", "equivalent"),
        Columns(
            "MRPC",
            ("Quality", "#1 ID", "#2 ID", "#1 String", "#2 String"),
            first=3,
            second=4,
            label=0,
            count=5,
        ),
    ),
    "rte": Task(
        "glue",
        "entailment",
        ("not_entailment", "entailment"),
        Columns(
            "RTE",
            ("index", "sentence1", "sentence2", "label"),
            first=1,
            second=2,
            label=3,
            count=4,
        ),
    ),
}
"""All of them, those of a dataset in the order of its default stream."""


def names_of(dataset: Dataset) -> tuple[str, ...]:
    """The tasks of `dataset`, in the order of its default stream."""
    return tuple(name for name, task in TASKS.items() if task.dataset == dataset)


def check_tasks(wanted: Sequence[str], dataset: Dataset) -> None:
    """Refuse tasks that `dataset` does not have, or that are named twice.

    Raises:
        InputError: One line with the nearest task that it has.
    """
    known = names_of(dataset)
    for number, name in enumerate(wanted):
        if name not in known:
            hint = ""
            if name in TASKS:
                hint = f"; '{name}' is of {TASKS[name].dataset}"
                if dataset == "pocket":
                    hint += ", which needs scenario.root=DIR"
            else:
                hint = nearest(name, known)
            raise InputError(
                f"scenario.tasks: unknown task '{name}'{hint}; {dataset} has "
                f"{', '.join(known)}"
            )
        if name in wanted[:number]:
            raise InputError(f"scenario.tasks names '{name}' twice")
