"""Data of the CLIP stream: folders, idx files, torchvision, few shots, batches."""

from __future__ import annotations

import gzip
import importlib
import json
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from clbench import registry
from clbench.contract import InputError

Clip = registry.load("scenario", "clip")
sources = importlib.import_module("clbench.scenarios.clip.sources")
folders = importlib.import_module("clbench.scenarios.clip.folders")
protocol = importlib.import_module("clbench.scenarios.clip.protocol")
SPEC = protocol.TaskSpec(source="folder", templates=("a photo of a {}.",))


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CLBENCH_CACHE", str(tmp_path / "cache"))


def picture(path: Path, value: int, size=(40, 30)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((size[1], size[0], 3), value, dtype=np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def root(tmp_path):
    """Two tasks: one to be divided, one with a split of its own."""
    for label, name in enumerate(("long_tail", "short_tail")):
        for row in range(10):
            picture(tmp_path / "root" / "birds" / name / f"{row}.png", 20 * row + label)
        for part, count in (("train", 4), ("test", 3)):
            for row in range(count):
                place = tmp_path / "root" / "cars" / part / name / f"{row}.png"
                picture(place, 10 * row)
    return tmp_path / "root"


def stream(root, *names, **params):
    return Clip(
        dataset="folder", datasets=names, root=str(root), batch_size=4, **params
    )


def write_idx(path: Path, values: np.ndarray) -> None:
    head = struct.pack(">BBBB", 0, 0, 8, values.ndim)
    head += b"".join(struct.pack(">I", n) for n in values.shape)
    path.parent.mkdir(parents=True, exist_ok=True)
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "wb") as file:
        file.write(head + values.astype(np.uint8).tobytes())


def test_a_folder_of_classes_is_divided_in_each_class(root):
    images = sources.read("birds", SPEC, root, size=8, cache=True)
    assert images.classes == ("long_tail", "short_tail")
    assert np.bincount(images.train.labels).tolist() == [8, 8]
    assert np.bincount(images.test.labels).tolist() == [2, 2]
    seen = {int(p[0, 0, 0]) for p in images.train.album.pictures}
    judged = {int(p[0, 0, 0]) for p in images.test.album.pictures}
    assert not seen & judged
    again = sources.read("birds", SPEC, root, size=8, cache=False)
    assert again.test.fingerprint == images.test.fingerprint


def test_a_split_of_its_own_is_kept(root):
    images = sources.read("cars", SPEC, root, size=8, cache=True)
    assert (len(images.train.labels), len(images.test.labels)) == (8, 6)


def test_prompts_have_spaces_for_underscores(root):
    entry = stream(root, "birds")._tasks[0]
    assert entry.prompts(entry.templates) == [
        "a photo of a long tail.",
        "a photo of a short tail.",
    ]


def test_pictures_keep_their_middle(tmp_path):
    wide = np.zeros((20, 60, 3), dtype=np.uint8)
    wide[:, 20:40] = 200
    for name in ("a", "b"):
        place = tmp_path / "root" / "task" / name / "0.png"
        place.parent.mkdir(parents=True)
        Image.fromarray(wide).save(place)
        Image.fromarray(wide).save(place.with_name("1.png"))
    images = sources.read("task", SPEC, tmp_path / "root", size=20, cache=False)
    assert int(images.train.album.pictures[[0]][0, 10, 10, 0]) == 200


def test_idx_files_are_read_and_divided(tmp_path):
    rng = np.random.default_rng(0)
    pixels, labels = rng.integers(0, 255, (30, 28, 28)), np.arange(30) % 3
    folder = tmp_path / "root" / "mnist"
    write_idx(folder / "t10k-images-idx3-ubyte.gz", pixels)
    write_idx(folder / "t10k-labels-idx1-ubyte.gz", labels)
    images = sources.read("mnist", SPEC, tmp_path / "root", size=28, cache=True)
    assert images.classes == ("0", "1", "2")
    assert (len(images.train.labels), len(images.test.labels)) == (24, 6)
    found = {p[..., 0].tobytes() for p in images.train.album.pictures}
    assert found < {p.astype(np.uint8).tobytes() for p in pixels}
    write_idx(folder / "train-images-idx3-ubyte", pixels[:9])
    write_idx(folder / "train-labels-idx1-ubyte", labels[:9])
    both = sources.read("mnist", SPEC, tmp_path / "root", size=28, cache=True)
    assert (len(both.train.labels), len(both.test.labels)) == (9, 30)


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"\0\0\x08\x01\0\0\0\x05abc", "damaged"),
        (b"GIF89a..........", "no idx file of bytes"),
        (b"", "no idx file of bytes"),
    ],
)
def test_damaged_idx_files_are_named(tmp_path, content, error):
    path = tmp_path / "t10k-images-idx3-ubyte"
    path.write_bytes(content)
    with pytest.raises(InputError, match=error):
        folders.read_idx(path)


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("fish", "there is no folder 'fish' in .*; it has birds, cars"),
        (
            "birds/long_tail",
            "found 0 class folders, 'birds/long_tail' needs at least 2",
        ),
    ],
)
def test_folders_that_are_no_tasks_are_named(root, name, error):
    with pytest.raises(InputError, match=error):
        sources.read(name, SPEC, root, size=8, cache=True)


