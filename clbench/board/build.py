"""Boards -> the board document."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from math import isnan, nan
from pathlib import Path
from typing import Any

import numpy as np

from clbench.board import notes, reported
from clbench.board.document import (
    Apart,
    Column,
    Document,
    Failed,
    Missing,
    Reported,
    Sheet,
    Unread,
)
from clbench.board.gather import Left
from clbench.board.line import Line
from clbench.board.row import row
from clbench.board.table import Board
from clbench.board.written import rounded
from clbench.contract import Metric
from clbench.record import Record
from clbench.statistics import ranking


def document(
    name: str,
    summary: str,
    boards: Sequence[Board],
    missing: Sequence[Sequence[Missing]],
    left: Sequence[Left],
    out: Path,
) -> Document:
    """The document of scenario `name`.

    Args:
        name: What the command line calls the scenario.
        summary: What it is, in a line.
        boards: Its boards.
        missing: What each of them lacks.
        left: Records that are on none.
        out: Folder of the boards.
    """
    ids = [identifier(name, board) for board in boards]
    root = out.resolve()
    tables = reported.read(out / reported.NAME)
    return Document(
        scenario=name,
        summary=summary,
        boards=[
            _sheet(board, ids[i], missing[i], _apart(boards, ids, i), tables, root)
            for i, board in enumerate(boards)
        ],
        unread=[Unread(path=x.path.as_posix(), reason=x.reason) for x in left],
    )


def identifier(name: str, board: Board) -> str:
    """The permanent name of a board: of scenario, data, backbone, and all it fixes."""
    card = board.first.scenario.card
    text = json.dumps([name, board.fixed], sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return "-".join([slug(name), slug(card.data), slug(card.backbone), digest])


def slug(text: str) -> str:
    """`text` as part of an address: lower case, all else than a-z 0-9 . _ as `-`."""
    return re.sub(r"[^a-z0-9._]+", "-", text.lower()).strip("-")


def _sheet(
    board: Board,
    identity: str,
    missing: Sequence[Missing],
    apart: list[Apart],
    tables: Sequence[reported.Table],
    out: Path,
) -> Sheet:
    card = board.first.scenario.card
    lines = [line for line in board.lines if line.repeats]
    metrics = _metrics(board, lines)
    places = _places(board, lines)
    names = _names(identity, lines)
    return Sheet(
        id=identity,
        title=board.title,
        data=card.data,
        backbone=card.backbone,
        fingerprint=card.fingerprint,
        version=board.first.scenario.version,
        settings=board.settings,
        budget=board.first.terms,
        budget_text=_budget(board.first.budget),
        main=board.main.name,
        replicates=list(board.scenario.replicates),
        columns=_columns(board, metrics),
        rows=[
            row(board, line, names[line.way], places.get(line.way), metrics, out)
            for line in lines
        ],
        missing=list(missing),
        failed=[_failed(record) for record in board.failed],
        reported=[
            Reported(**figure)
            for figure in reported.select(
                tables, board.first.scenario.name, board.first.scenario.params
            )
        ],
        apart=apart,
        note=notes.text(board, lines),
    )


def _metrics(board: Board, lines: Sequence[Line]) -> list[Metric]:
    """The main metric, and all else that some line has a value of."""
    known = [*board.scenario.metrics, *board.scenario.compared]
    return [
        board.main,
        *(
            metric
            for metric in known
            if metric.name != board.main.name
            and any(board.score(line, metric) is not None for line in lines)
        ),
    ]


def _columns(board: Board, metrics: Sequence[Metric]) -> list[Column]:
    columns = [_column(metric) for metric in metrics]
    folds = [_column(board.main, fold) for fold in board.folds]
    return [columns[0], *folds, *columns[1:]]


def _column(metric: Metric, fold: str | None = None) -> Column:
    return Column(
        key=metric.name if fold is None else f"{metric.name}/{fold}",
        label=metric.title if fold is None else fold,
        unit="%" if metric.percent else "",
        higher_is_better=metric.higher_is_better,
        definition=metric.definition
        if fold is None
        else f"{metric.title} of {fold} alone, of every seed that has it.",
        fold=fold,
    )


def _places(board: Board, lines: Sequence[Line]) -> dict[str, ranking.Place]:
    """Where each ranked line stands, by its `way`."""
    ranked = [x for x in lines if not x.bound and board.score(x, board.main)]
    if not ranked:
        return {}
    # Only what was done with equal seeds and orders makes a pair.
    found = [
        dict(
            zip(line.units, line.per_unit(board.values(line, board.main)), strict=True)
        )
        for line in ranked
    ]
    units = sorted({unit for values in found for unit in values})
    table = np.array([[values.get(u, nan) for u in units] for values in found])
    # Equal but for rounding is equal, on every machine.
    table = np.vectorize(lambda v: nan if isnan(v) else rounded(v))(table)
    places = ranking.places(table, board.main.higher_is_better is not False)
    return {line.way: place for line, place in zip(ranked, places, strict=True)}


def _names(identity: str, lines: Sequence[Line]) -> dict[str, str]:
    """Permanent names of rows, by `way`: labels, told apart where they are alike."""
    slugs = Counter(slug(line.label) for line in lines)
    found = {}
    for line in lines:
        text = slug(line.label)
        if slugs[text] > 1:
            text += f"-{hashlib.sha256(line.way.encode()).hexdigest()[:4]}"
        found[line.way] = f"{identity}--{text}"
    return found


def _failed(record: Record) -> Failed:
    name = record.scenario.fold
    return Failed(
        strategy=record.strategy.name,
        seed=record.seed,
        reason=record.reason or "",
        status=record.status,
        fold=str(record.scenario.params[name]) if name else None,
    )


def _budget(budget: Mapping[str, Any]) -> str:
    every = budget["evaluate_every"]
    when = f"every {every} steps" if every else "at the ends of experiences"
    size = f"{budget['steps']:,} steps of {budget['batch_size']} examples"
    return f"{size}, evaluated {when}"


def _apart(boards: Sequence[Board], ids: Sequence[str], number: int) -> list[Apart]:
    """What keeps a board from the one it is most like: the keys that differ."""
    own = _flat(boards[number].fixed)
    differing = []
    for other, board in enumerate(boards):
        if other == number:
            continue
        theirs = _flat(board.fixed)
        keys = [k for k in {**own, **theirs} if own.get(k) != theirs.get(k)]
        differing.append((len(keys), other, keys, theirs))
    if not differing:
        return []
    _, other, keys, theirs = min(differing)
    return [
        Apart(board=ids[other], key=key, here=own.get(key), there=theirs.get(key))
        for key in keys
    ]


def _flat(fixed: Mapping[str, Any]) -> dict[str, Any]:
    """What a board fixes, by names that people know."""
    prefixes = {"params": "scenario", "budget": "budget"}
    found: dict[str, Any] = {}
    for name, value in fixed.items():
        if name in prefixes:
            found |= {f"{prefixes[name]}.{key}": entry for key, entry in value.items()}
        else:
            found[name] = value
    return found
