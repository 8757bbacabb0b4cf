"""Data of dense tasks: both layouts of files, their errors, augmentation, packing."""

from __future__ import annotations

import importlib
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat

from clbench import registry
from clbench.contract import InputError

Mtl = registry.load("scenario", "mtl")
datasets = importlib.import_module("clbench.scenarios.mtl.datasets")
augment = importlib.import_module("clbench.scenarios.mtl.augment")
parts = importlib.import_module("clbench.scenarios.mtl.parts")
pascal = importlib.import_module("clbench.scenarios.mtl.pascal")
layout = importlib.import_module("clbench.scenarios.mtl.layout")

H, W = 20, 30
HEAD, TORSO, CUSHION = (2, 6), (6, 14), (12, 18)
"""Rows of what is in the made pictures."""


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CLBENCH_CACHE", str(tmp_path / "cache"))


def mask(rows, columns=(5, 15)):
    made = np.zeros((H, W), dtype=np.uint8)
    made[slice(*rows), slice(*columns)] = 1
    return made


def struct(**fields):
    """A MATLAB struct array of one entry, as `loadmat` gives it back."""
    made = np.empty((1, 1), dtype=[(name, object) for name in fields])
    for name, value in fields.items():
        made[name][0, 0] = value
    return made


def table(entries):
    made = np.empty((1, len(entries)), dtype=entries[0].dtype if entries else object)
    for place, entry in enumerate(entries):
        made[0, place] = entry[0, 0]
    return made


def annotation(path: Path, *, person: bool = True, crop: int = 0, key: str = "anno"):
    """A cushion (18, a sofa), and a person of a head and a torso unless said."""
    whole = mask(CUSHION, (10, 28))
    found = [struct(class_ind=18, mask=whole, parts=np.empty((0, 0)))]
    if person:
        pieces = [
            struct(part_name="hair", mask=mask(HEAD)),
            struct(part_name="torso", mask=mask(TORSO)),
            struct(part_name="lebrow", mask=mask((2, 3))),
        ]
        body = mask((HEAD[0], TORSO[1]))
        found.append(struct(class_ind=15, mask=body, parts=table(pieces)))
    if crop:
        found[0]["mask"][0, 0] = whole[:-crop]
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, {key: struct(objects=table(found))})


