"""The page: what it says, and how it behaves in a real browser."""

from __future__ import annotations

import json
import random
import re
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from clbench.page import charts, embedded, render, view, write_page

SHOTS = Path(__file__).resolve().parents[1] / "build" / "screenshots"
HOSTILE = "<script>document.title='owned'</script>&\"' </script><b>"

# --- documents -----------------------------------------------------------------------

FAMILIES = {
    "clip": ("Last", "%", ["kinds", "colours", "textures", "numbers", "places", "digits"]),
    "dg": ("Target accuracy", "%", ["photo", "cartoon", "sketch", "painting"]),
    "dpo": ("Preference accuracy", "%", ["brief", "polite", "factual", "safe", "detailed"]),
    "mtl": ("Δm", "%", ["semseg", "human_parts", "sal", "normals"]),
    "nlu": ("Average", "%", ["mood", "topic", "agree", "order"]),
}
NAMES = [
    "pego", "ewc", "lwf", "replay", "l2 pull=0.01", "agem", "wiseft", "codyra+ewc rank=8",
    "zscl", "zeroshot", "finetune", "olora", "lora",
]  # fmt: skip


def spread(values: list[float]) -> dict[str, Any]:
    mean = sum(values) / len(values)
    half = 2 * (max(values) - min(values)) or None
    low, high = (None, None) if half is None else (mean - half, mean + half)
    return {"mean": mean, "low": low, "high": high, "values": values}


def column(key: str, label: str, higher: bool | None = True, fold=None, unit="%"):
    return {
        "key": key,
        "label": label,
        "unit": unit,
        "higher_is_better": higher,
        "definition": f"What {label} is, in a sentence.",
        "fold": fold,
    }


def row(drawn: random.Random, board: str, label: str, rank, tasks, fold) -> dict:
    few, bound = label == "zscl", rank is None
    seeds = [0] if few else [0, 1, 2, 3, 4]
    level = 75 - (rank or 0) * 1.5
    last = [round(level + drawn.gauss(0, 1), 4) for _ in seeds]
    trained = 0 if label == "zeroshot" else int(10 ** drawn.uniform(4, 6.2))
    slug = re.sub(r"[^a-z0-9]+", "-", label.lower()).strip("-")
    records = []
    for seed in seeds:
        values = [
            [
                round(level - 15 + 15 * (e > t) - 1.2 * max(e - t, 0) + drawn.gauss(0, 2), 4)
                for t in range(len(tasks))
            ]
            for e in range(len(tasks) + 1)
        ]
        records.append(
            {
                "path": f"clip/records/{slug}--{seed}.json" if seed else None,
                "key": f"{drawn.getrandbits(48):012x}",
                "seed": seed,
                "fold": fold,
                "matrix": {
                    "metric": "accuracy",
                    "unit": "%",
                    "tasks": tasks,
                    "rows": [
                        {"experience": e, "step": 100 * e, "values": v}
                        for e, v in enumerate(values)
                    ],
                },
            }
        )
    return {
        "id": f"{board}--{slug}",
        "rank": rank,
        "group": None if bound else 1 + (rank - 1) // 3,
        "rank_interval": None if bound else [max(1, rank - 1), rank + 1],
        "label": label,
        "strategy": label.split()[0],
        "bound": bound,
        "repeats": len(seeds),
        "few": few,
        "scores": {
            "main": spread(last),
            "forgetting": spread([drawn.uniform(0, 20) for _ in seeds]),
            "bwt": spread([drawn.uniform(-20, 0) for _ in seeds]),
            "transfer": None if bound else spread([drawn.uniform(50, 60) for _ in seeds]),
            "first": spread([drawn.uniform(50, 60) for _ in seeds]),
        },
        "seeds": seeds,
        "factors": {},
        "cost": {
            "adapter": trained,
            "other": 0,
            "head": 0,
            "parameters": 1398624 + trained,
            "seconds": drawn.uniform(20, 60),
            "examples_per_second": drawn.uniform(300, 1000),
            "peak_bytes": int(drawn.uniform(1.1, 1.9) * 2**30),
            "flops": int(10 ** drawn.uniform(10, 12)),
        },
        "device": "cpu",
        "origin": "local" if label == "agem" else "built in",
        "members": [{"name": label, "origin": "built in", "version": "0.1.0"}],
        "versions": {"clbench": "0.1.0", "torch": "2.15.0"},
        "commits": ["b81c7b32"],
        "dirty": label == "l2 pull=0.01",
        "trials": None,
        "reproduce": f"clbench run strategy={label} scenario=clip seed=0,1,2,3,4",
        "records": records,
    }


def document(scenario: str, names: list[str] = NAMES, seed: int = 0) -> dict[str, Any]:
    drawn = random.Random(f"{scenario}{seed}")
    main, unit, tasks = FAMILIES[scenario]
    fold = tasks[0] if scenario == "dg" else None
    board = f"{scenario}-pocket-pocket-9676097a"
    rows = [row(drawn, board, "finetune arrival=joint", None, tasks, fold)]
    rows += [row(drawn, board, n, r, tasks, fold) for r, n in enumerate(names, 1)]
    return {
        "format": 1,
        "scenario": scenario,
        "summary": f"What {scenario} is about, in the first line of its docstring.",
        "boards": [
            {
                "id": board,
                "title": "pocket, backbone pocket",
                "data": "pocket",
                "backbone": "pocket",
                "fingerprint": "490c706193dc" + "0" * 52,
                "version": 1,
                "settings": {"arrival": "sequential"},
                "budget": {"steps": 600, "batch_size": 32},
                "budget_text": "600 steps of 32 examples",
                "main": "main",
                "replicates": ["order_seed"],
                "columns": [
                    column("main", main, unit=unit),
                    column("forgetting", "Forgetting", False),
                    column("bwt", "BWT"),
                    column("transfer", "Transfer"),
                    column("first", tasks[0], fold=tasks[0]),
                ],
                "rows": rows,
                "missing": [
                    {"strategy": "pego", "settings": "", "seeds": [3, 4], "folds": []}
                ],
                "failed": [{"strategy": "dora", "seed": 0, "reason": "the loss is NaN"}],
                "reported": [
                    {
                        "label": "CoDyRA",
                        "scores": {"main": 80.1},
                        "source": "Lu et al. 2025, table 1",
                        "protocol": "X-TAIL, 16 shots, CLIP ViT-B/16",
                        "certainty": "read in the paper",
                        "url": "https://arxiv.org/abs/2412.01004",
                    }
                ],
            }
        ],
        "unread": [{"path": "runs/clip/x.json", "reason": "its hash differs"}],
    }


@pytest.fixture(scope="module")
def documents() -> list[dict[str, Any]]:
    """Five families; what their records say is hostile in one place of each kind."""
    made = [document(name) for name in FAMILIES]
    made[0]["boards"].append(document("clip", NAMES[:4], seed=1)["boards"][0])
    second = made[0]["boards"][1]
    second["id"] = "clip-folders-vit-11112222"
    second["title"] = "folders, backbone openai/clip-vit-base-patch16"
    for each in second["rows"]:
        each["id"] = each["id"].replace("clip-pocket-pocket-9676097a", second["id"])
    return made
