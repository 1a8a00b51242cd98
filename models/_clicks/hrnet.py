"""HRNetV2 with object-contextual representations, as RITM and FocalClick take it.

Wang et al., Deep High-Resolution Representation Learning for Visual Recognition, 2020; Yuan et al.,
Object-Contextual Representations for Semantic Segmentation, 2020.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models._clicks.layers import conv, conv_norm, resize


class Basic(nn.Module):
    """Two convolutions around a shortcut."""

    expansion = 1

    def __init__(
        self,
        inputs: int,
        planes: int,
        stride: int = 1,
        downsample: nn.Module | None = None,
        dilation: int = 1,
    ) -> None:
        super().__init__()
        self.conv1 = conv(inputs, planes, 3, stride)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = conv(planes, planes, 3)
        self.bn2 = nn.BatchNorm2d(planes)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(y + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(nn.Module):
    """A narrow convolution between two of a single pixel, around a shortcut."""

    expansion = 4

    def __init__(self, inputs: int, planes: int, downsample: nn.Module | None = None) -> None:
        super().__init__()
        self.conv1 = conv(inputs, planes, 1)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = conv(planes, planes, 3)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv3 = conv(planes, planes * 4, 1)
        self.bn3 = nn.BatchNorm2d(planes * 4)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.bn1(self.conv1(x)))
        y = self.bn3(self.conv3(torch.relu(self.bn2(self.conv2(y)))))
        return torch.relu(y + (x if self.downsample is None else self.downsample(x)))


class Exchange(nn.Module):
    """Branches of several resolutions, worked on side by side, then each given what the others found."""

    def __init__(self, widths: list[int], blocks: int, outputs: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(*(Basic(width, width) for _ in range(blocks))) for width in widths
        )
        self.fuse_layers = nn.ModuleList(
            nn.ModuleList(_bring(widths, source, target) for source in range(len(widths)))
            for target in range(outputs)
        )

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        maps = [branch(x) for branch, x in zip(self.branches, maps, strict=True)]
        fused = []
        for target, layers in enumerate(self.fuse_layers):
            total: Tensor | None = None
            for layer, x in zip(layers, maps, strict=True):
                y = resize(layer(x), maps[target].shape[-2:])
                total = y if total is None else total + y
            fused.append(torch.relu(total))
        return fused


def _bring(widths: list[int], source: int, target: int) -> nn.Module:
    """What brings one branch to the channels of another, and down to its size where that is smaller."""
    if source == target:
        return nn.Identity()
    if source > target:
        return conv_norm(widths[source], widths[target], 1, relu=False)
    steps = []
    for step in range(target - source):
        last = step == target - source - 1
        outputs = widths[target] if last else widths[source]
        steps.append(conv_norm(widths[source], outputs, 3, 2, relu=not last))
    return nn.Sequential(*steps)


class HighResolution(nn.Module):
    """HRNetV2 with its context head; returns logits, auxiliary logits and features, all at a quarter of the size."""

    def __init__(self, width: int, ocr_width: int, *, small: bool) -> None:
        super().__init__()
        widths = [width * 2**i for i in range(4)]
        blocks = 2 if small else 4
        self.conv1, self.bn1 = conv(3, 64, 3, 2), nn.BatchNorm2d(64)
        self.conv2, self.bn2 = conv(64, 64, 3, 2), nn.BatchNorm2d(64)
        first = Bottleneck(64, 64, conv_norm(64, 256, 1, relu=False))
        self.layer1 = nn.Sequential(first, *(Bottleneck(256, 64) for _ in range(blocks - 1)))
        self.transition1 = _transition([256], widths[:2])
        self.stage2 = _stage(widths[:2], 1, blocks)
        self.transition2 = _transition(widths[:2], widths[:3])
        self.stage3 = _stage(widths[:3], 3 if small else 4, blocks)
        self.transition3 = _transition(widths[:3], widths)
        self.stage4 = _stage(widths, 2 if small else 3, blocks)
        joined = sum(widths)
        self.aux_head = nn.Sequential(
            nn.Conv2d(joined, joined, 1),
            nn.BatchNorm2d(joined),
            nn.ReLU(inplace=True),
            nn.Conv2d(joined, 1, 1),
        )
        wide = 2 * ocr_width
        self.conv3x3_ocr = nn.Sequential(
            nn.Conv2d(joined, wide, 3, 1, 1), nn.BatchNorm2d(wide), nn.ReLU(inplace=True)
        )
        self.ocr_distri_head = Context(wide, ocr_width)
        self.cls_head = nn.Conv2d(wide, 1, 1)

    def forward(self, image: Tensor, clicks: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = torch.relu(self.bn1(self.conv1(image))) + clicks
        x = self.layer1(torch.relu(self.bn2(self.conv2(x))))
        maps = self.stage2(_pass(self.transition1, [x]))
        maps = self.stage3(_pass(self.transition2, maps))
        maps = self.stage4(_pass(self.transition3, maps))
        joined = torch.cat([resize(m, maps[0].shape[-2:]) for m in maps], 1)
        auxiliary = self.aux_head(joined)
        features = self.ocr_distri_head(self.conv3x3_ocr(joined), auxiliary)
        return self.cls_head(features), auxiliary, features


def _stage(widths: list[int], modules: int, blocks: int) -> nn.Sequential:
    return nn.Sequential(*(Exchange(widths, blocks, len(widths)) for _ in range(modules)))


def _transition(before: list[int], after: list[int]) -> nn.ModuleList:
    """What makes the branches of a stage from those of the one before it; new ones from its coarsest."""
    made: list[nn.Module] = []
    for i, width in enumerate(after):
        if i < len(before):
            made.append(conv_norm(before[i], width, 3) if before[i] != width else nn.Identity())
        else:
            made.append(nn.Sequential(conv_norm(before[-1], width, 3, 2)))
    return nn.ModuleList(made)


def _pass(transition: nn.ModuleList, maps: list[Tensor]) -> list[Tensor]:
    return [layer(maps[min(i, len(maps) - 1)]) for i, layer in enumerate(transition)]


class Context(nn.Module):
    """Gives each pixel what the object as a whole is like: with one object, the mean of its pixels, transformed."""

    def __init__(self, channels: int, keys: int) -> None:
        super().__init__()
        self.object_context_block = _Attention(channels, keys)
        self.conv_bn_dropout = nn.Sequential(
            nn.Conv2d(2 * channels, channels, 1, bias=False), _norm_relu(channels)
        )

    def forward(self, features: Tensor, logits: Tensor) -> Tensor:
        share = logits.flatten(2).softmax(-1)  # (b, 1, h·w)
        mean = (features.flatten(2) * share).sum(-1)[..., None, None]
        context = self.object_context_block(features, mean)
        return self.conv_bn_dropout(torch.cat([context.expand_as(features), features], 1))


class _Attention(nn.Module):
    """Attention over a single object weighs it with 1, so that queries and keys decide nothing and are not computed."""

    def __init__(self, channels: int, keys: int) -> None:
        super().__init__()
        self.f_pixel = _twice(channels, keys)
        self.f_object = _twice(channels, keys)
        self.f_down = nn.Sequential(nn.Conv2d(channels, keys, 1, bias=False), _norm_relu(keys))
        self.f_up = nn.Sequential(nn.Conv2d(keys, channels, 1, bias=False), _norm_relu(channels))

    def forward(self, features: Tensor, mean: Tensor) -> Tensor:
        return self.f_up(self.f_down(mean))


def _norm_relu(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(inplace=True))


def _twice(channels: int, keys: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, keys, 1, bias=False),
        _norm_relu(keys),
        nn.Conv2d(keys, keys, 1, bias=False),
        _norm_relu(keys),
    )