def picture(path: Path, *, size=(W, H), mode="RGB", value=90):
    path.parent.mkdir(parents=True, exist_ok=True)
    channels = (3,) if mode == "RGB" else ()
    pixels = np.full((size[1], size[0], *channels), value, dtype=np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def annotated(tmp_path):
    """Six pictures beside their annotations; the last one has nobody in it."""
    root = tmp_path / "voc"
    for number in range(6):
        picture(root / f"p{number}.jpg", value=30 * number)
        annotation(root / f"p{number}.mat", person=number != 5)
    return root


def voc(root, **params):
    tasks = params.pop("tasks", ("semseg", "human_parts", "sal", "edge"))
    return Mtl(
        dataset="voc_parts", root=str(root), tasks=tasks, image_size=32, steps=4,
        **params,
    )  # fmt: skip


# --- PASCAL-Part ---


def test_labels_are_derived_from_objects_and_their_parts(annotated):
    found = parts.things(annotated / "p0.mat")
    assert [thing.kind for thing in found] == [15, 18]  # The larger one first.
    seg = parts.semseg(found, (H, W))
    person, sofa = mask((2, 14)).astype(bool), mask(CUSHION, (10, 28)).astype(bool)
    assert (seg[sofa] == 18).all()
    assert (seg[person & ~sofa] == 15).all()
    assert not seg[~(person | sofa)].any()
    np.testing.assert_array_equal(parts.saliency(found, (H, W)), person | sofa)
    body = parts.human_parts(found, (H, W))
    assert (body[mask(HEAD).astype(bool)] == 1).all()
    assert (body[mask(TORSO).astype(bool)] == 2).all()
    edge = parts.edges(found, (H, W))
    assert edge[1, 7] == 1  # Above the head,
    assert edge[5, 7] == 1  # between head and torso,
    assert edge[13, 7] == 1  # below the torso;
    assert edge[9, 7] == 0  # within it there is none.


def test_a_picture_without_people_does_not_count_for_their_parts(annotated):
    found = parts.things(annotated / "p5.mat")
    assert (parts.human_parts(found, (H, W)) == 255).all()
    scenario = voc(annotated, tasks=("human_parts",))
    scores = scenario.evaluate(scenario.model().eval(), 0)["human_parts"]
    assert scores.outcomes["loss"].tolist()[-1] == 0.0
    assert scores.outcomes["loss"].tolist()[0] > 0
    nobody = {
        "image": torch.zeros(1, 32, 32, 3),
        "human_parts": torch.full((1, 32, 32), 255),
    }
    output = {"human_parts": torch.randn(1, 7, 32, 32, requires_grad=True)}
    loss = scenario.loss(output, nobody)
    loss.backward()
    assert loss.item() == 0.0
    assert not output["human_parts"].grad.any()


def test_every_third_picture_judges(annotated):
    card = voc(annotated).card()
    assert (card.details["learned from"], card.details["judged on"]) == (4, 2)
    source = datasets.voc_parts(annotated, "val", ("sal",))
    assert source.names == ("p2", "p5")


def test_the_cache_gives_the_same_bytes(annotated):
    fresh = voc(annotated, cache=False).card().fingerprint
    assert voc(annotated).card().fingerprint == fresh
    assert voc(annotated).card().fingerprint == fresh


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (
            lambda root: annotation(root / "p1.mat", crop=3),
            "p1.mat: a label of 30 x 17",
        ),
        (lambda root: annotation(root / "p1.mat", key="notes"), "no variable 'anno'"),
        (lambda root: savemat(root / "p1.mat", {"anno": struct(a=1)}), "it lacks"),
        (lambda root: (root / "p1.mat").write_bytes(b"?"), "p1.mat: not a MATLAB"),
        (lambda root: (root / "p1.mat").unlink(), "which needs p1.mat beside it"),
        (lambda root: (root / "p1.jpg").write_bytes(b"?"), "p1.jpg: not an image"),
    ],
)
def test_damaged_annotations_get_one_line(annotated, harm, words):
    harm(annotated)
    with pytest.raises(InputError) as error:
        voc(annotated).card()
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_an_empty_folder_says_what_it_should_hold(tmp_path):
    with pytest.raises(InputError, match=r"0 pictures \(\*.jpg\) there"):
        voc(tmp_path).card()


# --- PASCAL_MT ---


