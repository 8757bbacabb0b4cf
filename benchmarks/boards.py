"""What boards of many records cost: to compute, to write, and to open in a browser.

Makes records out of committed ones, in a temporary folder: further strategies, ranks
and seeds, jittered scores, valid hashes. Runs `clbench board` on them and prints
seconds, the peak of its memory and the size of the page; and, in Chromium, how soon the
page is there and how long a click on a header of its largest table takes. Exit code 1
if a bound is missed. Memory is read from /proc, which Linux has.

    python benchmarks/boards.py --records 10000
    python benchmarks/boards.py --records 1000 --keep build/boards
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from clbench.record import digest

PUBLISHED = Path(__file__).resolve().parents[1] / "leaderboards"
SEEDS = 5
MOST = {"seconds": 30.0, "gigabytes": 1.0, "open": 1.0, "sort": 1.0}
"""What may be needed for 10,000 records."""


def patterns() -> list[list[dict[str, Any]]]:
    """For each scenario, the committed records of one strategy and seed: every fold."""
    found = []
    for folder in sorted(PUBLISHED.glob("*/records")):
        documents = [json.loads(path.read_text()) for path in folder.glob("*.json")]
        cells: dict[str, list[dict[str, Any]]] = {}
        for document in sorted(documents, key=lambda d: str(d["key"])):
            if document["status"] == "ok" and document["seed"] == 0:
                params = document["scenario"]["params"]
                free = document["scenario"]["fold"]
                rest = {k: v for k, v in params.items() if k != free}
                way = json.dumps([document["strategy"], rest, document["recipe"]])
                cells.setdefault(way, []).append(document)
        complete = [c for c in cells.values() if len(c) == len(_folds(c[0]))]
        with_rank = [c for c in complete if "rank" in _params(c[0])]
        found.append(min(with_rank, key=lambda c: str(c[0]["key"])))
    return found


def _folds(document: dict[str, Any]) -> list[str]:
    return document["scenario"]["folds"] or [""]


def _params(document: dict[str, Any]) -> dict[str, Any]:
    params: dict[str, Any] = document["strategy"]["members"][0]["params"]
    return params


def variants(pattern: list[dict[str, Any]], drawn: random.Random) -> Iterator[str]:
    """Records like those of `pattern`, as JSON: ever further ranks, `SEEDS` each."""
    for rank in itertools.count(1):
        level = drawn.gauss(0, 0.1)
        for seed, document in itertools.product(range(SEEDS), pattern):
            made = json.loads(json.dumps(document))
            _params(made)["rank"] = rank
            made["origins"]["strategy.rank"] = "user"
            made["seed"] = seed
            made["key"] = f"{drawn.getrandbits(48):012x}"
            made["command"] += f" strategy.rank={rank}"
            made["cost"]["trainable"]["adapter"] *= rank
            made["cost"]["seconds"]["total"] *= drawn.uniform(0.5, 2)
            for row in made["rows"][1:]:
                for scores in row["scores"].values():
                    for name, value in scores.items():
                        if value is not None:
                            moved = value + level + drawn.gauss(0, 0.02)
                            scores[name] = min(max(moved, 0.0), 1.0)
            made["sha256"] = digest(made)
            yield json.dumps(made, indent=1, ensure_ascii=False) + "\n"


def fill(folder: Path, count: int) -> None:
    """Write `count` records: half of them of one scenario, the rest of the others."""
    drawn = random.Random(0)
    first, *others = patterns()
    shares = [count - len(others) * (count // (2 * len(others)))]
    shares += [count // (2 * len(others))] * len(others)
    for pattern, share in zip([first, *others], shares, strict=True):
        place = folder / pattern[0]["scenario"]["name"]
        place.mkdir(parents=True)
        for number, text in enumerate(
            itertools.islice(variants(pattern, drawn), share)
        ):
            (place / f"made--{number:05}.json").write_text(text)


# --- measured ------------------------------------------------------------------------

SORT = """
() => {
  const tables = [...document.querySelectorAll("table.board")];
  const table = tables.reduce((a, b) => {
    const rows = (t) => t.closest("article").querySelector(".count").textContent;
    return parseInt(rows(a).split(" ").at(-2)) < parseInt(rows(b).split(" ").at(-2))
      ? b : a;
  });
  location.hash = table.closest("article").id;
  return table.closest("article").id;
}
"""
"""Shows the board that has the most rows, and gives its name."""

CLICK = """
async ([board, column]) => {
  const head = document.getElementById(board).querySelectorAll("thead th")[column];
  const start = performance.now();
  head.querySelector("button").click();
  await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  return (performance.now() - start) / 1000;
}
"""
"""Seconds from a click on a header until the rows are painted in their new order."""

SEEN = """
() => new Promise((done) => requestAnimationFrame(() => setTimeout(() => done({
  ready: performance.getEntriesByType("navigation")[0].domContentLoadedEventEnd / 1000,
  seen: performance.getEntriesByName("first-contentful-paint")[0].startTime / 1000,
}))))
"""


def compute(runs: Path, out: Path) -> tuple[float, float, float]:
    """Seconds, those of the processors, and peak GiB of `clbench board`.

    Memory is what all of its processes hold at one time.
    """
    words = ["board", "--quiet", f"runs={runs}", f"out={out}"]
    start, peak = time.perf_counter(), 0
    process = subprocess.Popen(
        [sys.executable, "-m", "clbench", *words], stdout=subprocess.DEVNULL
    )
    while process.poll() is None:
        peak = max(peak, sum(map(held, [process.pid, *below(process.pid)])))
        time.sleep(0.05)
    seconds = time.perf_counter() - start
    if process.returncode:
        sys.exit(f"clbench {' '.join(words)}: exit code {process.returncode}")
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, used.ru_utime + used.ru_stime, peak / 2**30


def below(number: int) -> Iterator[int]:
    """Numbers of the processes that one has started, and these, and so on."""
    try:
        for task in Path(f"/proc/{number}/task").iterdir():
            for child in map(int, (task / "children").read_text().split()):
                yield child
                yield from below(child)
    except OSError:
        return  # it has ended


def held(number: int) -> int:
    """Bytes of memory that a process holds; 0 once it has ended.

    What several processes share is divided among them.
    """
    try:
        text = Path(f"/proc/{number}/smaps_rollup").read_text()
    except OSError:
        return 0
    parts = [line.split() for line in text.splitlines() if line.startswith("Pss:")]
    return sum(1024 * int(kibibytes) for _, kibibytes, _ in parts)


def browse(page: Path, rounds: int) -> tuple[float, float]:
    """Seconds until the page is there, and of a sort: the median of `rounds` each."""
    from playwright.sync_api import sync_playwright

    opened, sorted_ = [], []
    with sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"],
        )
        for _ in range(rounds):
            tab = browser.new_page()
            begun = time.perf_counter()
            tab.goto(page.as_uri(), wait_until="domcontentloaded")
            tab.locator("table:visible").first.wait_for()
            opened.append(time.perf_counter() - begun)
            seen = tab.evaluate(SEEN)
            print(
                f"  DOMContentLoaded {seen['ready']:.2f} s, painted {seen['seen']:.2f}"
            )
            board = tab.evaluate(SORT)
            tab.locator(f"#{board} tbody tr").first.wait_for()
            sorted_ += [tab.evaluate(CLICK, [board, column]) for column in (1, 2, 2)]
            tab.close()
        browser.close()
    return statistics.median(opened), max(sorted_)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--keep", type=Path, help="folder of the boards; else none")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        runs, out = Path(folder) / "runs", options.keep or Path(folder) / "boards"
        fill(runs, options.records)
        seconds, busy, peak = compute(runs, out)
        page = (out / "index.html").resolve()
        print(f"{options.records:,} records -> every board and the page")
        print(f"  {seconds:.1f} s ({busy:.1f} s of the processor)")
        print(f"  at most {1024 * peak:,.0f} MiB")
        print(f"  index.html: {page.stat().st_size / 2**20:.1f} MiB")
        opened, click = browse(page, options.rounds)
    print(f"  opened in {opened:.2f} s, sorted in {click:.2f} s at most")
    measured = {"seconds": seconds, "gigabytes": peak, "open": opened, "sort": click}
    missed = [name for name, value in measured.items() if value > MOST[name]]
    if missed:
        print(f"missed: {', '.join(missed)}")
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
