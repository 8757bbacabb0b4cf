"""Boards that were edited, and records that are not what was written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from clbench.board import write_boards
from clbench.board.check import check
from clbench.record import write

STYLES = ("photo", "cartoon", "sketch", "painting")


@pytest.fixture
def out(tmp_path, make_record):
    """A folder of boards with the records of one strategy."""
    folder = tmp_path / "leaderboards"
    for target in STYLES:
        made = make_record(target=target)
        write(made, folder / "dg" / "records" / f"lora--{made.key}.json")
    write_boards(tmp_path / "none", folder)
    return folder


def first(out):
    return min((out / "dg" / "records").iterdir())


def of_boards(lines, out) -> bool:
    """Whether these say that the board of dg is not what its records give."""
    named = {line.partition(": line ")[0] for line in lines}
    said = all("is not what its records give" in line for line in lines)
    return said and str(out / "dg.md") in named


def test_boards_of_their_records_are_right_and_nothing_is_written(out):
    before = {p: p.stat().st_mtime_ns for p in out.rglob("*")}
    assert check(out) == []
    assert {p: p.stat().st_mtime_ns for p in out.rglob("*")} == before


def test_an_edited_board_is_named_with_its_line(out):
    path = out / "dg.md"
    lines = path.read_text().splitlines(keepends=True)
    number = next(n for n, line in enumerate(lines) if "`lora`" in line)
    was = lines[number]
    lines[number] = was.replace("50.0", "90.0")
    path.write_text("".join(lines))
    (line,) = check(out)
    assert line.startswith(f"{path}: line {number + 1} is not what its records give")
    assert "90.0" in line
    assert was[:20] in line.partition("they give")[2]


def test_a_board_without_its_end_is_named(out):
    path = out / "dg.md"
    path.write_text(path.read_text().rpartition("\n## ")[0])
    (line,) = check(out)
    assert "it is missing, they give" in line


def test_a_board_that_is_missing_or_has_no_records_is_named(out):
    (out / "dg.md").unlink()
    (out / "clip.md").write_text("# clip\n")
    missing, stale = sorted(check(out), reverse=True)
    assert missing == f"{out / 'dg.md'}: is missing; `clbench board` writes it"
    assert stale == f"{out / 'clip.md'}: no record of clip is there; remove it"
    assert check(out, scenarios=["dg"]) == [missing]


def change_digit(path):
    path.write_text(path.read_text().replace("0.5", "0.6", 1))
    return "its content is not what was written (hash differs)"


def truncate(path):
    path.write_bytes(path.read_bytes()[:700])
    return "not a record"


def from_later(path):
    document = {**json.loads(path.read_text()), "schema_version": 99}
    path.write_text(json.dumps(document))
    return "schema 99 is not known here"


@pytest.mark.parametrize("damage", [change_digit, truncate, from_later])
def test_a_damaged_record_is_named_and_its_board_no_longer_right(out, damage):
    path = first(out)
    reason = damage(path)
    record, *boards = check(out)
    assert record.startswith(f"{path}: {reason}")
    assert of_boards(boards, out)
    write_boards(out / "none", out)
    text = (out / "dg.md").read_text()
    assert reason in text
    assert "| seeds | trials |" not in text
    # The board is right again, its record is not.
    assert [line.partition(":")[0] for line in check(out)] == [str(path)]


def test_two_records_of_one_cell_with_other_numbers_are_named(out, make_record):
    other = out / "dg" / "records" / "again.json"
    write(make_record(target="photo", accuracy=0.7), other)
    one, two, *boards = check(out)
    assert "is of the same cell and has other numbers: neither counts" in one
    assert "is of the same cell and has other numbers: neither counts" in two
    assert of_boards(boards, out)


def test_where_no_record_is_left_every_one_is_named(out):
    paths = sorted((out / "dg" / "records").iterdir())
    for path in paths:
        truncate(path)
    named = [line.partition(":")[0] for line in check(out)]
    boards = [str(out / f"dg.{kind}") for kind in ("csv", "json", "md")]
    assert sorted(named) == sorted([*map(str, paths), *boards])


def test_records_of_this_place_count_only_where_they_are_asked_for(
    out, tmp_path, make_record
):
    runs = tmp_path / "runs"
    for target in STYLES:
        made = make_record("pego", target=target)
        write(made, runs / "dg" / f"pego--{made.key}.json")
    assert check(out) == []
    assert of_boards(check(out, runs), out)


def test_the_command_line_says_so_and_fails(out, forked):
    def clbench(*words: str):
        return forked("board", *words, cwd=out.parent, CLBENCH_PATH="")

    assert clbench("--quiet").returncode == 0
    good = clbench("--check")
    assert good.returncode == 0, good.stderr
    assert good.stdout == "every board is what its records give\n"
    change_digit(first(out))
    bad = clbench("--check", "dg", "out=leaderboards")
    assert (bad.returncode, bad.stderr) == (1, "")
    assert of_boards(bad.stdout.splitlines()[1:], Path("leaderboards"))
    none = clbench("--check", "out=elsewhere")
    assert none.returncode == 2
    assert none.stderr == "error: out=elsewhere: there is no such folder of boards\n"


def test_a_page_is_compared_with_one_of_the_same_library(out):
    def writer(runs, folder, scenarios):
        (folder / "index.html").write_text(PAGE.format(version="2.0", score="50.0"))
        return [*write_boards(runs, folder, scenarios), folder / "index.html"]

    page = out / "index.html"
    page.write_text(PAGE.format(version="2.0", score="50.0"))
    assert check(out, writer=writer) == []
    page.write_text(PAGE.format(version="2.0", score="90.0"))
    (line,) = check(out, writer=writer)
    assert line.startswith(f"{page}: line 2 is not what its records give")
    page.write_text(PAGE.format(version="1.0", score="50.0"))
    assert check(out, writer=writer) == []


PAGE = """<meta name="generator" content="vl-convert {version}">
<td>{score}</td>
"""
