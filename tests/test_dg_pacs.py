"""Real images of PACS, from files to a record, through the command line."""

from __future__ import annotations

import json
import shutil
from functools import partial

import numpy as np
import pytest

from clbench import outcomes, record
from clbench.scenarios.dg.datasets import PRESETS

EACH = 4


@pytest.fixture(scope="module")
def pacs(shared, tmp_path_factory):
    """A few real images of every domain and class."""
    source, folder = shared / "data" / "pacs", tmp_path_factory.mktemp("pacs")
    for domain in PRESETS["pacs"].domains:
        for kind in sorted(path for path in (source / domain).iterdir()):
            place = folder / domain / kind.name
            place.mkdir(parents=True)
            for path in sorted(kind.iterdir())[:EACH]:
                shutil.copy(path, place / path.name)
    return folder


@pytest.fixture
def clbench(forked, tmp_path):
    return partial(forked, cwd=tmp_path, CLBENCH_CACHE=str(tmp_path / "cache"))


def test_a_cell_on_real_images(clbench, pacs, tmp_path):
    words = ["strategy=pego", "scenario=dg", "scenario.dataset=pacs"]
    words += [f"scenario.root={pacs}", "scenario.target=sketch", "scenario.steps=3"]
    words += ["scenario.evaluate_every=2", "scenario.batch_per_domain=4"]
    done = clbench("run", *words, "--json")
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    found = record.read(tmp_path / facts["record"])
    card = found.scenario.card
    assert (found.status, card.data, card.backbone) == ("ok", "pacs", "pocket")
    assert card.details["classes"] == 7
    assert set(card.details["examples"].values()) == {7 * EACH}
    assert [entry.step for entry in found.rows] == [0, 2, 3]
    assert set(found.rows[-1].scores) == set(PRESETS["pacs"].domains)
    assert found.learned == {"art_painting": 1, "cartoon": 1, "photo": 1}

    rows = outcomes.read(record.outcomes_path(tmp_path / facts["record"]))
    assert len(rows) == 3
    judged = rows[-1]["sketch"]
    assert len(judged["label"]) == 7 * EACH
    reported = judged["reported"].astype(bool)
    correct = (judged["prediction"] == judged["label"])[reported]
    stored = found.rows[-1].scores["sketch"]["accuracy"]
    assert np.isclose(correct.mean(), stored)


def test_an_image_cut_short_is_named_and_nothing_is_run(clbench, pacs, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(pacs, broken)
    path = min((broken / "photo" / "dog").iterdir())
    path.write_bytes(path.read_bytes()[:500])
    words = ["strategy=lora", "scenario=dg", "scenario.dataset=pacs"]
    words += [f"scenario.root={broken}", "scenario.target=sketch"]
    done = clbench("run", *words)
    assert done.returncode == 2
    assert f"1 of {4 * 7 * EACH} images cannot be read: {path}" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "runs").exists()
