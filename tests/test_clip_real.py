"""The CLIP stream on real images, and on a CLIP of the real size."""

from __future__ import annotations

import json
import sys

import pytest
import torch

from clbench import registry
from clbench.check.checks import learn
from clbench.metrics.cost import PeakMemory

STREAM = ("caltech101", "dtd", "stanford_cars", "mnist")
TRAINED = 4_425_984
"""Parameters of CoDyRA at rank 16 on a CLIP ViT-B/16, as published (4.4 M)."""


def test_a_stream_of_real_folders_trains_scores_and_records(forked, shared, tmp_path):
    words = ["strategy=codyra", "scenario=clip", "scenario.dataset=folder"]
    words += [f"scenario.root={shared / 'data'}"]
    words += [f"scenario.datasets=[{','.join(STREAM)}]", "scenario.steps_per_task=4"]
    cache = str(tmp_path / "cache")
    done = forked("run", *words, "--quiet", cwd=tmp_path, CLBENCH_CACHE=cache)
    assert done.returncode == 0, done.stderr
    (path,) = (tmp_path / "runs" / "clip").glob("codyra--*.json")
    record = json.loads(path.read_text())
    assert record["status"] == "ok"
    assert len(record["rows"]) == 5
    for row in record["rows"]:
        assert list(row["scores"]) == list(STREAM)
    details = record["scenario"]["card"]["details"]
    assert details["classes"] == dict(zip(STREAM, (13, 10, 10, 10), strict=True))
    assert details["learned from"]["mnist"] + details["judged on"]["mnist"] == 10_000


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A folder with a CLIP of the real size and random weights."""
    from transformers import CLIPConfig, CLIPModel

    from clbench.pocket.models import clip as pocket

    folder = tmp_path_factory.mktemp("clip")
    tokenizer = pocket.tokenizer()
    special = {
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
    }
    # transformers' defaults are a ViT-B/32: patches of 16 make it a ViT-B/16.
    config = CLIPConfig(text_config=special, vision_config={"patch_size": 16})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        CLIPModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_a_clip_of_the_real_size_trains_within_8_gb(large, tmp_path, monkeypatch):
    monkeypatch.setenv("CLBENCH_CACHE", str(tmp_path / "cache"))
    memory = PeakMemory(torch.device("cpu"))
    scenario = registry.load("scenario", "clip")(
        backbone=str(large), batch_size=4, steps_per_task=4, cache=False
    )
    codyra = registry.load("strategy", "codyra")()
    model = scenario.model()
    maps = list(scenario.adaptable(model))
    assert len(maps) == 144
    (first, *_) = scenario.stream()
    model, _, trace = learn(codyra, scenario, stream=[first])
    assert len(codyra._layers) == 144
    trained = [p for p in model.parameters() if p.requires_grad]
    assert sum(p.numel() for p in trained) == TRAINED
    assert {id(p) for p in trained} == trace.trained
    assert len(trace.losses) == 4
    judge = sys.modules["clbench.scenarios.clip.judge"]
    part = scenario._tasks[0].test
    few = type(part)(type(part.album)(part.album.pictures[:8], ""), part.labels[:8])
    with torch.no_grad():
        assert judge.encode_images(model.eval(), few).shape == (8, 512)
    assert memory.bytes < 8 * 2**30
