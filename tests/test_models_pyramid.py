"""Backbones as features at four scales."""

from __future__ import annotations

import pytest
import timm
import torch
from safetensors.torch import save_file

from clbench.contract import InputError
from clbench.models.pyramid import FeaturePyramid, SwinPyramid, pyramid


@pytest.fixture
def images():
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def saved(name: str, folder) -> str:
    """`MODEL@FILE` of a model with random weights."""
    path = folder / f"{name}.safetensors"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        save_file(timm.create_model(name).state_dict(), path)
    return f"{name}@{path}"


def shapes(features):
    return [tuple(f.shape) for f in features]


def test_the_pocket_swin_has_four_scales(images):
    made = pyramid("pocket", image_size=64).eval()
    assert isinstance(made, SwinPyramid)
    found = shapes(made(images))
    # Each scale is after the patch merging that follows its stage.
    assert [shape[1] for shape in found] == list(made.widths)
    assert [shape[-1] for shape in found] == [16, 8, 4, 4]
    assert made.branches() == tuple(
        f"layers.{n}.blocks.{len(stage.blocks) - 1}"
        for n, stage in enumerate(made.layers)
    )


def test_the_pocket_swin_takes_other_sizes(images):
    made = pyramid("pocket", image_size=96).eval()
    large = torch.nn.functional.interpolate(images, size=96)
    assert [shape[-1] for shape in shapes(made(large))] == [24, 12, 6, 6]


def test_a_swin_without_its_streams_computes_what_timm_does(images):
    made = pyramid("pocket", image_size=64).eval()
    from clbench.pocket.models import swin

    body = swin.build().eval()
    x = body.patch_embed(images)
    for stage in body.layers:
        x = stage(x)
    torch.testing.assert_close(made(images)[-1], x.permute(0, 3, 1, 2))


def test_a_convolutional_backbone_gives_its_last_four_scales(tmp_path, images):
    name = saved("resnet18", tmp_path)
    made = pyramid(name, image_size=64).eval()
    assert isinstance(made, FeaturePyramid)
    assert made.widths == (64, 128, 256, 512)
    assert [shape[-1] for shape in shapes(made(images))] == [16, 8, 4, 2]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        body = timm.create_model("resnet18").eval()
    torch.testing.assert_close(made(images)[-1], body.forward_features(images))
    assert made.branches() == ()


def test_a_backbone_of_one_scale_is_refused(tmp_path):
    with pytest.raises(InputError, match="1 scales, and dense tasks read 4"):
        pyramid(saved("test_vit", tmp_path), image_size=None)
