"""Hierarchical backbones: features of an image at several scales, for dense tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from clbench.contract import InputError
from clbench.models.vision import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    Statistics,
    image_backbone,
)

if TYPE_CHECKING:
    from timm.models.swin_transformer import SwinTransformer

SCALES = 4
"""What decoders of dense tasks read."""


class Pyramid(nn.Module):
    """A backbone as features at several scales, the finest first.

    Attributes:
        widths: Channels of each scale.
        mean: What pixels in [0, 1] are shifted by.
        std: What they are divided by.
    """

    widths: tuple[int, ...]
    mean: Statistics
    std: Statistics

    def forward(self, images: Tensor) -> list[Tensor]:
        """(B, 3, S, S) normalised pixels -> features, (B', C, H, W) each.

        B' is B, or B times the number of streams where a strategy parted them, the
        shared one first.
        """
        raise NotImplementedError

    def branches(self) -> tuple[str, ...]:
        """Paths of the modules at which streams may part; see `contract.model`."""
        return ()


class Fork(nn.Module):
    """A block of timm's Swin in which the streams of tasks may part.

    Attention is computed once. Where its output projection gives several streams, each
    goes on with a residual, a second half and random depths of its own; what the
    streams share (normalisation, activation) are the block's own modules.

    Args:
        block: timm's block, whose modules it uses.
    """

    def __init__(self, block: Any) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B', H, W, C)."""
        block = self.block
        # The windows of a stream follow those of the one before, so that streams lie
        # one after another along the first axis when the windows are put together.
        attended = block._attn(block.norm1(x))
        streams = len(attended) // len(x)
        x = x.repeat(streams, 1, 1, 1) + block.drop_path1(attended)
        flat = x.flatten(1, 2)
        flat = flat + block.drop_path2(block.mlp(block.norm2(flat)))
        joined: Tensor = flat.view(x.shape)
        return joined


class SwinPyramid(Pyramid):
    """The stages of timm's Swin, each after the patch merging that follows it.

    As the encoder of MTLoRA gives them: no final normalisation, the last stage as it
    is. Of the streams of a stage the next one gets the shared one only.

    Args:
        body: timm's model; its norm and head are left behind.
        mean, std: As in `Pyramid`.
        drop_path: Stochastic depth of the last block; rises linearly over the blocks.
    """

    def __init__(
        self,
        body: SwinTransformer,
        *,
        mean: Statistics = IMAGENET_MEAN,
        std: Statistics = IMAGENET_STD,
        drop_path: float = 0.0,
    ) -> None:
        from timm.layers import DropPath

        super().__init__()
        self.patch_embed, self.layers = body.patch_embed, body.layers
        self.mean, self.std = mean, std
        widths = [stage.blocks[-1].dim for stage in self.layers]
        self.widths = (*widths[1:], widths[-1])
        blocks = [block for stage in self.layers for block in stage.blocks]
        rates = torch.linspace(0, drop_path, len(blocks)).tolist()
        for block, rate in zip(blocks, rates, strict=True):
            block.drop_path1 = DropPath(rate) if rate else nn.Identity()
            block.drop_path2 = DropPath(rate) if rate else nn.Identity()
        for stage in self.layers:
            stage.blocks[-1] = Fork(stage.blocks[-1])

    def forward(self, images: Tensor) -> list[Tensor]:
        """As in `Pyramid`."""
        x = self.patch_embed(images)
        examples, features = len(x), []
        merges = [*(stage.downsample for stage in self.layers), nn.Identity()][1:]
        for stage, merge in zip(self.layers, merges, strict=True):
            streams = merge(stage.blocks(x))
            features.append(streams.permute(0, 3, 1, 2))
            x = streams[:examples]
        return features

    def branches(self) -> tuple[str, ...]:
        """The last block of each stage."""
        return tuple(
            f"layers.{number}.blocks.{len(stage.blocks) - 1}"
            for number, stage in enumerate(self.layers)
        )


class FeaturePyramid(Pyramid):
    """The last four scales of any backbone of timm that gives what lies in between.

    Args:
        body: timm's model; what follows its last scale is left behind.
        mean, std: As in `Pyramid`.
    """

    def __init__(self, body: nn.Module, *, mean: Statistics, std: Statistics) -> None:
        from timm.models._features import FeatureGetterNet

        super().__init__()
        self.body = FeatureGetterNet(body, out_indices=SCALES, norm=False)
        self.mean, self.std = mean, std
        self.widths = tuple(self.body.feature_info.channels())

    def forward(self, images: Tensor) -> list[Tensor]:
        """As in `Pyramid`."""
        features: list[Tensor] = self.body(images)
        return features


def pyramid(name: str, *, image_size: int | None, drop_path: float = 0.0) -> Pyramid:
    """The hierarchical backbone that `name` stands for, in float32.

    Args:
        name: `pocket`; a Swin of timm, by its name, in a folder or as `MODEL@FILE`; or
            any other model of timm that gives features at several scales.
        image_size: Pixels on a side; None is the model's own.
        drop_path: Stochastic depth of a Swin's last block.

    Raises:
        InputError: There is no such model here, its weights cannot be had, or it has no
            scales.
    """
    if name == "pocket":
        from clbench.pocket.models import swin

        body = swin.build()
        if image_size not in (None, swin.CONFIG["img_size"]):
            body.set_input_size(img_size=image_size)
        return SwinPyramid(body, mean=swin.MEAN, std=swin.STD, drop_path=drop_path)
    found = image_backbone(name, image_size=image_size)
    from timm.models.swin_transformer import SwinTransformer

    if isinstance(found.body, SwinTransformer):
        return SwinPyramid(
            found.body, mean=found.mean, std=found.std, drop_path=drop_path
        )
    scales = [stage["reduction"] for stage in getattr(found.body, "feature_info", [])]
    if len(set(scales[-SCALES:])) < SCALES:
        raise InputError(
            f"scenario.backbone={name} has features at {len(set(scales))} scales, and "
            f"dense tasks read {SCALES}: try pocket or swin_tiny_patch4_window7_224"
        )
    return FeaturePyramid(found.body, mean=found.mean, std=found.std)
