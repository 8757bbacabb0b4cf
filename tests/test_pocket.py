"""The embedded world: the same everywhere, exactly labelled, disjoint from training."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import astuple, replace

import numpy as np
import pytest
import torch

from clbench.contract import InputError
from clbench.pocket import weights
from clbench.pocket.models import vit
from clbench.pocket.render import render
from clbench.pocket.scene import COLOURS, generator, single
from clbench.pocket.style import HELD_OUT, NAMED, draw, near
from clbench.pocket.things import KINDS, PARTS
from clbench.pocket.train import corpus
from clbench.pocket.views import dg

LIMIT = 8 * 2**20


def pictures(count: int = 24, style: str = "photo", size: int = 32):
    rng = generator("test")
    scenes = single(np.arange(count) % len(KINDS), rng)
    styles = [near(NAMED[style], rng) for _ in range(count)]
    return scenes, render(scenes, styles, size=size, rng=rng)


DRAWN = """
import hashlib
from clbench.pocket.views import clip, dg, mtl
parts = [dg.images(style, per_kind=6)[0] for style in dg.STYLES]
parts += [clip.images("places", "test")[0]]
scenes = mtl.pictures("test", count=20)
parts += [scenes.image, scenes.part, scenes.normal, scenes.depth]
print(hashlib.sha256(b"".join(p.tobytes() for p in parts)).hexdigest())
"""


def drawn(**environment: str) -> str:
    """Hash of the pictures that another process draws."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", DRAWN],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **environment},
    )
    return done.stdout.strip()


def test_every_processor_draws_the_same_pictures():
    """Records of one board may come from several machines; here: without AVX and FMA.

    numpy then takes other sines, the C library others again, and BLAS other sums.
    """
    from numpy._core import _multiarray_umath as build

    extra = [n for n in build.__cpu_dispatch__ if build.__cpu_features__.get(n)]
    plain = drawn(
        NPY_DISABLE_CPU_FEATURES=" ".join(extra),
        GLIBC_TUNABLES="glibc.cpu.hwcaps=-AVX2,-FMA,-AVX512F",
        OPENBLAS_CORETYPE="Nehalem",
    )
    assert plain == drawn()


@pytest.mark.parametrize("style", dg.STYLES)
def test_the_domains_are_balanced_and_differ(style):
    images, labels = dg.images(style, per_kind=4)
    assert images.shape == (28, 32, 32, 3)
    assert images.dtype == np.uint8
    assert labels.tolist() == sorted(list(range(7)) * 4)
    assert not np.array_equal(images, dg.images(style, per_kind=4, seed=1)[0])
    others = set(dg.STYLES) - {style}
    assert all(not np.array_equal(images, dg.images(o, per_kind=4)[0]) for o in others)


def test_no_two_styles_share_a_usual_colour():
    table = np.stack([dg.usual(style) for style in dg.STYLES])
    assert all(len(set(column)) == len(dg.STYLES) for column in table.T)
    assert all(len(set(row)) == len(dg.KINDS) for row in table)
    assert table.max() < len(COLOURS)


def test_the_labels_of_a_picture_fit_each_other():
    scenes, drawn = pictures()
    for number in range(len(scenes)):
        thing = drawn.thing[number] > 0
        assert thing.any()
        shown = set(np.unique(drawn.kind[number])) - {0}
        assert shown == {scenes.kind[number, 0] + 1}
        assert np.array_equal(thing, drawn.kind[number] > 0)
        assert np.array_equal(thing, drawn.part[number] > 0)
        assert np.array_equal(thing, drawn.saliency[number] > 0)
        assert (drawn.depth[number][thing] < drawn.depth[number][~thing].min()).all()
    assert drawn.part.max() <= len(PARTS)
    assert np.allclose(np.linalg.norm(drawn.normal, axis=-1), 1, atol=1e-5)
    assert np.allclose(drawn.normal[drawn.thing == 0][:, 2].mean(), 1, atol=0.05)


def test_labels_do_not_depend_on_how_a_scene_is_drawn():
    """But for the hand's unsteadiness, which moves outlines."""
    scenes = single(np.arange(12), generator("labels"))
    styles = [replace(style, wobble=0.0) for style in NAMED.values()]
    drawn = [
        render(scenes, [style] * 12, size=32, rng=generator("labels", number))
        for number, style in enumerate(styles)
    ]
    for other in drawn[1:]:
        assert not np.array_equal(other.image, drawn[0].image)
        for name in ("kind", "part", "thing", "depth", "normal"):
            assert np.array_equal(getattr(other, name), getattr(drawn[0], name)), name


def test_no_style_of_the_corpus_is_near_a_named_one():
    rng = generator("held out")
    for _ in range(300):
        style = draw(rng)
        assert min(style.distance(named) for named in NAMED.values()) >= HELD_OUT


def test_pictures_of_a_named_style_stay_near_it():
    """They lie within the region that pre-training leaves out."""
    rng = generator("near")
    for named in NAMED.values():
        for _ in range(50):
            assert near(named, rng).distance(named) < HELD_OUT / 4


def test_the_distance_of_styles_is_a_root_mean_square():
    photo, sketch = NAMED["photo"], NAMED["sketch"]
    squares = [
        (a - b) ** 2 for a, b in zip(astuple(photo), astuple(sketch), strict=True)
    ]
    assert photo.distance(sketch) == pytest.approx(np.mean(squares) ** 0.5)
    assert photo.distance(photo) == 0


def test_a_slice_of_the_corpus_is_the_recorded_one():
    recorded = weights.card("vit")["corpus"]
    images, _ = corpus.chunk(0, size=vit.CONFIG["img_size"])
    assert corpus.same(images, recorded)
    assert not corpus.same(corpus.chunk(1, size=vit.CONFIG["img_size"])[0], recorded)
    assert recorded["distance_to_named_styles"] == HELD_OUT
    assert recorded["version"] == corpus.VERSION


def test_the_weights_are_the_recorded_ones_and_small():
    recorded = weights.card("vit")
    content = (weights.FOLDER / "vit.safetensors").read_bytes()
    assert hashlib.sha256(content).hexdigest() == recorded["sha256"]
    assert len(content) <= LIMIT
    assert {k: recorded["config"][k] for k in vit.CONFIG} == vit.CONFIG
    assert vit.build()(torch.zeros(2, 3, 32, 32)).shape == (2, 128)


def test_other_weights_are_refused(tmp_path):
    for name in ("vit.json", "vit.safetensors"):
        content = (weights.FOLDER / name).read_bytes()
        (tmp_path / name).write_bytes(content)
    damaged = bytearray(content)
    damaged[-1] ^= 1
    (tmp_path / "vit.safetensors").write_bytes(damaged)
    with pytest.raises(InputError, match=r"python -m clbench\.pocket\.train vit"):
        weights.load("vit", tmp_path)


def test_the_training_script_learns_and_records(forked, tmp_path):
    words = ["vit", "--chunks", "1", "--held", "1", "--steps", "3", "--warmup", "2"]
    words += ["--batch", "64", "--threads", "1"]
    hashes = []
    for name in ("one", "two"):
        folder = tmp_path / name
        done = forked(*words, "--out", str(folder), module="clbench.pocket.train")
        assert done.returncode == 0, done.stderr
        card = weights.card("vit", folder)
        weights.load("vit", folder)
        hashes.append(card["sha256"])
        assert card["settings"]["steps"] == 3
        assert card["corpus"]["pictures"] == 1000
    assert hashes[0] == hashes[1]
