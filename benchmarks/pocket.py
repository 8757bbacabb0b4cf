"""Whether the embedded world shows what it is for: its required properties, measured.

Runs the cells that are needed and have no record yet, then prints every property with
its 95 % interval over seeds (Student's t). Exit code 1 if one does not hold.

    python benchmarks/pocket.py --seeds 0,1,2 --runs runs
    python benchmarks/pocket.py clip
"""

from __future__ import annotations

import argparse
import math
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from clbench.board import boards, gather
from clbench.board.line import Line
from clbench.contract import InputError
from clbench.pocket.views import clip, dg
from clbench.record import Record
from clbench.statistics.intervals import half_width

Lines = Mapping[str, Line]
"""Of a view's board, by their labels."""


@dataclass(frozen=True)
class Property:
    """What must hold of the mean over seeds.

    Attributes:
        title: In words.
        values: One for each seed, from the lines of the board.
        least: What the mean must reach.
        most: What it may not exceed.
    """

    title: str
    values: Callable[[Lines], list[float]]
    least: float = -math.inf
    most: float = math.inf

    @property
    def bound(self) -> str:
        """The bound, as the table has it."""
        if math.isfinite(self.least):
            return f"≥ {self.least:.1f}"
        return f"≤ {self.most:.1f}"


@dataclass(frozen=True)
class View:
    """A scenario on the embedded world.

    Attributes:
        scenario: Its name.
        commands: What is run, each with all seeds.
        properties: What must hold.
    """

    scenario: str
    commands: Sequence[str]
    properties: Sequence[Property]


def per_seed(line: Line, metric: str) -> list[float]:
    """`metric` in percent for each seed, averaged over folds."""
    return [100 * value for value in line.values(metric)]


def less(one: Sequence[float], other: Sequence[float]) -> list[float]:
    """Differences seed by seed."""
    return [a - b for a, b in zip(one, other, strict=True)]


# --- dg ---

CHANCE = 1 / len(dg.KINDS)

DG = View(
    "dg",
    ["strategy=linear,finetune"],
    (
        Property(
            f"frozen backbone and linear head on the unseen style, % "
            f"(chance: {100 * CHANCE:.1f})",
            lambda lines: per_seed(lines["linear"], "target_accuracy"),
            least=200 * CHANCE,
        ),
        Property(
            "full fine-tuning on the sources, %",
            lambda lines: per_seed(lines["finetune"], "source_accuracy"),
            least=90,
        ),
        Property(
            "full fine-tuning, points lower on the unseen style",
            lambda lines: less(
                per_seed(lines["finetune"], "source_accuracy"),
                per_seed(lines["finetune"], "target_accuracy"),
            ),
            least=10,
        ),
    ),
)

# --- clip ---

MARGIN = 15
"""Points over chance that count as well above it."""


def records(line: Line) -> list[Record]:
    """Of each seed, in their order."""
    return [line.records[repeat, ""] for repeat in line.repeats]


def tasks_above_chance(lines: Lines) -> list[float]:
    """Number of tasks whose zero-shot accuracy is well above chance."""
    counts = []
    for entry in records(lines["finetune"]):
        first = entry.rows[0].scores
        above = [
            100 * (first[name]["accuracy"] - 1 / len(task.classes)) >= MARGIN
            for name, task in clip.TASKS.items()
        ]
        counts.append(float(sum(above)))
    return counts


def joint_loss(lines: Lines) -> list[float]:
    """Points by which joint training ends below what the sequence just learned."""
    return less(
        per_seed(lines["finetune"], "learning_accuracy"),
        per_seed(lines["finetune arrival=joint"], "last"),
    )


CLIP = View(
    "clip",
    ["strategy=finetune", "strategy=finetune scenario.arrival=joint"],
    (
        Property(
            f"tasks whose zero-shot accuracy is {MARGIN} points or more over chance "
            f"(of {len(clip.TASKS)})",
            tasks_above_chance,
            least=4,
        ),
        Property(
            "zero-shot, mean over tasks, %",
            lambda lines: per_seed(lines["finetune"], "zero_shot"),
            most=80,
        ),
        Property(
            "sequential full fine-tuning, points lost on earlier tasks",
            lambda lines: [
                -v for v in per_seed(lines["finetune"], "backward_transfer")
            ],
            least=10,
        ),
        Property(
            "joint full fine-tuning, points below what the sequence just learned",
            joint_loss,
            most=5,
        ),
    ),
)

# --- mtl ---

LEARNED = 0.1
"""Part of the way from its score before training to a perfect one that counts."""

PERFECT = {"semseg": 1.0, "human_parts": 1.0, "sal": 1.0, "normals": 0.0}
"""Best value of each task's first number."""


def first_numbers(line: Line, row: int) -> dict[str, list[float]]:
    """Task -> its first number in row `row`, seed by seed."""
    headline = line.scenario.headline
    return {
        task: [e.rows[row].scores[task][headline(task).name] for e in records(line)]
        for task in PERFECT
    }


def tasks_learned(lines: Lines) -> list[float]:
    """Number of tasks that a model of their own learns, for each seed."""
    single = lines["finetune arrival=single"]
    before, after = first_numbers(single, 0), first_numbers(single, -1)
    parts = [
        [
            (after[task][seed] - before[task][seed]) / (best - before[task][seed])
            for task, best in PERFECT.items()
        ]
        for seed in range(len(records(single)))
    ]
    return [float(sum(part >= LEARNED for part in each)) for each in parts]


def tasks_changed(lines: Lines) -> list[float]:
    """Number of tasks to which others make a difference whose interval excludes 0."""
    joint = first_numbers(lines["finetune"], -1)
    single = first_numbers(lines["finetune arrival=single"], -1)
    changed = 0
    for task, values in joint.items():
        mean, half = interval(less(values, single[task]))
        changed += abs(mean) > half
    return [float(changed)]


