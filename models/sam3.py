"""SAM 3: everything that a phrase or an example names, and single objects by clicks, through transformers.

Examples are boxes on the image that is searched; SAM 3 takes none from another image.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from models._sam.sam3 import Sam3
from studio.adapters import Card, Download


@dataclass(frozen=True)
class Sam3Options:
    full_precision: bool = field(
        default=False,
        metadata={"help": "Compute in 32 bits on a graphics card too. Slower; masks hardly differ."},
    )


def load(folder: str | None, device: str, options: Sam3Options) -> Sam3:
    """Load both halves from one folder, which as on the hub may hold the video model with all of its parts."""
    import torch
    import transformers

    # Of the video model's weights each half leaves the other's aside; transformers would list these at each load.
    before = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity_error()
    try:
        detector, tracker = (
            kind.from_pretrained(folder, dtype=torch.float32, local_files_only=True).requires_grad_(False)
            for kind in (transformers.Sam3Model, transformers.Sam3TrackerModel)
        )
    finally:
        transformers.logging.set_verbosity(before)
    processor = transformers.Sam3Processor.from_pretrained(folder, local_files_only=True)
    return Sam3(detector, tracker, processor, device, full_precision=options.full_precision)


CARDS = [
    Card(
        id="sam3",
        title="SAM 3",
        family="SAM 3",
        roles=("segmenter", "text-detector", "example-detector"),
        prompts=("point", "box", "mask", "text", "reference"),
        licence="SAM License",
        load=load,
        memory_bytes=6_000_000_000,
        version="3",
        download=Download(
            "facebook/sam3",
            3_440_000_000,
            patterns=("*.json", "model*.safetensors", "merges.txt"),
            gated=True,
        ),
        options=Sam3Options,
        note="Finds everything that a phrase names, and cuts out what is clicked. Best with a graphics card.",
        rank=15,
        examples_travel=False,
    ),
]