def test_a_damaged_picture_is_named(root):
    (root / "birds" / "long_tail" / "3.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"1 of 20 images cannot be read: .*3\.png"):
        stream(root, "birds").card()


def test_few_shots_are_drawn_by_the_seed_and_recorded(root):
    cards = [stream(root, "birds", "cars", shots=3, seed=s).card() for s in (0, 0, 1)]
    assert cards[0] == cards[1]
    assert cards[0].details["drawn"] != cards[2].details["drawn"]
    assert cards[0].details["learned from"] == {"birds": 6, "cars": 6}
    # The data are the same whichever images are drawn: seeds share a board.
    assert cards[0].fingerprint == cards[2].fingerprint


def test_the_order_of_folders_is_the_stream_s_and_not_the_data_s(root):
    one, other = stream(root, "birds", "cars"), stream(root, "cars", "birds")
    assert one.tasks == ("birds", "cars")
    assert other.tasks == ("cars", "birds")
    assert one.card().fingerprint == other.card().fingerprint


def test_validation_never_sees_the_test_images(root):
    tested = stream(root, "birds")._tasks[0]
    chosen = stream(root, "birds", judged_on="validation")._tasks[0]
    hashes = {p.tobytes() for p in tested.test.album.pictures}
    for part in (chosen.train, chosen.test):
        assert not hashes & {p.tobytes() for p in part.album.pictures}
    assert len(chosen.train.labels) + len(chosen.test.labels) == len(
        tested.train.labels
    )


def test_batches_hold_what_they_say():
    toy = Clip.toy()
    toy.arrival = "joint"
    (part,) = toy.stream()
    first = np.cumsum([0, 2, 2])
    for rows in part.train.batches(3, 4):
        batch = part.train.__getitems__(rows)
        assert batch["image"].shape == (6, 16, 16, 3)
        starts = torch.from_numpy(first)[batch["task"]]
        assert bool(((batch["label"] - starts) // 2 == 0).all())
        for image, label in zip(batch["image"], batch["label"], strict=True):
            name = ("red", "yellow", "green", "blue", "purple", "pink")[int(label)]
            tiny = importlib.import_module("clbench.scenarios.clip.tiny")
            colour = torch.tensor(tiny.COLOURS[name]).float()
            assert float((image.float().mean((0, 1)) - colour).abs().max()) < 15


def test_epochs_have_every_example_once():
    toy = Clip.toy()
    data = toy.stream()[0].train
    rows = [row for batch in data.batches(0, 4) for row in batch]
    assert sorted(rows[:12]) == sorted(rows[12:]) == list(range(12))
    assert rows[:12] != rows[12:]


def test_torchvision_s_layout_is_read(tmp_path):
    """EuroSAT's folder as torchvision has it: no split of its own, MTIL's 80 / 20."""
    for name in ("AnnualCrop", "Forest"):
        for row in range(5):
            picture(tmp_path / "eurosat" / "2750" / name / f"{row}.jpg", 20 * row)
    spec = protocol.TaskSpec(source="EuroSAT", templates=("{}",))
    images = sources.read("eurosat", spec, tmp_path, size=8, cache=True)
    assert images.classes == ("AnnualCrop", "Forest")
    order = torch.randperm(10, generator=torch.Generator().manual_seed(42))
    whole = torch.tensor([0] * 5 + [1] * 5)
    assert images.train.labels.tolist() == whole[order[:8]].tolist()
    assert images.test.labels.tolist() == whole[order[8:]].tolist()


def test_lists_of_images_are_read(tmp_path):
    """X-TAIL's datasets come with a list of their images and names of its own."""
    for row in range(6):
        picture(tmp_path / "dtd" / "images" / "banded" / f"{row}.jpg", 20 * row)
        picture(tmp_path / "dtd" / "images" / "dotted" / f"{row}.jpg", 20 * row)
    spec = protocol.read("xtail").tasks["dtd"]
    path = tmp_path / spec.split.file
    lists = {
        "train": [["dotted/0.jpg", 1, "dots"], ["banded/1.jpg", 0, "bands"]],
        "val": [["dotted/2.jpg", 1, "dots"]],
        "test": [["banded/3.jpg", 0, "bands"]],
    }
    path.write_text(json.dumps(lists))
    images = sources.read("dtd", spec, tmp_path, size=8, cache=True)
    assert images.classes == ("bands", "dots")
    assert images.train.labels.tolist() == [1, 0]
    values = images.train.album.pictures[[0, 1]][:, 0, 0, 0].astype(int)
    assert np.abs(values - [0, 20]).max() <= 2
    assert images.test.labels.tolist() == [0]


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (None, r"'dtd' needs dtd/split_zhou_DescribableTextures\.json"),
        ("[]", "is no list of images"),
        ('{"train": []}', "is no list of images"),
        ('{"train": [["a.jpg", 3, "a"]], "test": []}', "labels are not 0 to 0"),
        ('{"train": [["a.jpg", 0, "a"]], "test": []}', "1 of 1 images are missing"),
    ],
)
def test_damaged_lists_are_named(tmp_path, content, error):
    spec = protocol.read("xtail").tasks["dtd"]
    path = tmp_path / spec.split.file
    path.parent.mkdir()
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=error):
        sources.read("dtd", spec, tmp_path, size=8, cache=True)


def test_classes_that_are_not_the_protocol_s_are_refused(tmp_path):
    for name in ("AnnualCrop", "Forest"):
        picture(tmp_path / "eurosat" / "2750" / name / "0.jpg", 9)
    task = importlib.import_module("clbench.scenarios.clip.tasks").task
    spec = protocol.read("mtil").tasks["eurosat"]
    images = sources.read("eurosat", spec, tmp_path, size=8, cache=True)
    with pytest.raises(InputError, match="has 2 classes here, the protocol names 10"):
        task("eurosat", spec, images, None, 0)
