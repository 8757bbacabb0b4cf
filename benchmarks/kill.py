"""Cells killed at random moments, again and again, end as if nobody had touched them.

Each cell runs once undisturbed. Then it is started through the command line and killed
(SIGKILL) at a random moment between its first evaluation and its end, started again,
killed again, and at last left alone. Record and outcomes must be those of the first
run: `record.comparable` equal, which is all but times, memory and machine, and the file
of outcomes equal byte for byte. Cells are toys, stretched to a few dozen steps, so that
kills hit everywhere: in steps, in evaluations, while a checkpoint is written. All of
them compute with one thread.

Every kill is a line in `kills.jsonl` of the folder. Started again with the same folder
it goes on after the last cell that is done; `--table` prints what there is.

Processes are forked from one that has imported what all of them import; `--anew` starts
an interpreter for each instead, which takes ten times as long.

    python benchmarks/kill.py --kills 60 --each 3 --into kills
    python benchmarks/kill.py --into kills --table
    python benchmarks/kill.py --kills 6 --cells increlora,mtlora --into some
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from killed import SERVER, Cell, Forked, equal

from clbench import record
from clbench.environment import environment
from clbench.growth import Growth

CELLS = (
    "strategy=pego scenario.of=dg",
    "strategy=codyra scenario.of=clip",
    "strategy=mtlora scenario.of=mtl",
    "strategy=ofs_dpo strategy.interval=3 strategy.lr_follows=role scenario.of=dpo",
    "strategy=increlora strategy.until=0.9 scenario.of=nlu",
    "strategy=replay scenario.of=clip",
    "strategy=cofs_dpo strategy.weights=chosen scenario.of=dpo",
    "strategy=increlora strategy.until=0.9 strategy.dropout=0.2 scenario.of=dg",
    "strategy=uncertainty scenario.of=mtl",
    "strategy=lwf scenario.of=nlu",
    "strategy=ewc+olora scenario.of=clip",
    "strategy=zscl scenario.of=clip",
    "strategy=lora scenario.of=dpo scenario.settings._reference=previous",
    "strategy=adalora scenario.of=mtl",
    "strategy=agem scenario.of=dg recipe.optimizer=sgd",
    "strategy=increlora+lwf strategy.increlora.until=0.9 scenario.of=clip",
    "strategy=pcgrad+mtlora scenario.of=mtl",
    "strategy=wiseft scenario.of=nlu",
    "strategy=bitfit+l2 scenario.of=dpo",
    "strategy=codyra scenario.of=mtl recipe.schedule=cosine recipe.warmup=3",
)
"""Over all families; what grows, exchanges roles, remembers or teaches among them."""

HEAVY = ("peft", "transformers", "timm", "torchvision.transforms.v2", "matplotlib")
"""What scenarios and strategies import besides."""

COMMON = (
    "scenario=toy scenario.stretch=5 scenario.pause=0.01 checkpoint.every=0.0005 "
    "threads=1"
)

LATEST = 0.9
"""A kill comes before this part of what is left to do, as it usually takes."""


def growing(log: Mapping[str, Sequence[tuple[int, float]]], step: int) -> bool:
    """Whether ranks have grown before `step` and grow after it, in the whole run."""
    moves = Growth.of(log)
    if moves is None:
        return False
    up = moves.steps[1:][moves.total[1:] > moves.total[:-1]]
    return bool(len(up)) and bool(up[0] <= step < up[-1])


def try_cell(
    kind: type[Cell], words: str, kills: int, chance: random.Random, folder: Path
) -> Iterator[dict[str, Any]]:
    """Kill one cell `kills` times: what came of each kill, then of the cell."""
    given = [*words.split(), *COMMON.split()]
    whole = kind(given, folder / "whole")
    parts = kind(given, folder / "parts")
    for cell in (whole, parts):
        cell.folder.mkdir(parents=True)
    whole.run()
    known = record.read(whole.record)
    assert known.cost is not None
    learns = known.cost.seconds["total"] - known.cost.seconds["prepare"]
    done = 0
    while done < kills:
        left = 1 - parts.step / known.cost.steps
        if not parts.kill(chance.uniform(0, LATEST * learns * left)):
            # Too late: what was killed before counts no more, as it has ended.
            shutil.rmtree(parts.folder / "runs")
            done = 0
            continue
        done += 1
        yield {
            "kill": done,
            "step": parts.step,
            "steps": known.cost.steps,
            "writing": bool(list(parts.folder.glob("runs/*/.*checkpoint*"))),
            "growing": growing(known.log, parts.step),
        }
    parts.run()
    same = equal(whole.record, parts.record)
    left_over = list(parts.folder.glob("runs/*/*checkpoint*"))
    left_over += list(parts.folder.glob("runs/*/.*"))
    yield {"end": "DIFFERENT" if not same else "LEFT OVER" if left_over else "equal"}


class Results:
    """Lines in a file, one for each kill and one for each cell that came to its end.

    Args:
        folder: Of the file `kills.jsonl`.
        facts: That must be the same where it goes on; None takes any.
    """

    def __init__(self, folder: Path, facts: Mapping[str, Any] | None) -> None:
        self._path = folder / "kills.jsonl"
        if not self._path.exists() and facts is not None:
            folder.mkdir(parents=True, exist_ok=True)
            self.add(facts)
        with self._path.open() as file:
            self.facts, *lines = map(json.loads, file)
        if facts is not None and self.facts != facts:
            names = [k for k in facts if facts[k] != self.facts.get(k)]
            raise SystemExit(
                f"{self._path} is of another {names[0]}: give another --into"
            )
        self.cells: dict[str, list[dict[str, Any]]] = {}
        for line in lines:
            self._take(line)

    def add(self, line: Mapping[str, Any]) -> None:
        """Write a line, and have it on the disk."""
        with self._path.open("a") as file:
            file.write(json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def note(self, line: dict[str, Any]) -> None:
        """What came of a kill, or of a cell."""
        self.add(line)
        self._take(line)

    def done(self, name: str) -> bool:
        """Whether a cell came to its end."""
        return any("end" in line for line in self.cells.get(name, ()))

    def _take(self, line: dict[str, Any]) -> None:
        if line.get("kill") == 1:
            # Begun again: those before came to nothing.
            self.cells[line["cell"]] = []
        self.cells.setdefault(line["cell"], []).append(line)

    def table(self) -> Iterator[str]:
        """In markdown, with a line that counts."""
        yield "| cell | kills | killed after step | of | record and outcomes |"
        yield "| --- | :-: | :-- | --: | --- |"
        counts: Counter[str] = Counter()
        for name, lines in self.cells.items():
            kills = [line for line in lines if "kill" in line]
            end = next((line["end"] for line in lines if "end" in line), "not done")
            places = [
                f"{k['step']}{'g' * k['growing']}{'w' * k['writing']}" for k in kills
            ]
            steps = kills[0]["steps"] if kills else ""
            cell = name.partition(" (round")[0]
            yield f"| `{cell}` | {len(kills)} | {', '.join(places)} | {steps} | {end} |"
            counts["kills"] += len(kills)
            counts["equal"] += len(kills) * (end == "equal")
            for what in ("growing", "writing"):
                counts[what] += sum(kill[what] for kill in kills)
        yield ""
        yield (
            f"{counts['equal']} of {counts['kills']} kills ended in an equal record; "
            f"{counts['growing']} while ranks grew (g), {counts['writing']} while a "
            f"checkpoint was written (w)"
        )

    @property
    def good(self) -> bool:
        """Whether every cell that there is ended in an equal record."""
        return all(
            any(line.get("end") == "equal" for line in lines)
            for lines in self.cells.values()
        )


def main() -> None:
    """Run it and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--each", type=int, default=3, help="kills of one cell")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cells", default="", help="those with one of these A,B in it")
    parser.add_argument("--into", type=Path, default=Path("kills"), help="folder")
    parser.add_argument("--table", action="store_true", help="run nothing")
    parser.add_argument("--anew", action="store_true", help="new interpreters")
    given = parser.parse_args()
    if given.table:
        results = Results(given.into, None)
        print("\n".join(results.table()))
        sys.exit(not results.good)
    os.environ["OMP_NUM_THREADS"] = "1"
    kind = Cell if given.anew else Forked
    SERVER.set_forkserver_preload(["clbench.cell", "clbench.cli.running", *HEAVY])
    facts = {**environment(1).model_dump(), "seed": given.seed, "each": given.each}
    results = Results(given.into, facts)
    words = given.cells.split(",")
    cells = [cell for cell in CELLS if any(word in cell for word in words)]
    for trial, first in enumerate(range(0, given.kills, given.each)):
        cell = cells[trial % len(cells)]
        name = f"{cell} (round {trial // len(cells) + 1})"
        if results.done(name):
            continue
        folder = given.into.resolve() / "cell"
        shutil.rmtree(folder, ignore_errors=True)
        chance = random.Random(f"{given.seed} {name}")
        count = min(given.each, given.kills - first)
        for line in try_cell(kind, cell, count, chance, folder):
            results.note({"cell": name, **line})
            print(results.cells[name][-1], flush=True)
        shutil.rmtree(folder)
    print("\n".join(["", *results.table()]))
    sys.exit(not results.good)


if __name__ == "__main__":
    main()
