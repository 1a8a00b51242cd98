"""RITM's network: HRNet that sees the picture, the clicks as disks, and the previous mask.

Sofiiuk et al., Reviving Iterative Training with Mask Guidance for Interactive Segmentation, 2021.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from models._clicks.hrnet import HighResolution
from models._clicks.layers import click_stem, disks, halve, normalised, resize, shares
from models._clicks.zoom import Click, Region, ZoomRules, as_points, mirrored, paste

# As RITM's program for people looks, and as its evaluation does; the second needs a mask above 0.49.
DEMO = ZoomRules(skip=-1, least=200, threshold=0.5, side=400)
EVALUATION = ZoomRules(skip=1, least=200, threshold=0.5, side=400, keep_aspect=True)


@dataclass(frozen=True)
class State:
    """What the next click starts from: the probability (h, w) of each pixel, and the region looked at.

    ``merged`` is the mask shown instead where an earlier mask was corrected; the network goes on from its own
    answer, the closer look from what is shown.
    """

    probability: np.ndarray
    region: Region | None = None
    merged: np.ndarray | None = None

    @property
    def shown(self) -> np.ndarray:
        return self.probability if self.merged is None else self.merged

    @property
    def nbytes(self) -> int:
        return self.probability.nbytes + (0 if self.merged is None else self.merged.nbytes)


class ClickNetwork(nn.Module):
    """From a picture with its previous mask (b, 4, h, w; 0 to 1) and clicks (b, 2n, 3) to logits (b, 1, h, w).

    ``halved`` shows the network half of each side, as FocalClick's S1 does.
    """

    def __init__(
        self, width: int, ocr_width: int, *, small: bool, radius: float = 5, halved: bool = False
    ) -> None:
        super().__init__()
        self.radius, self.halved = radius, halved
        self.maps_transform = click_stem(3)
        self.feature_extractor = HighResolution(width, ocr_width, small=small)

    def forward(self, picture: Tensor, points: Tensor) -> dict[str, Tensor]:
        size = tuple(picture.shape[-2:])
        image, previous = picture[:, :3], picture[:, 3:]
        maps = torch.cat([previous, disks(points, size, self.radius)], 1)
        image = normalised(image)
        if self.halved:
            image, maps = halve(image), halve(maps)
        logits, auxiliary, features = self.feature_extractor(image, self.maps_transform(maps))
        return {
            "instances": resize(logits, size),
            "aux": resize(auxiliary, size),
            "features": features,
        }


def answer(
    network: ClickNetwork,
    picture: Tensor,
    clicks: Sequence[Click],
    before: State | None,
    rules: ZoomRules = DEMO,
) -> State:
    """Return what the network makes of all clicks so far on a picture (1, 3, h, w), uint8 or 0 to 1.

    The network sees the picture and its mirror image, and the mean of both logits counts.
    """
    size = (picture.shape[-2], picture.shape[-1])
    probability = None if before is None else before.probability
    region, stored = rules.region(clicks, probability, before.region if before else None, size)
    previous = np.zeros(size, np.float32) if probability is None else probability
    part, moved = rules.cut(picture, clicks, region)
    known, _ = rules.cut(torch.from_numpy(previous).to(picture.device)[None, None], clicks, region)
    part = torch.cat([shares(part), known], 1)
    points = torch.cat([as_points(moved), as_points(mirrored(moved, part.shape[-1]))]).to(picture.device)
    logits = network(torch.cat([part, part.flip(-1)]), points)["instances"]
    mean = 0.5 * (logits[:1] + logits[1:].flip(-1))
    whole = paste(torch.sigmoid(mean), stored, size)
    return State(whole[0, 0].float().cpu().numpy(), stored)
