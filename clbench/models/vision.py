"""Image backbones: the pocket ViT, any of timm, any CLIP of transformers."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor, nn

from clbench.contract import InputError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

Statistics = tuple[float, float, float]


class ImageBackbone(nn.Module):
    """A pre-trained model as features of images.

    Args:
        body: (B, 3, S, S) normalised pixels -> features, or an output of transformers
            that has `image_embeds`.
        width: W, the number of features.
        image_size: S, pixels on a side.
        mean: What pixels in [0, 1] are shifted by.
        std: What they are divided by.
    """

    def __init__(
        self,
        body: nn.Module,
        *,
        width: int,
        image_size: int,
        mean: Statistics,
        std: Statistics,
    ) -> None:
        super().__init__()
        self.body = body
        self.width = width
        self.image_size = image_size
        self.mean = mean
        self.std = std

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, S, S) normalised pixels -> (B, W) features."""
        output = self.body(images)
        features: Tensor = getattr(output, "image_embeds", output)
        return features


def image_backbone(name: str) -> ImageBackbone:
    """The pre-trained backbone that `name` stands for.

    Args:
        name: `pocket`; a folder in timm's or transformers' format; `owner/model`, a
            CLIP on the Hugging Face hub; else a model of timm, such as
            `vit_base_patch16_224` or `hf-hub:timm/vit_base_patch16_clip_224.openai`.

    Raises:
        InputError: There is no such model here, or its weights cannot be had.
    """
    if name == "pocket":
        return _pocket()
    folder = Path(name).expanduser()
    if folder.is_dir():
        return _local(folder)
    if "/" in name and not name.startswith("hf-hub:"):
        return _clip(name)
    return _timm(name)


def _pocket() -> ImageBackbone:
    from clbench.pocket import vit

    body = vit.build()
    return ImageBackbone(
        body,
        width=body.num_features,
        image_size=vit.CONFIG["img_size"],
        mean=vit.MEAN,
        std=vit.STD,
    )


def _local(folder: Path) -> ImageBackbone:
    config = folder / "config.json"
    if not config.is_file():
        raise InputError(
            f"scenario.backbone={folder}: no config.json in that folder; save a model "
            f"there with save_pretrained (transformers) or save_for_hf (timm)"
        )
    facts = json.loads(config.read_text())
    if "architecture" in facts:
        return _timm(f"local-dir:{folder}")
    return _clip(str(folder))


def _timm(name: str) -> ImageBackbone:
    import timm
    from timm.data import resolve_model_data_config

    bare = name.removeprefix("hf-hub:").removeprefix("local-dir:")
    if bare == name and not timm.is_model(name.split(".")[0]):
        near = timm.list_models(f"*{name.split('_')[0]}*")[:3]
        hint = f"; timm has {', '.join(near)}, ..." if near else ""
        raise InputError(
            f"scenario.backbone={name}: neither `pocket`, a folder nor a model of "
            f"timm{hint}"
        )
    try:
        body = timm.create_model(name, pretrained=True, num_classes=0)
    except (OSError, RuntimeError, ValueError) as error:
        raise _unreachable(name, error) from error
    facts = resolve_model_data_config(body)
    return ImageBackbone(
        body,
        width=body.num_features,
        image_size=facts["input_size"][-1],
        mean=facts["mean"],
        std=facts["std"],
    )


def _clip(name: str) -> ImageBackbone:
    from transformers import CLIPVisionModelWithProjection
    from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

    try:
        body = CLIPVisionModelWithProjection.from_pretrained(name, dtype=torch.float32)
    except (OSError, ValueError) as error:
        raise _unreachable(name, error) from error
    return ImageBackbone(
        body,
        width=body.config.projection_dim,
        image_size=body.config.image_size,
        mean=tuple(OPENAI_CLIP_MEAN),
        std=tuple(OPENAI_CLIP_STD),
    )


def _unreachable(name: str, error: Exception) -> InputError:
    first = str(error).strip().splitlines()[0] if str(error).strip() else ""
    return InputError(
        f"scenario.backbone={name}: its weights cannot be had ({first[:120]}); name a "
        f"folder that holds them, or scenario.backbone=pocket, which ships with clbench"
    )
