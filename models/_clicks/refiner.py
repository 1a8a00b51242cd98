"""FocalClick's refiner: outlines made finer within a crop around the last change.

Chen et al., FocalClick: Towards Practical Interactive Image Segmentation, 2022.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchvision.ops import roi_align

from models._clicks.layers import disks, resize

CHANNELS = 32


class _Conv(nn.Module):
    def __init__(self, inputs: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, CHANNELS, kernel, stride, kernel // 2)
        self.norm = nn.BatchNorm2d(CHANNELS)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.norm(self.conv(x)))


class _Separable(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv3x3 = nn.Conv2d(CHANNELS, CHANNELS, 3, 1, 1, groups=CHANNELS)
        self.conv1x1 = nn.Conv2d(CHANNELS, CHANNELS, 1)
        self.norm = nn.BatchNorm2d(CHANNELS)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.norm(self.conv1x1(self.conv3x3(x))))


class Refiner(nn.Module):
    """From a crop of the picture and what the coarse network made of its region to finer logits."""

    def __init__(self, feature_channels: int, *, gate: bool) -> None:
        super().__init__()
        self.image_conv1 = _Conv(6, 3, 2)
        self.image_conv2, self.image_conv3 = _Separable(), _Separable()
        self.refine_fusion = _Conv(feature_channels, 1, 1)
        self.refine_fusion2, self.refine_fusion3 = _Separable(), _Separable()
        if gate:  # in the checkpoints of the SegFormer variant, and never computed with
            self.feature_gate = nn.Sequential(nn.Conv2d(CHANNELS, 1, 1))
        self.refine_pred = nn.Conv2d(CHANNELS, 1, 3, 1, 1)
        self.refine_trimap = nn.Conv2d(CHANNELS, 1, 3, 1, 1)

    def forward(
        self, crop: Tensor, points: Tensor, features: Tensor, logits: Tensor, box: Tensor, radius: float
    ) -> dict[str, Tensor]:
        """Return ``refined``, ``trimap`` and ``coarse`` logits (1, 1, s, s).

        ``crop`` is (1, 3, s, s) of 0 to 1; ``box`` is (1, 5): 0, x0, y0, x1, y1 in the coarse input's pixels.
        """
        size = tuple(crop.shape[-2:])
        scale = features.shape[-1] / logits.shape[-1]
        seen = roi_align(features, box, tuple(features.shape[-2:]), scale, -1, True)
        coarse = roi_align(logits, box, size, 1.0, -1, True)
        x = torch.cat([crop, disks(points, size, radius), torch.sigmoid(coarse)], 1)
        x = self.image_conv3(self.image_conv2(self.image_conv1(x)))
        x = x + resize(self.refine_fusion(seen), x.shape[-2:])
        x = self.refine_fusion3(self.refine_fusion2(x))
        wished, trimap = resize(self.refine_pred(x), size), resize(self.refine_trimap(x), size)
        share = torch.sigmoid(trimap)
        return {"refined": wished * share + coarse * (1 - share), "trimap": trimap, "coarse": coarse}
