"""Small parts that several click networks share. Names of parameters are those of the published checkpoints."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
MANY_TIMES = 16  # as many pixels as are wanted: from there on picking is quicker than converting all


def resize(x: Tensor, size: Sequence[int]) -> Tensor:
    """Return a map (b, c, h, w) bilinearly at another size, corners on corners, as these networks do throughout.

    A picture of bytes comes back as one of 0 to 1.
    """
    if tuple(x.shape[-2:]) == tuple(size):
        return shares(x)
    if x.dtype == torch.uint8 and x.shape[-2] * x.shape[-1] > MANY_TIMES * size[0] * size[1]:
        return _picked(x, size).div_(255)
    found = F.interpolate(x.float(), tuple(size), mode="bilinear", align_corners=True)
    return found.div_(255) if x.dtype == torch.uint8 else found


def _picked(x: Tensor, size: Sequence[int]) -> Tensor:
    """Return a large picture at a much smaller size, reading only the pixels that count."""
    rows, columns = (_between(old, new, x.device) for old, new in zip(x.shape[-2:], size, strict=True))
    x = x.permute(0, 2, 3, 1)  # pictures lie so in memory
    lines = (x.index_select(1, places) for places in rows[:2])
    upper, lower = (
        torch.lerp(*(line.index_select(2, places).float() for places in columns[:2]), columns[2][:, None])
        for line in lines
    )
    return torch.lerp(upper, lower, rows[2][:, None, None]).permute(0, 3, 1, 2).contiguous()


def _between(old: int, new: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Return the two old places that each new one lies between, and how far it is from the first to the second."""
    at = torch.arange(new, device=device, dtype=torch.float32) * ((old - 1) / max(new - 1, 1))
    first = at.long().clamp_(max=old - 1)
    return first, (first + 1).clamp_(max=old - 1), at - first


def shares(picture: Tensor) -> Tensor:
    """Return a picture of bytes as one of 0 to 1; another as it is."""
    return picture.float().div_(255) if picture.dtype == torch.uint8 else picture


def halve(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=0.5, mode="bilinear", align_corners=True)


def conv(inputs: int, outputs: int, kernel: int, stride: int = 1, *, bias: bool = False) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=bias)


def conv_norm(inputs: int, outputs: int, kernel: int, stride: int = 1, *, relu: bool = True) -> nn.Sequential:
    """A convolution without bias, its normalisation, and a ReLU if wished."""
    parts: list[nn.Module] = [conv(inputs, outputs, kernel, stride), nn.BatchNorm2d(outputs)]
    return nn.Sequential(*parts, *([nn.ReLU(inplace=True)] if relu else []))


class Scale(nn.Module):
    """Multiplies by the size of one learned number."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale.abs()


def click_stem(channels: int, outputs: int = 64, stride: int = 2) -> nn.Sequential:
    """What brings the maps of clicks (and the previous mask) to where the picture's first features are."""
    return nn.Sequential(
        nn.Conv2d(channels, 16, 1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(16, outputs, 3, stride, 1),
        Scale(),
    )


def disks(points: Tensor, size: tuple[int, int], radius: float) -> Tensor:
    """Return maps (b, 2, h, w) that are 1 within ``radius`` of a positive (first) or negative (second) click.

    ``points`` is (b, 2n, 3): n positive rows, then n negative ones, each y, x and an order; a row whose y and x
    are both below 0 is no click.
    """
    batch, count = points.shape[0], points.shape[1] // 2
    maps = points.new_zeros(batch, 2, *size, dtype=torch.float32)
    rows = torch.arange(size[0], device=points.device, dtype=torch.float32)
    columns = torch.arange(size[1], device=points.device, dtype=torch.float32)
    for picture, given in enumerate(points[..., :2].float().tolist()):
        for number, (y, x) in enumerate(given[: 2 * count]):
            if max(y, x) < 0:
                continue
            # Only what lies near is looked at: a click is small, and the picture may be large.
            down, across = (_near(at, radius, limit) for at, limit in zip((y, x), size, strict=True))
            distance = (rows[down, None] - y) ** 2 + (columns[None, across] - x) ** 2
            part = maps[picture, number // count, down, across]
            part.copy_(torch.maximum(part, (distance <= radius**2).float()))
    return maps


def _near(at: float, radius: float, limit: int) -> slice:
    """Return the places of 0 to ``limit`` that may lie within ``radius``."""
    first = min(max(math.floor(at - radius), 0), limit)
    return slice(first, min(max(math.ceil(at + radius) + 1, first), limit))


class SeparableConv(nn.Module):
    """A convolution of each channel by itself, then one across channels; ``bias`` is of the first."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, *, bias: bool = True) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, inputs, kernel, 1, kernel // 2, groups=inputs, bias=bias),
            nn.Conv2d(inputs, outputs, 1, bias=bias),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


def normalised(image: Tensor) -> Tensor:
    """Return a picture (b, 3, h, w) of 0 to 1 as the backbones expect it."""
    mean, std = (torch.tensor(v, device=image.device).view(1, 3, 1, 1) for v in (MEAN, STD))
    return (image - mean) / std