@pytest.fixture
def pascal_mt(tmp_path):
    """Four pictures to learn from and two that judge, in the predecessors' folders."""
    root = tmp_path / "PASCAL_MT"
    names = {"train": ["a0", "a1", "a2", "a3"], "val": ["b0", "b1"]}
    for split, members in names.items():
        listed = root / "ImageSets" / "Context" / f"{split}.txt"
        listed.parent.mkdir(parents=True, exist_ok=True)
        listed.write_text("\n".join(members) + "\n")
        for name in members:
            picture(root / "JPEGImages" / f"{name}.jpg")
            picture(root / "semseg" / "VOC12" / f"{name}.png", mode="L", value=7)
            picture(root / "sal_distill" / f"{name}.png", mode="L", value=255)
            picture(root / "normals_distill" / f"{name}.png", value=255)
            annotation(root / "human_parts" / f"{name}.mat")
            context = np.full((H, W), pascal.NORMAL_CLASSES[0], dtype=np.uint16)
            context[:, : W // 2] = 1
            place = root / "pascal-context" / "trainval" / f"{name}.mat"
            place.parent.mkdir(parents=True, exist_ok=True)
            savemat(place, {"LabelMap": context})
    return root


def mt(root, *tasks, **params):
    chosen = tasks or ("semseg", "human_parts", "sal", "normals", "edge")
    return Mtl(
        dataset="pascal", root=str(root), tasks=chosen, image_size=32, steps=4,
        **params,
    )  # fmt: skip


def test_pascal_is_read_from_its_folders(pascal_mt):
    tasks = ("semseg", "human_parts", "sal", "normals", "edge")
    found = pascal.Pascal(pascal_mt, "train", tasks).load(0, tasks)
    assert (found["semseg"] == 7).all()
    assert (found["sal"] == 1).all()
    assert set(np.unique(found["human_parts"])) == {0, 1, 2}
    # Normals of a class that their network did not know do not count.
    assert not found["normals"][:, : W // 2].any()
    unit = np.full(3, 3**-0.5)
    np.testing.assert_allclose(found["normals"][0, -1], unit, atol=1e-6)
    edge = np.flatnonzero(found["edge"][3])
    assert edge.tolist() == [W // 2 - 1]
    card = mt(pascal_mt).card()
    assert (card.details["learned from"], card.details["judged on"]) == (4, 2)


def test_segmentation_may_be_that_of_pascal_context(pascal_mt):
    (pascal_mt / "semseg" / "VOC12" / "a0.png").unlink()
    other = pascal_mt / "semseg" / "pascal-context" / "a0.png"
    picture(other, mode="L", value=3)
    found = pascal.Pascal(pascal_mt, "train", ("semseg",)).load(0, ("semseg",))
    assert (found["semseg"] == 3).all()


def test_distilled_labels_of_another_size_are_brought_to_the_picture_s(pascal_mt):
    picture(pascal_mt / "sal_distill" / "a0.png", size=(12, 8), mode="L", value=255)
    found = pascal.Pascal(pascal_mt, "train", ("sal",)).load(0, ("sal",))
    assert found["sal"].shape == (H, W)


def test_missing_files_are_named_and_counted(pascal_mt):
    for name in ("a0", "a1", "a2", "a3"):
        (pascal_mt / "sal_distill" / f"{name}.png").unlink()
    with pytest.raises(InputError, match=r"no sal_distill/a0.png, .* and 1 more"):
        mt(pascal_mt, "sal").card()
    mt(pascal_mt, "semseg").card()
    (pascal_mt / "ImageSets" / "Context" / "val.txt").unlink()
    with pytest.raises(InputError, match=r"no ImageSets/Context/val.txt"):
        mt(pascal_mt, "semseg").card()


def test_annotations_of_another_size_are_refused(pascal_mt):
    annotation(pascal_mt / "human_parts" / "a1.mat", crop=4)
    with pytest.raises(InputError, match=r"a1\.mat: a label of 30 x 16 pixels"):
        mt(pascal_mt, "human_parts").card()
    place = pascal_mt / "pascal-context" / "trainval" / "a1.mat"
    savemat(place, {"LabelMap": np.zeros((3, 4), dtype=np.uint16)})
    with pytest.raises(InputError, match=r"a1\.mat: a label of 4 x 3 pixels"):
        mt(pascal_mt, "edge").card()
    savemat(place, {"Map": np.zeros((H, W), dtype=np.uint16)})
    with pytest.raises(InputError, match=r"no variable 'LabelMap' in it \(it has: Map"):
        mt(pascal_mt, "normals").card()


# --- what is asked for ---


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"tasks": ("semseq",)}, "'semseq' is no task: the nearest is 'semseg'"),
        ({"tasks": ("sal", "sal")}, "name each task once"),
        ({"dataset": "pascal", "tasks": ("depth",)}, "pascal has no labels of 'depth'"),
        ({"root": "nowhere/at/all"}, "there is no such folder"),
        ({"image_size": 96}, "pictures of 64 pixels"),
        ({"arrival": "sequential", "steps": 3}, "need at least 4 steps"),
    ],
)
def test_bad_parameters_get_one_line(params, words):
    with pytest.raises(InputError) as error:
        Mtl(**params)
    assert words in str(error.value)


def test_real_data_need_their_folder():
    with pytest.raises(InputError, match=r"needs scenario\.root=DIR"):
        Mtl(dataset="voc_parts", steps=4).card()


# --- augmentation ---


