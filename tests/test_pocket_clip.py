"""The embedded world in words: captions, the stream of tasks, the pocket CLIP."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from clbench.contract import InputError
from clbench.pocket import captions, weights
from clbench.pocket.captions import UNSAID, Facts
from clbench.pocket.models import clip as model
from clbench.pocket.render import render
from clbench.pocket.scene import EMPTY, MOST, PLACES, alike, generator, placed
from clbench.pocket.style import NAMED
from clbench.pocket.train import clip as script
from clbench.pocket.train.corpus import same
from clbench.pocket.views import clip as view

LIMIT = 8 * 2**20


def facts(**values) -> Facts:
    """Facts of one scene; what is not given is not so."""
    given = dict.fromkeys(("kind", "colour", "texture", "number", "place"), UNSAID)
    given = {**given, "several": 0, **values}
    return Facts(**{name: np.array([value]) for name, value in given.items()})


# --- captions ---


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"kind": 3}, "a photo of a car."),
        ({"kind": 11, "colour": 1}, "a photo of an orange umbrella."),
        ({"kind": 11}, "a photo of an umbrella."),
        ({"colour": 0, "texture": 1}, "a photo of a red striped thing."),
        ({"kind": 0, "number": 1, "several": 1}, "a photo of two people."),
        ({"kind": 4, "number": 2, "several": 1}, "a photo of three fish."),
        ({"several": 1, "colour": 3}, "a photo of green things."),
        ({"number": 0, "place": 0}, "a photo of one thing on the left."),
    ],
)
def test_captions_are_sentences(values, text):
    (row,) = facts(**values).table.tolist()
    assert captions._sentence("photo", *row) == text


def test_a_caption_is_true_of_its_own_scene_and_of_those_it_fits():
    _, known = script.chunk(3)
    rng = np.random.default_rng(0)
    texts, told = captions.say(known, rng)
    fit = captions.true_of(told, known)
    assert fit.diagonal().all()
    red = told.colour == 0
    wrong = known.colour != 0
    assert not fit[np.ix_(red, wrong)].any()
    assert not fit[np.ix_(told.several == 1, known.several == 0)].any()
    assert len(set(texts)) > 500


def test_captions_need_no_word_that_is_unknown():
    _, known = script.chunk(4)
    texts, _ = captions.say(known, np.random.default_rng(1))
    words = {word for text in texts for word in text.strip(".").split()}
    assert words <= set(model.vocabulary())
    # None of them is spelled: as many tokens as words, the point, start and end.
    tokenizer = model.tokenizer()
    for text in texts[:50]:
        assert len(tokenizer(text)["input_ids"]) == len(text.split()) + 3


# --- scenes ---


def test_things_that_are_counted_are_as_many_as_said():
    counts = np.arange(40) % MOST + 1
    scenes = alike(np.arange(40) % 12, counts, generator("count"))
    assert ((scenes.kind != EMPTY).sum(axis=1) == counts).all()
    shown = scenes.kind != EMPTY
    for name in ("colour", "texture", "kind"):
        values = np.where(shown, getattr(scenes, name), -1).max(axis=1)
        assert (
            np.where(shown, getattr(scenes, name), values[:, None]) == values[:, None]
        ).all()
    styles = [NAMED["cartoon"]] * 40
    drawn = render(scenes, styles, size=32, rng=generator("count", "draw"))
    for number, count in enumerate(counts):
        assert len(set(np.unique(drawn.thing[number])) - {0}) == count


def test_things_are_where_it_is_said():
    places = np.arange(20) % len(PLACES)
    scenes = placed(np.arange(20) % 12, places, generator("place"))
    centres = np.array(list(PLACES.values()))[places]
    gap = np.stack([scenes.x[:, 0], scenes.y[:, 0]], axis=1) - centres
    assert np.abs(gap).max() <= 0.13 + 1e-6


# --- the view ---


@pytest.mark.parametrize("name", list(view.TASKS))
def test_tasks_are_balanced_and_their_parts_differ(name):
    task = view.TASKS[name]
    seen = {}
    for part, each in (("train", task.train), ("test", task.test)):
        images, labels = view.images(name, part)
        assert images.shape[1:] == (32, 32, 3)
        assert images.dtype == np.uint8
        assert np.bincount(labels).tolist() == [each] * len(task.classes)
        seen[part] = {picture.tobytes() for picture in images}
    assert not seen["train"] & seen["test"]


def test_another_process_draws_the_same_tasks():
    code = (
        "import hashlib; from clbench.pocket.views import clip;"
        "print(hashlib.sha256(clip.images('places', 'test')[0].tobytes()).hexdigest())"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True
    )
    here = hashlib.sha256(view.images("places", "test")[0].tobytes()).hexdigest()
    assert done.stdout.strip() == here


# --- the model ---


def test_a_slice_of_the_corpus_is_the_recorded_one():
    recorded = weights.card("clip")
    images, _ = script.chunk(0)
    assert same(images, recorded["corpus"])
    assert recorded["script_version"] == script.VERSION


def test_the_weights_are_the_recorded_ones_and_small():
    folder = model.folder()
    content = (folder / "model.safetensors").read_bytes()
    assert hashlib.sha256(content).hexdigest() == weights.card("clip")["sha256"]
    assert len(content) <= LIMIT
    kept = json.loads((folder / "tokenizer.json").read_text())
    assert list(kept["model"]["vocab"]) == model.vocabulary()
    everything = sum(p.stat().st_size for p in weights.FOLDER.rglob("*") if p.is_file())
    assert everything <= 25 * 2**20


def test_other_weights_are_refused(tmp_path, monkeypatch):
    (tmp_path / "clip").mkdir()
    (tmp_path / "clip" / "model.safetensors").write_bytes(b"other")
    card = (weights.FOLDER / "clip.json").read_bytes()
    (tmp_path / "clip.json").write_bytes(card)
    monkeypatch.setattr(weights, "FOLDER", tmp_path)
    with pytest.raises(InputError, match=r"'clip' have hash d9298a10d1b0, recorded is"):
        weights.verified(
            "clip", tmp_path / "clip" / "model.safetensors", folder=tmp_path
        )


def test_the_contrastive_loss_knows_several_matches():
    logits = torch.tensor([[2.0, 1.0, 0.0], [0.0, 1.0, 3.0], [1.0, 0.0, 2.0]])
    alone = script.contrast(logits, torch.eye(3, dtype=torch.bool))
    labels = torch.arange(3)
    cross_entropy = torch.nn.functional.cross_entropy
    expected = (cross_entropy(logits, labels) + cross_entropy(logits.T, labels)) / 2
    assert torch.allclose(alone, expected)
    fit = torch.tensor([[1, 0, 1], [0, 1, 0], [0, 0, 1]], dtype=torch.bool)
    by_text = (
        -(logits.log_softmax(1) * torch.tensor([[0.5, 0, 0.5], [0, 1, 0], [0, 0, 1]]))
        .sum(1)
        .mean()
    )
    by_image = (
        -(logits.T.log_softmax(1) * torch.tensor([[1, 0, 0], [0, 1, 0], [0.5, 0, 0.5]]))
        .sum(1)
        .mean()
    )
    assert torch.allclose(script.contrast(logits, fit), (by_text + by_image) / 2)


def test_the_training_script_learns_and_records(forked, tmp_path):
    words = ["clip", "--chunks", "1", "--held", "1", "--steps", "4", "--warmup", "2"]
    words += ["--batch", "16", "--threads", "1", "--out", str(tmp_path)]
    done = forked(*words, module="clbench.pocket.train")
    assert done.returncode == 0, done.stderr
    card = weights.card("clip", tmp_path)
    content = (tmp_path / "clip" / "model.safetensors").read_bytes()
    assert hashlib.sha256(content).hexdigest() == card["sha256"]
    assert card["settings"]["steps"] == 4
    from clbench.models.clip import load_clip

    loaded = load_clip(str(tmp_path / "clip"))
    assert (loaded.mean, loaded.std) == (model.MEAN, model.STD)
    assert loaded.image_size == model.IMAGE_SIZE