MTL = View(
    "mtl",
    ["strategy=finetune", "strategy=finetune scenario.arrival=single"],
    (
        Property(
            f"tasks that a model of its own brings {100 * LEARNED:.0f} % of the way "
            f"from nothing to perfect (of {len(PERFECT)})",
            tasks_learned,
            least=4,
        ),
        Property(
            f"tasks to which learning with others makes a difference beyond noise (of "
            f"{len(PERFECT)})",
            tasks_changed,
            least=1,
        ),
    ),
)

# --- dpo ---

CONFLICT = ("brief", "detailed")
"""Domains that prefer the opposite; the first and the last of the stream."""


def accuracies(line: Line, domain: str, row: int) -> list[float]:
    """Preference accuracy of one domain in row `row`, in percent, seed by seed."""
    return [100 * entry.rows[row].scores[domain]["accuracy"] for entry in records(line)]


def lowest_learned(lines: Lines) -> list[float]:
    """Least accuracy of a domain when it has just been learned, for each seed."""
    line = lines["finetune"]
    return [
        min(values)
        for values in zip(
            *(
                accuracies(line, domain, entry)
                for domain, entry in line.first.learned.items()
            ),
            strict=True,
        )
    ]


def conflict_lost(lines: Lines) -> list[float]:
    """Points that the first domain loses from when it was learned to the end."""
    line = lines["finetune"]
    return less(accuracies(line, CONFLICT[0], 1), accuracies(line, CONFLICT[0], -1))


def conflict_joint(lines: Lines) -> list[float]:
    """Lower accuracy of both domains in conflict where all are learned at once."""
    line = lines["finetune arrival=joint"]
    both = (accuracies(line, domain, -1) for domain in CONFLICT)
    return [min(pair) for pair in zip(*both, strict=True)]


DPO = View(
    "dpo",
    ["strategy=finetune", "strategy=finetune scenario.arrival=joint"],
    (
        Property(
            "sequential DPO in the domain just learned, the lowest of all, %",
            lowest_learned,
            least=90,
        ),
        Property(
            "sequential DPO, points that `brief` loses by the end of `detailed`",
            conflict_lost,
            least=10,
        ),
        Property(
            "joint DPO in `brief` and `detailed`, the lower of both, %",
            conflict_joint,
            least=90,
        ),
    ),
)

# --- nlu ---

BLIND = {"order": 0.0, "manner": 0.5, "paraphrase": 11 / 15, "entailment": 0.5}
"""Score of the best constant answer: of paraphrases 2 in 3, so that F1 is 4 / 5."""


def lowest_gain(line: Line, rows: Mapping[str, int]) -> list[float]:
    """Least of the tasks' points over `BLIND`, each in its row of `rows`, by seed."""
    return [
        100 * min(e.rows[rows[t]].scores[t]["score"] - BLIND[t] for t in BLIND)
        for e in records(line)
    ]


NLU = View(
    "nlu",
    [
        "strategy=finetune,lora",
        "strategy=finetune,lora scenario.arrival=joint",
    ],
    (
        Property(
            "joint full fine-tuning, points of the hardest task over a constant answer",
            lambda lines: lowest_gain(
                lines["finetune arrival=joint"], dict.fromkeys(BLIND, -1)
            ),
            least=10,
        ),
        Property(
            "joint LoRA, points of the hardest task over a constant answer",
            lambda lines: lowest_gain(
                lines["lora arrival=joint"], dict.fromkeys(BLIND, -1)
            ),
            least=10,
        ),
        Property(
            "joint full fine-tuning, mean score, %",
            lambda lines: per_seed(lines["finetune arrival=joint"], "last"),
            most=97,
        ),
        Property(
            "sequential full fine-tuning, points lost on earlier tasks",
            lambda lines: [
                -v for v in per_seed(lines["finetune"], "backward_transfer")
            ],
            least=5,
        ),
    ),
)

VIEWS = {view.scenario: view for view in (DG, CLIP, MTL, DPO, NLU)}


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Mean and half the width of its 95 % interval."""
    half = half_width(values)
    return fmean(values), math.inf if half is None else half


def measure(view: View, seeds: str, runs: Path) -> bool:
    """Run what is missing, print the table; whether every property holds."""
    for command in view.commands:
        words = [*command.split(), f"scenario={view.scenario}"]
        words += [f"seed={seeds}", f"out={runs}", "--quiet"]
        subprocess.run([sys.executable, "-m", "clbench", "run", *words], check=True)
    found, _ = gather([runs / view.scenario])
    plain = [b for b in boards(view.scenario, found)[0] if not b.settings]
    if not plain:
        raise InputError(f"{runs} holds no record of {view.scenario} as it is")
    lines = {line.label: line for line in plain[0].lines}
    print(
        f"| {view.scenario}: property | bound | mean ± 95 % (seeds {seeds}) | holds |"
    )
    print("| --- | --: | --: | --- |")
    held = True
    for entry in view.properties:
        mean, half = interval(entry.values(lines))
        holds = entry.least <= mean <= entry.most
        held &= holds
        word = "yes" if holds else "NO"
        spread = f" ± {half:.1f}" if math.isfinite(half) else ""
        print(f"| {entry.title} | {entry.bound} | {mean:.1f}{spread} | {word} |")
    print()
    return held


def main() -> int:
    """Read the command line and measure; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("views", nargs="*", choices=[*VIEWS, []], default=[])
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    options = parser.parse_args()
    chosen = [VIEWS[name] for name in options.views or VIEWS]
    held = [measure(view, options.seeds, options.runs) for view in chosen]
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
