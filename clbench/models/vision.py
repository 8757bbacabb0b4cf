"""Image backbones: the pocket ViT, any of timm, any CLIP of transformers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from clbench.assets import door
from clbench.assets.weights import check_file, check_folder
from clbench.contract import InputError
from clbench.models.hub import plain_weights, remote_code, unusable
from clbench.models.needs import hub, timm_hub, unknown

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

Statistics = tuple[float, float, float]


class ImageBackbone(nn.Module):
    """A pre-trained model as features of images.

    Args:
        body: (B, 3, S, S) normalised pixels -> (B, W) features.
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
        features: Tensor = self.body(images)
        return features


class ClipTower(nn.Module):
    """The image tower of a CLIP of transformers, projection included.

    Args:
        clip: A `CLIPModel`, or a `CLIPVisionModelWithProjection`; its text tower is
            left behind.
        interpolate: Whether position embeddings are interpolated to the images' size.
    """

    def __init__(self, clip: Any, *, interpolate: bool = False) -> None:
        super().__init__()
        self.vision_model = clip.vision_model
        self.visual_projection = clip.visual_projection
        self.interpolate = interpolate

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, S, S) normalised pixels -> (B, W) projected features, any length."""
        output = self.vision_model(
            pixel_values=images, interpolate_pos_encoding=self.interpolate
        )
        features: Tensor = self.visual_projection(output.pooler_output)
        return features


def image_backbone(name: str, *, image_size: int | None = None) -> ImageBackbone:
    """The pre-trained backbone that `name` stands for, in float32.

    Args:
        name: `pocket`; a folder in timm's or transformers' format; `MODEL@FILE`, a
            model of timm and a file of its weights; `owner/model`, a CLIP on the
            Hugging Face hub, `@REVISION` allowed; else a model of timm, such as
            `vit_base_patch16_224` or `hf-hub:timm/vit_base_patch16_clip_224.openai`.
        image_size: Pixels on a side; None is the model's own. Position embeddings of
            transformers are interpolated to it.

    Raises:
        InputError: There is no such model here, or its weights cannot be had.
    """
    if name == "pocket":
        return _pocket(image_size)
    folder = Path(name).expanduser()
    if folder.is_dir():
        return _local(folder, image_size)
    model, at, file = name.partition("@")
    if at and "/" not in model:
        return _timm(model, image_size, file=_file(name, file))
    if folder.is_file():
        raise InputError(
            f"scenario.backbone={name} is a file of weights: say whose, as in "
            f"vit_base_patch16_224@{name} (models: timm.list_models())"
        )
    if name.startswith("hf-hub:"):
        folder = door.current().open(hub(name.removeprefix("hf-hub:")))
        return _timm(f"local-dir:{folder}", image_size)
    if "/" in model:
        return _clip(str(door.current().open(hub(name))), image_size, name)
    return _timm(name, image_size, file=_fetched(name))


def _pocket(image_size: int | None) -> ImageBackbone:
    from clbench.pocket.models import vit

    body = vit.build()
    size = _resize(body, vit.CONFIG["img_size"], image_size)
    return ImageBackbone(
        body, width=body.num_features, image_size=size, mean=vit.MEAN, std=vit.STD
    )


def _local(folder: Path, image_size: int | None) -> ImageBackbone:
    config = folder / "config.json"
    if not config.is_file():
        raise InputError(
            f"scenario.backbone={folder}: no config.json in that folder; save a model "
            f"there with save_pretrained (transformers) or save_for_hf with "
            f"safe_serialization=True (timm)"
        )
    check_folder(f"scenario.backbone={folder}", folder)
    if "architecture" in json.loads(config.read_text()):
        return _timm(f"local-dir:{folder}", image_size)
    return _clip(str(folder), image_size, str(folder))


def _timm(
    name: str, image_size: int | None, *, file: Path | None = None
) -> ImageBackbone:
    import timm
    from timm.data import resolve_model_data_config

    changes: dict[str, Any] = {}
    if file is not None:
        # A model's own way of loading is for its own format, numpy's.
        changes = {"file": str(file), "custom_load": file.suffix == ".npz"}
    if not name.startswith("local-dir:") and not timm.is_model(name.split(".")[0]):
        raise unknown(name)
    try:
        body = timm.create_model(
            name, pretrained=True, num_classes=0, pretrained_cfg_overlay=changes or None
        )
    except Exception as error:  # Of the network, of parsing, of shapes that differ.
        raise unusable(name if file is None else f"{name}@{file}", error) from error
    facts = resolve_model_data_config(body)
    size = _resize(body, facts["input_size"][-1], image_size)
    return ImageBackbone(
        body,
        width=body.num_features,
        image_size=size,
        mean=facts["mean"],
        std=facts["std"],
    )


def _fetched(name: str) -> Path:
    """The file of the weights that timm has for its model `name` on the hub.

    Raises:
        InputError: There is no such model, or none that can be had.
    """
    need = timm_hub(name)
    if need is None:
        raise InputError(
            f"scenario.backbone={name}: timm has no weights of it on the hub; name a "
            f"file of them, {name}@FILE.safetensors"
        )
    return door.current().open(need) / need.wanted[0]


def _clip(place: str, image_size: int | None, name: str) -> ImageBackbone:
    """The CLIP in the folder `place`, which the user called `name`."""
    from transformers import AutoConfig, CLIPModel, CLIPVisionModelWithProjection
    from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

    kinds = {"clip": CLIPModel, "clip_vision_model": CLIPVisionModelWithProjection}
    try:
        kind = AutoConfig.from_pretrained(place, **remote_code()).model_type
        clip = None
        if kind in kinds:
            clip = kinds[kind].from_pretrained(place, **plain_weights())
    except Exception as error:  # Of the network, of parsing, of shapes that differ.
        raise unusable(name, error) from error
    if clip is None:
        raise InputError(
            f"scenario.backbone={name} is a model of type '{kind}' of transformers; "
            f"those whose images can be used are {' and '.join(kinds)}"
        )
    own = clip.vision_model.config.image_size
    size = image_size or own
    return ImageBackbone(
        ClipTower(clip, interpolate=size != own),
        width=clip.visual_projection.out_features,
        image_size=size,
        mean=tuple(OPENAI_CLIP_MEAN),
        std=tuple(OPENAI_CLIP_STD),
    )


def _resize(body: nn.Module, own: int, wanted: int | None) -> int:
    """Let a model of timm take images of another size; the size it takes then."""
    if wanted is None or wanted == own:
        return own
    # Convolutional models have no such method: they take any size as they are.
    resize = getattr(body, "set_input_size", None)
    if callable(resize):
        resize(img_size=wanted)
    return wanted


def _file(name: str, file: str) -> Path:
    path = Path(file).expanduser()
    if not path.is_file():
        raise InputError(f"scenario.backbone={name}: there is no file {path}")
    check_file(f"scenario.backbone={name}", path)
    return path
