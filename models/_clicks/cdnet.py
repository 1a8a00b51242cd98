"""CDNet: a DeepLabV3+ on ResNet-34 that sees the clicks, and its pipeline.

Chen et al., Conditional Diffusion for Interactive Segmentation, 2021; Chen et al., Encoder-Decoder with Atrous
Separable Convolution for Semantic Image Segmentation, 2018.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from models._clicks.diffusion import FeatureDiffusion, diffuse
from models._clicks.layers import SeparableConv, click_stem, disks, normalised, resize
from models._clicks.ritm import State
from models._clicks.zoom import Click, ZoomRules, as_points, mirrored, paste

SIDE = 384
WIDE_RADIUS = 24  # of the disks that the features spread from
RULES = ZoomRules(skip=1, least=10, threshold=0.49, afresh=True)
RATES = (12, 24, 36)


class _Block(nn.Module):
    def __init__(self, inputs: int, planes: int, stride: int, dilations: tuple[int, int]) -> None:
        super().__init__()
        first, second = dilations
        self.conv1 = nn.Conv2d(inputs, planes, 3, stride, first, first, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, 1, second, second, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.downsample: nn.Module | None = None
        if inputs != planes:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, planes, 1, stride, bias=False), nn.BatchNorm2d(planes)
            )

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(y + (x if self.downsample is None else self.downsample(x)))


def _layer(inputs: int, planes: int, blocks: int, stride: int, first: int, rest: int) -> nn.Sequential:
    start = _Block(inputs, planes, stride, (first, rest))
    return nn.Sequential(start, *(_Block(planes, planes, 1, (rest, rest)) for _ in range(blocks - 1)))


class ResNet34(nn.Module):
    """ResNet-34 that keeps an eighth of the size; returns its first layer's map and its last."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = _layer(64, 64, 3, 1, 1, 1)
        self.layer2 = _layer(64, 128, 4, 2, 1, 1)
        self.layer3 = _layer(128, 256, 6, 1, 1, 2)
        self.layer4 = _layer(256, 512, 3, 1, 2, 4)

    def forward(self, image: Tensor, clicks: Tensor) -> tuple[Tensor, Tensor]:
        x = torch.relu(self.bn1(self.conv1(image))) + clicks
        first = self.layer1(self.maxpool(x))
        return first, self.layer4(self.layer3(self.layer2(first)))


class _Pool(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.gap = nn.Sequential(nn.AdaptiveAvgPool2d(1), *_conv_norm_relu(inputs, outputs, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.gap(x).expand(-1, -1, *x.shape[-2:])


def _conv_norm_relu(inputs: int, outputs: int, kernel: int, rate: int = 1) -> list[nn.Module]:
    padding = rate * (kernel // 2)
    convolution = nn.Conv2d(inputs, outputs, kernel, 1, padding, rate, bias=False)
    return [convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]


class _Pyramid(nn.Module):
    """Atrous spatial pyramid pooling."""

    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        self.concurent = nn.ModuleList(  # the name in the published checkpoints
            [
                nn.Sequential(*_conv_norm_relu(inputs, channels, 1)),
                *(nn.Sequential(*_conv_norm_relu(inputs, channels, 3, rate)) for rate in RATES),
                _Pool(inputs, channels),
            ]
        )
        self.project = nn.Sequential(*_conv_norm_relu((len(RATES) + 2) * channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.project(torch.cat([part(x) for part in self.concurent], 1))


class _Skip(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.skip_project = nn.Sequential(*_conv_norm_relu(inputs, outputs, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.skip_project(x)


class _Join(nn.Module):
    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        self.block = nn.Sequential(
            SeparableConv(inputs, channels, bias=False),
            SeparableConv(channels, channels, bias=False),
            nn.Conv2d(channels, channels, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.block(x)


class DeepLab(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.backbone = ResNet34()
        self.aspp = _Pyramid(512, channels)
        self.FDM = FeatureDiffusion(channels)
        self.skip_project = _Skip(64, 32)
        self.head = _Join(channels + 32, channels)

    def forward(self, image: Tensor, stem: Tensor, clicks: Tensor) -> tuple[Tensor, Tensor]:
        first, last = self.backbone(image, stem)
        x, gate = self.FDM(self.aspp(last), clicks)
        x = resize(x, first.shape[-2:])
        return self.head(torch.cat([x, self.skip_project(first)], 1)), gate


class _Head(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        middle = inputs // 2
        self.layers = nn.Sequential(
            SeparableConv(inputs, middle, bias=False),
            SeparableConv(middle, middle, bias=False),
            nn.Conv2d(middle, outputs, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class DiffusionNetwork(nn.Module):
    """From a picture (b, 3, h, w; 0 to 1) and clicks (b, 2n, 3) to logits and the gate, (b, 1, h, w)."""

    def __init__(self, channels: int = 128, *, radius: float = 5) -> None:
        super().__init__()
        self.radius = radius
        self.maps_transform = click_stem(2)
        self.feature_extractor = DeepLab(channels)
        self.head = _Head(channels, 1)
        self.latent_head = _Head(channels, 4)  # in the checkpoints; its answer is not looked at

    def forward(self, picture: Tensor, points: Tensor) -> dict[str, Tensor]:
        size = tuple(picture.shape[-2:])
        stem = self.maps_transform(disks(points, size, self.radius))
        coarse = tuple(math.ceil(side / 8) for side in size)
        wide = resize(disks(points, size, WIDE_RADIUS), coarse)
        features, gate = self.feature_extractor(normalised(picture), stem, wide)
        return {"instances": resize(self.head(features), size), "gate": resize(gate, size)}


def answer(
    network: DiffusionNetwork, picture: Tensor, clicks: Sequence[Click], before: State | None
) -> State:
    """Return what the network makes of all clicks so far on a picture (1, 3, h, w), uint8 or 0 to 1."""
    size = (picture.shape[-2], picture.shape[-1])
    region, stored = RULES.region(clicks, *((before.shown, before.region) if before else (None, None)), size)
    part, moved = RULES.cut(picture, clicks, region)
    seen = resize(part, (SIDE, SIDE))
    scaled = [(y * SIDE / part.shape[-2], x * SIDE / part.shape[-1], p) for y, x, p in moved]
    points = as_points(scaled).to(picture.device)
    both = torch.cat([points, as_points(mirrored(scaled, SIDE)).to(picture.device)])
    logits = network(torch.cat([seen, seen.flip(-1)]), both)["instances"]
    mean = 0.5 * (logits[:1] + logits[1:].flip(-1))
    spread = diffuse(seen, mean, disks(points, (SIDE, SIDE), network.radius))
    whole = paste(resize(torch.sigmoid(spread), part.shape[-2:]), stored, size)
    return State(whole[0, 0].float().cpu().numpy(), stored)
