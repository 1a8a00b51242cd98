"""CDNet's two diffusions: of features, by what clicked pixels are like, and of the answer, along alike colours.

Chen et al., Conditional Diffusion for Interactive Segmentation, 2021.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models._clicks.layers import SeparableConv

DILATIONS = (1, 2, 4, 8)
SURE_GATE = 0.8
UNSURE = 0.25  # an answer (-1 to 1) nearer to 0 than this is left to its neighbours
CLICKED = 10.0
ROUNDS = 5
SHARPNESS = 0.1


class Gate(nn.Module):
    """How much each pixel belongs to the object, a first guess, as logits."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(SeparableConv(channels, channels, bias=False), nn.Conv2d(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class FeatureDiffusion(nn.Module):
    """Gives each pixel features of the pixels like it among those clicked or surely of one side."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gate_head_pos = Gate(channels)
        self.t, self.p, self.g, self.z, self.z2 = (
            nn.Conv2d(channels, channels, 1, bias=False) for _ in range(5)
        )
        self.bn, self.bn2 = nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)

    def forward(self, x: Tensor, clicks: Tensor) -> tuple[Tensor, Tensor]:
        """Return features (b, c, h, w) and the gate (b, 1, h, w); ``clicks`` is (b, 2, h, w)."""
        gate = torch.sigmoid(self.gate_head_pos(x))
        alike = self.t(x).flatten(2).transpose(1, 2) @ self.p(x).flatten(2)  # query by key
        values = self.g(x).flatten(2).transpose(1, 2)
        parts = []
        for side, share in ((clicks[:, :1], gate), (clicks[:, 1:], 1 - gate)):
            weight = (side + (share > SURE_GATE).float()).flatten(2)  # (b, 1, keys)
            found = (alike * weight).softmax(-1) @ values * share.flatten(2).transpose(1, 2)
            parts.append(found.transpose(1, 2).reshape(x.shape))
        return x + self.bn(self.z(parts[0])) + self.bn2(self.z2(parts[1])), gate


def diffuse(image: Tensor, logits: Tensor, clicks: Tensor) -> Tensor:
    """Return logits (b, 1, h, w) spread along alike colours of a picture of 0 to 1; clicked pixels hold fast."""
    answer = 2 * torch.sigmoid(logits) - 1
    kept = answer
    answer = torch.where(answer.abs() <= UNSURE, torch.zeros_like(answer), answer)
    around = _neighbours(image)  # (b, 3, 32, h, w)
    centre = image[:, :, None]
    every = torch.cat([around, centre.expand(-1, -1, len(DILATIONS), -1, -1)], 2)
    spread = every.std(2, keepdim=True, unbiased=True)
    affinity = -(centre - around).abs() / (1e-8 + SHARPNESS * spread)
    share = affinity.mean(1).softmax(1)  # (b, 32, h, w)
    answer = answer + CLICKED * clicks[:, :1] - CLICKED * clicks[:, 1:]
    for _ in range(ROUNDS):
        answer = (_neighbours(answer)[:, 0] * share).sum(1, keepdim=True)
    return answer + kept


def _neighbours(x: Tensor) -> Tensor:
    """Return the eight neighbours of each pixel at each distance, (b, c, 32, h, w); the border is repeated."""
    height, width = x.shape[-2:]
    found = []
    for step in DILATIONS:
        padded = F.pad(x, (step, step, step, step), mode="replicate")
        for row in (0, 1, 2):
            for column in (0, 1, 2):
                if (row, column) != (1, 1):
                    found.append(
                        padded[:, :, row * step : row * step + height, column * step : column * step + width]
                    )
    return torch.stack(found, 2)
