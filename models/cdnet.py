"""CDNet: clicks spread to what looks alike, in features and in pixels (Chen et al., 2021)."""

from __future__ import annotations

from functools import partial

from models._clicks.cards import CLICKS, CLICKSEG_COPY, clicks_card, examined
from studio.adapters import Address, Card, CheckpointKind, Download

SIZE = 94_100_000  # as the authors tell it

# Name of the file, what it learnt from, rank.
COPIED = (("resnet34_1", "COCO+LVIS", 68), ("resnet34_0", "SBD", 69))


def _copied(name: str, learnt: str, rank: int) -> Card:
    return clicks_card(
        id=f"cdnet-{learnt.lower().replace('+', '-')}",
        title=f"CDNet ResNet34 ({learnt})",
        family="CDNet",
        licence="MIT",
        download=Download("", SIZE, addresses=(Address(f"{CLICKSEG_COPY}/{name}.pth", SIZE),)),
        weights=SIZE,
        memory_bytes=1_200_000_000,
        note="Older than FocalClick, and from the same authors. From Supervisely's copy of their files.",
        rank=rank,
    )


def _added(variant: str, size: int) -> Card:
    return clicks_card(
        id="cdnet",
        title=f"CDNet {variant}",
        family="CDNet",
        weights=size,
        memory_bytes=1_200_000_000,
        note=CLICKS,
    )


CARDS = [_copied(*facts) for facts in COPIED]

CHECKPOINTS = [
    CheckpointKind("cdnet", "CDNet (.pth)", partial(examined, "cdnet"), _added),
]
