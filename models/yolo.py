"""YOLO11 and YOLO26: things, masks, joints and whole pictures of a fixed list of classes, in one look.

By the ultralytics package. Pixels, overlaps and masks are treated as ultralytics' own predictor treats a single
picture (Jocher and Qiu, Ultralytics YOLO11, 2024, and YOLO26, 2026), so that the same weights give the same boxes.
The package is AGPL-3.0.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from models._demo import demo_cards
from studio.adapters import Card, Download

LICENCE = "AGPL-3.0"


@dataclass(frozen=True)
class YoloOptions:
    side: int = field(
        default=0,
        metadata={
            "help": "Longer side of the picture as the network sees it, in pixels. More finds smaller things and "
            "takes longer; 0 is what the model was trained at.",
            "min": 0,
            "max": 2560,
            "step": 32,
        },
    )
    full_precision: bool = field(
        default=False,
        metadata={"help": "Compute in 32 bits on a graphics card too. Slower; boxes hardly differ."},
    )


def load_yolo(folder: str | None, device: str, options: YoloOptions, file: str | None = None) -> Any:
    """Load ``file``, a pickle of ultralytics in the folder; without it, config.json and model.safetensors."""
    from models._yolo import checkpoint
    from models._yolo.classifier import YoloClassifier
    from models._yolo.detector import YoloDetector

    read = checkpoint.read(Path(folder or ""), file)
    network = checkpoint.build(read)
    side, exact = options.side or read.side, options.full_precision
    if read.task == "classify":
        return YoloClassifier(network, read.names, side, device, full_precision=exact)
    return YoloDetector(network, read.names, side, device, keypoints=read.keypoints, full_precision=exact)


@dataclass(frozen=True)
class Work:
    """What networks of a family do: the end of their names, what their title adds, their role, and what they know."""

    suffix: str
    title: str
    role: str
    knows: str
    rank: int


BOXES = Work("", "", "detector", "Knows the 80 classes of COCO.", 40)
MASKS = Work("-seg", " with masks", "detector", "Knows the 80 classes of COCO.", 60)
JOINTS = Work("-pose", " with joints", "detector", "Knows people and their 17 joints.", 80)
WHOLE = Work("-cls", " classification", "classifier", "Knows the 1000 classes of ImageNet.", 40)
SHARED = "AGPL-3.0: who offers it to others over a network owes them the source too."
NOTES = (
    ("n", "The quickest; good on a processor."),
    ("s", "Finds more than n, at about twice its time."),
    ("m", "Best with a graphics card."),
    ("l", "A little finer than m."),
    ("x", "The finest and slowest of the family."),
)
# Thousands of parameters of the networks n, s, m, l and x. A file holds two bytes for each, and some more.
FAMILIES = (
    ("11", BOXES, (2_624, 9_458, 20_114, 25_372, 56_966), 10),
    ("11", MASKS, (2_876, 10_113, 22_420, 27_678, 62_094), 10),
    ("11", JOINTS, (2_909, 9_949, 20_973, 26_231, 58_890), 10),
    ("11", WHOLE, (2_812, 6_724, 11_634, 14_116, 29_637), 10),
    ("26", BOXES, (2_572, 10_010, 21_896, 26_300, 58_993), 0),
    ("26", MASKS, (3_126, 11_506, 27_112, 31_516, 70_694), 0),
    ("26", JOINTS, (3_748, 11_870, 24_344, 28_748, 62_914), 0),
    ("26", WHOLE, (2_812, 6_724, 11_634, 14_116, 29_637), 0),
)


def _card(family: str, work: Work, place: int, thousands: int, later: int) -> Card:
    size, note = NOTES[place]
    name = f"yolo{family}{size}{work.suffix}"
    return Card(
        id=name,
        title=f"YOLO{family}{size}{work.title}",
        family=f"YOLO{family}",
        roles=(work.role,),
        prompts=(),
        licence=LICENCE,
        load=partial(load_yolo, file=f"{name}.pt"),
        memory_bytes=300_000_000 + thousands * 20_000,
        version=family,
        download=Download(f"Ultralytics/YOLO{family}", 350_000 + 2_015 * thousands, patterns=(f"{name}.pt",)),
        options=YoloOptions,
        packages=("ultralytics-opencv-headless",),
        note=f"{note} {work.knows} {SHARED}",
        rank=work.rank + later + place,
    )


CARDS = [
    _card(family, work, place, thousands, later)
    for family, work, sizes, later in FAMILIES
    for place, thousands in enumerate(sizes)
]
_BY_ID = {card.id: card for card in CARDS}
CARDS += [
    *demo_cards("yolo-detect", _BY_ID["yolo11n"], title="Demo YOLO11n", licence=LICENCE, load=load_yolo),
    *demo_cards(
        "yolo-segment",
        _BY_ID["yolo11n-seg"],
        title="Demo YOLO11n with masks",
        licence=LICENCE,
        load=load_yolo,
    ),
]
