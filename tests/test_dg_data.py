"""Data of domain generalization: found, checked before training, decoded once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clbench.contract import InputError
from clbench.data.cache import cache_folder
from clbench.data.images import DamagedImages, Decoder
from clbench.scenarios.dg import datasets

COLOURS = {"cat": (200, 30, 30), "dog": (30, 30, 200)}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    """A cache of the test's own."""
    monkeypatch.setenv("CLBENCH_CACHE", str(tmp_path / "cache"))
    return cache_folder()


@pytest.fixture
def folder(tmp_path):
    """domain/class/images of two domains and two classes."""
    for shade, domain in enumerate(("day", "night")):
        for name, colour in COLOURS.items():
            place = tmp_path / "data" / domain / name
            place.mkdir(parents=True)
            for number in range(3):
                pixel = tuple(c // (1 + shade) + number for c in colour)
                Image.new("RGB", (20, 12), pixel).save(place / f"{number}.png")
    return tmp_path / "data"


def read(folder, *, size=8, cache=True):
    return datasets.read("folder", str(folder), size=size, cache=cache)


def test_domains_and_classes_are_sorted_and_labels_are_theirs(folder):
    domains = read(folder)
    assert list(domains) == ["day", "night"]
    assert datasets.class_names("folder", str(folder)) == ("cat", "dog")
    for domain in domains.values():
        assert domain.pictures.shape == (6, 8, 8, 3)
        assert domain.labels.tolist() == [0, 0, 0, 1, 1, 1]
    # Red is a cat's colour, blue a dog's.
    assert (domains["day"].pictures[0][..., 0] == 200).all()
    assert (domains["night"].pictures[5][..., 2] == 102).all()


@pytest.mark.parametrize("name", sorted(datasets.PRESETS))
def test_a_preset_says_where_its_data_can_be_had(name, tmp_path):
    preset = datasets.PRESETS[name]
    assert list(preset.domains) == sorted(preset.domains)
    for root in (None, str(tmp_path / "missing"), str(tmp_path)):
        with pytest.raises(InputError) as caught:
            datasets.domain_names(name, root)
        assert preset.title in str(caught.value)
        assert preset.home in str(caught.value)


def test_a_preset_checks_the_number_of_classes(tmp_path):
    for domain in datasets.PRESETS["pacs"].domains:
        for name in ("dog", "horse"):
            (tmp_path / domain / name).mkdir(parents=True)
    with pytest.raises(InputError, match="PACS has 7 classes, found 2"):
        datasets.class_names("pacs", str(tmp_path))


def test_a_preset_knows_other_names_and_ignores_what_lies_beside(tmp_path):
    preset = datasets.PRESETS["officehome"]
    for domain in ("Art", "Clipart", "Product", "RealWorld", "notes"):
        (tmp_path / domain).mkdir()
    assert datasets.domain_names("officehome", str(tmp_path)) == preset.domains


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(InputError, match="there is no such folder"):
        datasets.domain_names("folder", str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match=r"needs scenario\.root=DIR"):
        datasets.domain_names("folder", None)


def test_one_domain_is_not_enough(folder):
    for path in (folder / "night").rglob("*.png"):
        path.unlink()
    for name in COLOURS:
        (folder / "night" / name).rmdir()
    (folder / "night").rmdir()
    with pytest.raises(InputError, match=r"found 1 domain \(day\), at least 2"):
        datasets.domain_names("folder", str(folder))


def test_a_class_that_a_domain_lacks_is_named(folder):
    (folder / "day" / "emu").mkdir()
    with pytest.raises(InputError, match="domain 'night' lacks the class emu"):
        datasets.class_names("folder", str(folder))


def test_a_class_without_images_is_named(folder):
    for path in (folder / "night" / "dog").iterdir():
        path.unlink()
    with pytest.raises(InputError, match="night/dog: holds no image"):
        read(folder)


@pytest.mark.parametrize("keep", [True, False])
def test_every_damaged_image_is_named_before_training(folder, keep):
    whole = (folder / "day" / "cat" / "0.png").read_bytes()
    (folder / "day" / "cat" / "0.png").write_bytes(whole[: len(whole) // 2])
    (folder / "night" / "dog" / "1.png").write_text("not an image")
    with pytest.raises(DamagedImages) as caught:
        read(folder, cache=keep)
    assert caught.value.paths == [
        folder / "day" / "cat" / "0.png",
        folder / "night" / "dog" / "1.png",
    ]
    assert "2 of 12 images cannot be read" in str(caught.value)


def test_images_are_decoded_once_and_shared(folder, cache, monkeypatch):
    first = read(folder)
    files = sorted(path.name for path in cache.glob("*.npy"))
    assert len(files) == 2
    assert isinstance(first["day"].pictures, np.memmap)

    def never(path, size, fit):
        raise AssertionError(f"{path} was decoded again")

    monkeypatch.setattr("clbench.data.images.decode", never)
    again = read(folder)
    assert again["day"].fingerprint == first["day"].fingerprint
    assert np.array_equal(again["night"].pictures, first["night"].pictures)
    assert sorted(path.name for path in cache.glob("*.npy")) == files


def test_without_a_cache_nothing_is_written_and_nothing_differs(folder, cache):
    plain = read(folder, cache=False)
    assert not cache.exists()
    assert isinstance(plain["day"].pictures, Decoder)
    mapped = read(folder)
    for name, domain in plain.items():
        assert np.array_equal(domain.pictures[:], mapped[name].pictures)
        assert np.array_equal(domain.pictures[[4, 1]], mapped[name].pictures[[4, 1]])
        assert domain.fingerprint == mapped[name].fingerprint


def test_a_changed_image_is_seen(folder):
    before = read(folder)["day"]
    path = folder / "day" / "cat" / "0.png"
    Image.new("RGB", (21, 12), (1, 2, 3)).save(path)
    after = read(folder)["day"]
    assert after.fingerprint != before.fingerprint
    assert (after.pictures[0] == (1, 2, 3)).all()


def test_where_the_data_lie_does_not_enter_their_fingerprint(folder, tmp_path):
    before = {name: d.fingerprint for name, d in read(folder).items()}
    folder.rename(tmp_path / "elsewhere")
    after = {n: d.fingerprint for n, d in read(tmp_path / "elsewhere").items()}
    assert after == before


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "1", "CMYK"])
def test_images_of_any_mode_become_rgb(folder, mode):
    suffix = "jpg" if mode == "CMYK" else "png"
    (folder / "day" / "cat" / "0.png").unlink()
    image = Image.new("RGB", (9, 9), (255, 255, 255)).convert(mode)
    image.save(folder / "day" / "cat" / f"0.{suffix}")
    pictures = read(folder)["day"].pictures
    assert pictures.shape == (6, 8, 8, 3)
    assert (pictures[0] >= 250).all()


def test_a_cache_that_cannot_be_written_says_what_to_do(folder, tmp_path, monkeypatch):
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where a folder should be")
    monkeypatch.setenv("CLBENCH_CACHE", str(blocked))
    with pytest.raises(InputError, match="name another folder in CLBENCH_CACHE"):
        read(folder)


def test_an_interrupted_decoding_leaves_no_entry(folder, cache, monkeypatch):
    from clbench.data import images

    whole = images.decode

    def interrupted(path, size, fit):
        if path.name == "2.png":
            raise KeyboardInterrupt
        return whole(path, size, fit)

    monkeypatch.setattr(images, "decode", interrupted)
    with pytest.raises(KeyboardInterrupt):
        read(folder)
    assert not list(cache.glob("*.npy"))
    assert not list(cache.glob("*.part"))
    monkeypatch.setattr(images, "decode", whole)
    assert len(read(folder)) == 2


def test_the_embedded_world_is_kept_and_the_same(cache):
    mapped = datasets.read("pocket", None, size=32, cache=True)
    plain = datasets.read("pocket", None, size=32, cache=False)
    assert list(mapped) == ["cartoon", "painting", "photo", "sketch"]
    for name, domain in mapped.items():
        assert domain.fingerprint == plain[name].fingerprint
        assert np.bincount(domain.labels).tolist() == [200] * 7
    assert len(list(cache.glob("pocket-dg-*.npy"))) == 4
