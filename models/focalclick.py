"""FocalClick: a quick look at the object, a closer one at what the last click changed (Chen et al., 2022)."""

from __future__ import annotations

from functools import partial

from models._clicks.cards import CLICKS, CLICKSEG_COPY, clicks_card, examined
from studio.adapters import Address, Card, CheckpointKind, Download

SEGFORMER = "Its SegFormer began from NVIDIA's weights, which are not for commercial use."
LICENCE = "MIT; its SegFormer: NVIDIA, non-commercial"

# Name of the file, title, its size as the authors tell it, rank, note.
COPIED = (
    ("segformerb0-s1_6", "SegFormer-B0 S1", 15_100_000, 66, "The quickest of FocalClick."),
    ("segformerb0-s2_7", "SegFormer-B0 S2", 15_100_000, 65, "Quick, and finer than S1."),
    ("segformerb3-s2_8", "SegFormer-B3 S2", 183_100_000, 67, "Finer; learnt from COCO and LVIS."),
    (
        "segformerb3-s2_9",
        "SegFormer-B3 S2, combined",
        183_100_000,
        64,
        "The finest; learnt from eight data sets.",
    ),
)


def _copied(name: str, title: str, size: int, rank: int, note: str) -> Card:
    words = title.lower().replace(",", "").split()
    return clicks_card(
        id=f"focalclick-{'-'.join(words).replace('segformer-', '')}",
        title=f"FocalClick {title}",
        family="FocalClick",
        licence=LICENCE,
        commercial=False,
        download=Download("", size, addresses=(Address(f"{CLICKSEG_COPY}/{name}.pth", size),)),
        weights=size,
        note=f"{note} From Supervisely's copy of the authors' files.",
        rank=rank,
    )


def _added(variant: str, size: int) -> Card:
    of_nvidia = variant.startswith("SegFormer")
    return clicks_card(
        id="focalclick",
        title=f"FocalClick {variant}",
        family="FocalClick",
        weights=size,
        note=f"{CLICKS} {SEGFORMER}" if of_nvidia else CLICKS,
        commercial=not of_nvidia,
    )


CARDS = [_copied(*facts) for facts in COPIED]

CHECKPOINTS = [
    CheckpointKind("focalclick", "FocalClick (.pth)", partial(examined, "focalclick"), _added),
]
