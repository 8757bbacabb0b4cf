"""`clbench compare`: two rows of a board, or strategies over several boards."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from clbench import registry
from clbench.board.figures import figure
from clbench.board.written import plain
from clbench.cli import boards
from clbench.contract import InputError, nearest

if TYPE_CHECKING:
    from clbench.compare import Comparison, Contrast
    from clbench.critical import Across
    from clbench.statistics.intervals import Interval

HELP = "clbench compare --help"
MEBI = 2**20

MANY = 10
"""Seeds, or boards, below which a method for many says little."""


class Asked(NamedTuple):
    """What a command line asks for."""

    rows: list[str]
    scenario: str | None
    folders: dict[str, Path]


def two(
    words: Sequence[str], board: Sequence[str], as_json: bool, console: Console
) -> None:
    """Compare two rows of one board, and print it.

    Raises:
        InputError: What is asked for is not there; says what is.
    """
    asked = _read(words)
    if len(asked.rows) != 2:
        raise InputError(
            f"compare takes two rows of a board, not {len(asked.rows)}: "
            f"clbench compare A B scenario=NAME ({HELP})"
        )
    if asked.scenario is None:
        known = ", ".join(registry.find("scenario"))
        raise InputError(f"scenario=NAME is missing; there are: {known} ({HELP})")
    if len(board) > 1:
        raise InputError(f"two rows are compared on one --board, not {len(board)}")
    from clbench.compare import compare  # with what it computes: slow to import

    a, b = asked.rows
    found = compare(
        a,
        b,
        asked.scenario,
        asked.folders["runs"],
        asked.folders["out"],
        board[0] if board else None,
    )
    if as_json:
        _print_json(found)
        return
    for part in pages(found):
        console.print(part, highlight=False, soft_wrap=isinstance(part, Text))


def several(
    words: Sequence[str],
    board: Sequence[str],
    posthoc: str,
    plot: Path | None,
    as_json: bool,
    console: Console,
) -> None:
    """Rank strategies over boards, print it, and draw it if `plot` says where.

    Raises:
        InputError: What is asked for is not there; says what is.
    """
    scenarios, folders = boards.read(words, "compare")
    from clbench.board import documents  # with what it computes: slow to import
    from clbench.critical import across, draw
    from clbench.statistics.several import POSTHOCS

    known = [name for name in POSTHOCS if name == posthoc]
    if not known:
        raise InputError(f"--test {posthoc}{nearest(posthoc, POSTHOCS)}")
    made = documents(folders["runs"], folders["out"], scenarios or None)
    found = across(made, board, known[0])
    if plot is not None:
        draw(found.found, plot)
    if as_json:
        _print_json(found)
    else:
        for part in ranks(found):
            console.print(part, highlight=False, soft_wrap=isinstance(part, Text))
        if plot is not None:
            console.print(f"picture: {plot}", highlight=False, soft_wrap=True)


def pages(found: Comparison) -> Iterator[RenderableType]:
    """A comparison in words and figures."""
    yield Text(f"{found.scenario}: {found.title}", style="bold")
    yield Text(_verdict(found))
    yield from map(Text, _evidence(found))
    yield _tasks(found)
    yield _costs(found)


def ranks(found: Across) -> Iterator[RenderableType]:
    """Mean ranks over boards, and who is told apart."""
    those = found.found
    table = Table(title="mean ranks", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("strategy")
    for name in ["mean", *(f"board {n}" for n in range(1, len(found.boards) + 1))]:
        table.add_column(name, justify="right")
    for k, name in enumerate(those.names):
        each = (f"{rank:g}" for rank in those.ranks[:, k])
        table.add_row(name, f"{those.means[k]:.2f}", *each)
    yield table
    for number, name in enumerate(found.boards, 1):
        yield Text(f"board {number}: {name}")
    yield Text(
        f"Friedman's test that all {len(those.names)} are alike on "
        f"{len(found.boards)} boards: p = {_p(those.friedman)}."
    )
    if those.critical is not None:
        yield Text(
            f"Nemenyi's test tells two apart whose mean ranks differ by "
            f"{those.critical:.2f} or more (5 %, all pairs together)."
        )
    else:
        yield Text("Every two by Wilcoxon's signed ranks, Holm's correction, 5 %.")
    for run in those.alike:
        yield Text(f"not told apart: {', '.join(run)}")
    if found.left:
        yield Text(f"not on every board, left out: {', '.join(found.left)}")
    if len(found.boards) < MANY:
        yield Text(
            f"{len(found.boards)} boards are few: such tests mean something from about "
            f"ten on (Demšar 2006)."
        )


def _read(words: Sequence[str]) -> Asked:
    """Rows, scenario and folders; the label of a row may hold `=` after a space."""
    rows, scenario, folders = [], None, dict(boards.FOLDERS)
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or " " in key:
            rows.append(word)
        elif key == "scenario":
            scenario = registry.get("scenario", value).name
        elif key in folders:
            folders[key] = Path(value)
        else:
            near = nearest(key, ["scenario", *folders])
            raise InputError(f"unknown key '{key}'{near} ({HELP})")
    return Asked(rows, scenario, folders)


def _verdict(found: Comparison) -> str:
    main = found.main
    figures = f"{_figure(main.a, main)} against {_figure(main.b, main)}"
    what = f"{main.metric} {figures}"
    if main.test is None:
        return (
            f"{found.a} and {found.b}: {what}. {_repeats(found)} in common: too few "
            f"for a test."
        )
    if main.test.p >= 0.05:
        return f"{found.a} and {found.b} are not told apart: {what}."
    up = main.higher_is_better is not False
    better = "better" if (main.difference > 0) == up else "worse"
    return f"{found.a} is {better} than {found.b}: {what}."


def _evidence(found: Comparison) -> Iterator[str]:
    main = found.main
    points = " points" if main.unit else ""
    sure = _interval(main, main.interval, ", 95 % interval {} to {} by Student's t")
    yield (
        f"difference  {_plus(main.difference, main)}{points}{sure.strip('-')}; over "
        f"{_repeats(found)}: seed={','.join(map(str, found.seeds))}"
    )
    if main.bootstrap is not None:
        note = ", too narrow with so few seeds" if len(found.seeds) < MANY else ""
        yield "bootstrap   " + _interval(main, main.bootstrap, "95 % {} to {}") + note
    test = main.test
    if test is None:
        return
    t = "paired t-test" + ("" if test.t is None else f" p = {_p(test.t)}")
    if test.t is None:
        t += " has no meaning: all differences are equal"
    flips = f"exact sign flips p = {_p(test.flips)}"
    why = (
        f"which cannot fall below {test.smallest:.3g} here: the t-test decides"
        if test.by == "t"
        else "which decides"
    )
    yield f"p           {t}; {flips}, {why}"


def _repeats(found: Comparison) -> str:
    """How many seeds, and how many repeats where these are more."""
    count = len(found.seeds)
    seeds = f"{count} seed{'s' * (count > 1)}"
    return seeds if found.repeats == count else f"{seeds} in {found.repeats} repeats"


def _tasks(found: Comparison) -> Table:
    """The same by task; each names its number where these are not all alike."""
    alike = len({(part.metric, part.unit) for part in found.tasks}) == 1
    first = found.tasks[0]
    unit = f", {first.unit}" if first.unit else ""
    title = f"{first.metric}{unit}, by task" if alike else "by task"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("task")
    for name in [found.a, found.b, "difference", "95 %", "p", "Holm"]:
        table.add_column(name, justify="right")
    for part in found.tasks:
        up = part.higher_is_better is not False
        sure = part.holm is not None and part.holm < 0.05
        better = (part.difference > 0) == up
        style = ("green" if better else "red") if sure else ""
        table.add_row(
            part.name if alike else f"{part.name}: {part.metric} {part.unit}",
            figure(part.a, part.unit),
            figure(part.b, part.unit),
            Text(_plus(part.difference, part), style=style),
            _interval(part, part.interval, "{} to {}"),
            "-" if part.test is None else _p(part.test.p),
            "-" if part.holm is None else _p(part.holm),
        )
    return table


def _costs(found: Comparison) -> Table:
    table = Table(title="cost of a cell", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("")
    for name in (found.a, found.b):
        table.add_column(name, justify="right")
    a, b = found.costs
    rows: list[tuple[str, Any, Any, str]] = [
        ("trained in adapters", a.adapter, b.adapter, ",.0f"),
        ("trained in the backbone", a.other, b.other, ",.0f"),
        ("trained in heads", a.head, b.head, ",.0f"),
        ("seconds", a.seconds, b.seconds, ",.1f"),
        ("examples/s", a.examples_per_second, b.examples_per_second, ",.0f"),
        ("peak MiB", _mebi(a.peak_bytes), _mebi(b.peak_bytes), ",.0f"),
    ]
    for name, *values, form in rows:
        table.add_row(name, *("-" if v is None else format(v, form) for v in values))
    return table


def _mebi(count: int | None) -> float | None:
    return None if count is None else count / MEBI


def _figure(value: float, part: Contrast) -> str:
    return figure(value, part.unit) + (" %" if part.unit else "")


def _plus(value: float, part: Contrast) -> str:
    """With its sign; nothing has none."""
    text = figure(value, part.unit)
    return text if value <= 0 or not float(text) else f"+{text}"


def _interval(part: Contrast, interval: Interval | None, form: str) -> str:
    if interval is None:
        return "-"
    return form.format(
        figure(interval.low, part.unit), figure(interval.high, part.unit)
    )


def _p(value: float) -> str:
    return "< 0.0001" if value < 1e-4 else f"{value:.2g}"


def _print_json(found: Any) -> None:
    sys.stdout.write(json.dumps(plain(found), indent=1, ensure_ascii=False) + "\n")
