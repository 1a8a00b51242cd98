"""RITM: clicks answered one after the other, each from the mask before (Sofiiuk et al., 2021)."""

from __future__ import annotations

from functools import partial

from models._clicks.cards import CLICKS, clicks_card, examined
from studio.adapters import Address, Card, CheckpointKind, Download

RELEASE = "https://github.com/saic-vul/ritm_interactive_segmentation/releases/download/v1.0"
LICENCE = "MIT"

# Name of the file, title, its size, rank, note. The sizes are those that the authors tell.
PUBLISHED = (
    ("coco_lvis_h18s_itermask", "HRNet18s", 17_300_000, 60, "The smallest and quickest of RITM."),
    ("coco_lvis_h18_itermask", "HRNet18", 40_700_000, 61, "Finer than HRNet18s, at twice its time."),
    ("coco_lvis_h32_itermask", "HRNet32", 124_800_000, 62, "The finest of RITM on most pictures."),
    (
        "sbd_h18_itermask",
        "HRNet18 (SBD)",
        40_700_000,
        63,
        "Learnt from SBD; the others know far more things.",
    ),
)


def _published(name: str, title: str, size: int, rank: int, note: str) -> Card:
    return clicks_card(
        id=f"ritm-{name.removesuffix('_itermask').replace('_', '-')}",
        title=f"RITM {title}",
        family="RITM",
        licence=LICENCE,
        download=Download("", size, addresses=(Address(f"{RELEASE}/{name}.pth", size),)),
        weights=size,
        note=note,
        rank=rank,
    )


def _added(variant: str, size: int) -> Card:
    return clicks_card(id="ritm", title=f"RITM {variant}", family="RITM", weights=size, note=CLICKS)


CARDS = [_published(*facts) for facts in PUBLISHED]

CHECKPOINTS = [
    CheckpointKind("ritm", "RITM (.pth)", partial(examined, "ritm"), _added),
]
