"""Backbones behind one door: shapes, weights from folders and files, clear errors."""

from __future__ import annotations

import json

import pytest
import timm
import torch
from safetensors.torch import save_file
from timm.models import save_for_hf
from torch.testing import assert_close
from transformers import (
    BertConfig,
    CLIPConfig,
    CLIPModel,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
)

from clbench.contract import InputError
from clbench.models.vision import image_backbone

SIZES = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}


@pytest.fixture(scope="module")
def images():
    return torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def tiny_vit() -> torch.nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return timm.create_model("test_vit", img_size=32, num_classes=5)


def tiny_clip() -> CLIPModel:
    config = CLIPConfig(
        text_config={**SIZES, "vocab_size": 50, "max_position_embeddings": 8},
        vision_config={**SIZES, "image_size": 32, "patch_size": 8},
        projection_dim=24,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return CLIPModel(config).eval()


@pytest.fixture
def clip_folder(tmp_path):
    clip = tiny_clip()
    clip.save_pretrained(tmp_path)
    return clip, tmp_path


def test_clip_gives_its_projected_unnormalised_features(clip_folder, images):
    clip, folder = clip_folder
    found = image_backbone(str(folder)).eval()
    with torch.no_grad():
        expected = clip.get_image_features(pixel_values=images).pooler_output
        features = found(images)
    assert (found.width, found.image_size) == (24, 32)
    assert features.shape == (2, 24)
    assert_close(features, expected)
    assert not torch.allclose(features.norm(dim=-1), torch.ones(2))
    assert found.mean == pytest.approx((0.48145466, 0.4578275, 0.40821073))
    assert not [n for n, _ in found.named_parameters() if "text" in n]


def test_clip_takes_another_size(clip_folder, images):
    _, folder = clip_folder
    larger = torch.nn.functional.interpolate(images, size=48)
    found = image_backbone(str(folder), image_size=48)
    assert found.image_size == 48
    assert found(larger).shape == (2, 24)


def test_clip_may_be_its_image_tower_alone(tmp_path, images):
    config = CLIPVisionConfig(**SIZES, image_size=32, patch_size=8, projection_dim=20)
    model = CLIPVisionModelWithProjection(config).eval()
    model.save_pretrained(tmp_path)
    with torch.no_grad():
        found = image_backbone(str(tmp_path)).eval()(images)
        assert_close(found, model(pixel_values=images).image_embeds)


def test_timm_folder_keeps_its_weights(tmp_path, images):
    model = tiny_vit().eval()
    save_for_hf(
        model,
        str(tmp_path),
        model_args={"img_size": 32},
        safe_serialization=True,
    )
    found = image_backbone(str(tmp_path), image_size=32).eval()
    with torch.no_grad():
        expected = model.forward_head(model.forward_features(images), pre_logits=True)
        assert_close(found(images), expected)
    assert (found.width, found.image_size) == (64, 32)


def test_a_model_of_timm_and_a_file_of_its_weights(tmp_path, images):
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = timm.create_model("test_vit", num_classes=1000).eval()
    path = tmp_path / "weights.safetensors"
    save_file(model.state_dict(), path)
    found = image_backbone(f"test_vit@{path}").eval()
    larger = torch.nn.functional.interpolate(images, size=160)
    with torch.no_grad():
        assert_close(found(larger), model.reset_classifier(0) or model(larger))
    small = image_backbone(f"test_vit@{path}", image_size=32)
    assert small.image_size == 32
    assert small(images).shape == (2, 64)


def test_convolutional_models_take_any_size(tmp_path, images):
    path = tmp_path / "weights.safetensors"
    save_file(timm.create_model("test_resnet").state_dict(), path)
    found = image_backbone(f"test_resnet@{path}", image_size=32)
    assert found(images).shape == (2, found.width)


def test_files_that_run_code_are_refused(tmp_path):
    path = tmp_path / "weights.pth"
    torch.save({"model": print}, path)
    with pytest.raises(InputError, match="is a pickle") as caught:
        image_backbone(f"test_vit@{path}")
    assert "\n" not in str(caught.value)


def test_the_embedded_backbone_states_its_facts(monkeypatch, images):
    from clbench.pocket.models import vit

    bare = vit.build(pretrained=False)
    monkeypatch.setattr(vit, "build", lambda: bare)
    found = image_backbone("pocket").eval()
    assert (found.mean, found.std) == (vit.MEAN, vit.STD)
    assert found.image_size == 32
    with torch.no_grad():
        assert_close(found(images), bare.eval()(images))


def test_unknown_names_get_the_nearest():
    with pytest.raises(InputError, match="'vit_base_patch16_224'") as caught:
        image_backbone("vit_bse_patch16_224")
    assert "\n" not in str(caught.value)


def test_a_missing_download_is_one_quick_line(monkeypatch, tmp_path):
    def unreachable(_, name, *, timeout, **__):
        raise ConnectionError("nobody answers\nsecond line")

    monkeypatch.setattr("huggingface_hub.HfApi.repo_info", unreachable)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    for name in ("nobody/clip-nowhere", "test_vit", "hf-hub:nobody/vit"):
        with pytest.raises(InputError, match="nobody answers") as caught:
            image_backbone(name)
        assert "\n" not in str(caught.value)
        assert "scenario.backbone=pocket" in str(caught.value)


def test_wrong_files_and_folders(tmp_path):
    with pytest.raises(InputError, match=r"no config\.json"):
        image_backbone(str(tmp_path))
    with pytest.raises(InputError, match="there is no file"):
        image_backbone(f"test_vit@{tmp_path / 'absent.pth'}")
    weights = tmp_path / "weights.pth"
    weights.write_bytes(b"")
    with pytest.raises(InputError, match="say whose"):
        image_backbone(str(weights))
    weights.unlink()
    BertConfig().save_pretrained(tmp_path)
    with pytest.raises(InputError, match="type 'bert'"):
        image_backbone(str(tmp_path))
    (tmp_path / "config.json").write_text(json.dumps({"architecture": "test_vit"}))
    with pytest.raises(InputError, match="cannot be had"):
        image_backbone(str(tmp_path))
