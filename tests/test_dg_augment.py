"""The batch-wise augmentation against torchvision's functions on single images."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as tv

from clbench.data import augment as ours


def pictures(count: int = 6, size: int = 24) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    images = torch.rand(count, 3, size, size, generator=generator)
    images[0] = 0.5  # No hue, no saturation.
    images[1, :, :8] = torch.tensor([1.0, 0.0, 0.0])[:, None, None]
    return images


def column(values: list[float]) -> torch.Tensor:
    return torch.tensor(values)[:, None, None, None]


@pytest.mark.parametrize("mirrored", [False, True])
def test_crops_are_torchvisions(mirrored):
    images = pictures(4)
    boxes = [(0, 0, 24, 24), (3, 2, 19, 21), (5, 0, 17, 24), (0, 7, 22, 17)]
    flips = torch.full((4,), mirrored)
    found = ours.crop_and_flip(images, torch.tensor(boxes), flips)
    for image, box, mine in zip(images, boxes, found, strict=True):
        expected = tv.resized_crop(image, *box, [24, 24], antialias=True)
        expected = tv.horizontal_flip(expected) if mirrored else expected
        assert_close(mine, expected, atol=2e-5, rtol=0)


def test_boxes_are_distributed_as_torchvisions():
    size, count = 32, 4000
    boxes = ours.crop_boxes(count, size, torch.Generator().manual_seed(0))
    top, left, height, width = boxes.unbind(1)
    assert bool((top >= 0).all() and (left >= 0).all())
    assert bool((top + height <= size).all() and (left + width <= size).all())
    share = (height * width) / size**2
    assert bool((share > 0.65).all())
    assert bool((top + height == size).any() and (left == 0).any())
    with torch.random.fork_rng():
        torch.manual_seed(0)
        image = torch.empty(3, size, size)
        choose = v2.RandomResizedCrop(size, scale=(0.7, 1.0)).make_params
        theirs = [choose([image]) for _ in range(count)]
    for name, values in (("top", top), ("left", left), ("height", height)):
        expected = torch.tensor([float(params[name]) for params in theirs])
        error = (expected.var() * 2 / count).sqrt()
        assert abs(values.float().mean() - expected.mean()) < 4 * error, name


def test_a_box_that_never_fits_is_the_whole_image():
    boxes = ours.crop_boxes(
        3, 16, torch.Generator().manual_seed(0), scale=(2.0, 2.0), ratio=(1.0, 1.0)
    )
    assert boxes.tolist() == [[0, 0, 16, 16]] * 3


@pytest.mark.parametrize(
    ("mine", "theirs", "values"),
    [
        (ours.brightness, tv.adjust_brightness, [0.7, 1.0, 1.3, 0.9, 1.2, 0.8]),
        (ours.contrast, tv.adjust_contrast, [0.7, 1.0, 1.3, 0.9, 1.2, 0.8]),
        (ours.saturation, tv.adjust_saturation, [0.7, 1.0, 1.3, 0.9, 1.2, 0.8]),
        (ours.turn_hue, tv.adjust_hue, [0.3, -0.3, 0.0, 0.11, -0.2, 0.27]),
    ],
)
def test_colour_operations_are_torchvisions(mine, theirs, values):
    images = pictures()
    found = mine(images, column(values))
    for image, value, result in zip(images, values, found, strict=True):
        assert_close(result, theirs(image, value), atol=2e-4, rtol=0)


def test_grey_is_torchvisions():
    expected = tv.rgb_to_grayscale(pictures(), num_output_channels=3)
    assert_close(ours.grey(pictures()), expected, atol=1e-4, rtol=0)


def test_jitter_takes_every_order():
    """One image many times: results that differ in the order alone are all met."""
    image = pictures()[2]
    batch = image.expand(200, -1, -1, -1)
    out = ours.colour_jitter(batch, torch.Generator().manual_seed(0), 0.0, 0.0)
    assert_close(out, batch, atol=1e-5, rtol=0)
    varied = ours.colour_jitter(batch, torch.Generator().manual_seed(0))
    assert len({round(float(v), 5) for v in varied.mean(dim=(1, 2, 3))}) > 190


def test_augmentation_depends_on_its_generator_alone():
    images = pictures()
    before = images.clone()
    torch.manual_seed(1)
    one = ours.augment(images, torch.Generator().manual_seed(5))
    torch.manual_seed(2)
    two = ours.augment(images, torch.Generator().manual_seed(5))
    other = ours.augment(images, torch.Generator().manual_seed(6))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)
    assert torch.equal(images, before), "the batch itself was changed"
    assert one.shape == images.shape
    assert float(one.min()) >= 0
    assert float(one.max()) <= 1


def test_examples_vary_on_their_own():
    same = pictures()[2].expand(8, -1, -1, -1)
    varied = ours.augment(same, torch.Generator().manual_seed(0))
    assert len({float(v) for v in varied.mean(dim=(1, 2, 3))}) == 8


def test_pixels_become_floats_once():
    pixels = torch.randint(256, (2, 4, 4, 3), dtype=torch.uint8)
    floats = ours.to_float(pixels)
    assert_close(floats[1, 2, 3, 0] * 255, pixels[1, 3, 0, 2].float())
    assert ours.to_float(floats) is floats