def labelled(size: int = 8):
    """One picture whose left half is bright, faces left, and is of class 3."""
    image = torch.zeros(1, size, size, 3, dtype=torch.uint8)
    image[:, :, : size // 2] = 255
    semseg = torch.zeros(1, size, size, dtype=torch.int64)
    semseg[:, :, : size // 2] = 3
    normals = torch.zeros(1, 3, size, size)
    normals[:, 2] = 1
    normals[:, 0, :, : size // 2], normals[:, 2, :, : size // 2] = -0.6, 0.8
    normals[:, :, 0] = 255
    sal = (semseg == 3).float()[:, None]
    return {"image": image, "semseg": semseg, "normals": normals, "sal": sal}


def moved(batch, *, mirrored=False, scale=1.0, turn=0.0):
    return augment.transform(
        batch,
        mirrored=torch.tensor([mirrored]),
        scale=torch.tensor([scale]),
        turn=torch.tensor([turn]),
    )


def test_nothing_asked_nothing_changed():
    batch = labelled()
    same = moved(batch)
    torch.testing.assert_close(
        same["image"], batch["image"].permute(0, 3, 1, 2) / 255, atol=1e-5, rtol=0
    )
    for name in ("semseg", "sal"):
        assert torch.equal(same[name], batch[name])
    torch.testing.assert_close(same["normals"], batch["normals"])


def test_mirroring_moves_all_and_turns_normals_round():
    batch = labelled()
    made = moved(batch, mirrored=True)
    assert torch.equal(made["semseg"], batch["semseg"].flip(-1))
    assert torch.equal(made["sal"], batch["sal"].flip(-1))
    normals = made["normals"][0, :, 4]
    torch.testing.assert_close(normals[:, -1], torch.tensor([0.6, 0.0, 0.8]))
    torch.testing.assert_close(normals[:, 0], torch.tensor([0.0, 0.0, 1.0]))
    assert (made["normals"][0, :, 0] == 255).all()


def test_a_quarter_turn_takes_vectors_along():
    batch = labelled()
    made = moved(batch, turn=math.pi / 2)
    # Anticlockwise: what was on the left comes to lie below and faces down.
    assert (made["semseg"][0, 5:, 1:-1] == 3).all()
    assert (made["semseg"][0, :3, 1:-1] == 0).all()
    down = made["normals"][0, :, -2, 4]
    torch.testing.assert_close(down, torch.tensor([0.0, -0.6, 0.8]), atol=1e-5, rtol=0)
    back = moved({**made, "image": batch["image"]}, turn=-math.pi / 2)
    torch.testing.assert_close(
        back["normals"][0, :, 3:5], batch["normals"][0, :, 3:5], atol=1e-4, rtol=0
    )


def test_what_comes_from_outside_is_ignored():
    made = moved(labelled(), scale=0.5)
    assert (made["semseg"][0, 0] == 255).all()
    assert (made["sal"][0, :, 0] == 255).all()
    assert (made["normals"][0, :, 0] == 255).all()
    assert (made["image"][0, :, 0] == 0).all()
    assert set(made["semseg"].unique().tolist()) == {0, 3, 255}


def test_augmentation_is_decided_by_its_generator():
    batch = labelled()
    one, other = (
        augment.augment(batch, torch.Generator().manual_seed(3)) for _ in range(2)
    )
    assert all(torch.equal(one[name], other[name]) for name in batch)


# --- packing ---


def test_labels_come_back_from_their_bytes():
    rng = np.random.default_rng(0)
    normals = rng.normal(size=(2, 4, 4, 3)).astype(np.float32)
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    normals[0, 0, 0] = 0
    depth = rng.random((2, 4, 4)).astype(np.float32)
    depth[1, 2, 3] = np.nan
    known = {
        "image": rng.integers(0, 256, (2, 4, 4, 3)).astype(np.uint8),
        "semseg": rng.integers(0, 21, (2, 4, 4)).astype(np.uint8),
        "normals": normals,
        "depth": depth,
        "edge": rng.integers(0, 2, (2, 4, 4)).astype(np.uint8),
    }
    order = layout.Layout(("semseg", "normals", "depth", "edge"))
    back = order.unpack(order.pack(known))
    np.testing.assert_array_equal(back["image"], known["image"])
    np.testing.assert_array_equal(back["semseg"], known["semseg"])
    np.testing.assert_array_equal(back["edge"][:, 0], known["edge"])
    assert (back["normals"][0, :, 0, 0] == 255).all()
    np.testing.assert_allclose(
        back["normals"].permute(0, 2, 3, 1)[1], normals[1], atol=0.005
    )
    assert back["depth"][1, 0, 2, 3] == 255
    np.testing.assert_allclose(back["depth"][0, 0], depth[0], atol=1e-3)
