"""YOLO-World: what phrases name, in one quick look, by the ultralytics package.

Boxes are placed by a YOLOv8 whose features are compared with those of the phrases (Cheng et al., YOLO-World:
Real-Time Open-Vocabulary Object Detection, 2024). Phrases are read by the text half of OpenAI's CLIP ViT-B/32, through
open_clip, from weights that come with the download. The ultralytics package is AGPL-3.0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from studio.adapters import Address, Card, Download
from studio.errors import BadInput

SHARED = "AGPL-3.0: who offers it to others over a network owes them the source too."
NETWORKS = "https://github.com/ultralytics/assets/releases/download/v8.3.0"
TEXT_FILE = "open_clip_model.safetensors"
TEXTS = Address(
    f"https://huggingface.co/timm/vit_base_patch32_clip_224.openai/resolve/main/{TEXT_FILE}", 605_200_000
)
TEXT_MODEL = "ViT-B-32"
TEXT_BATCH = 256  # phrases that are read together


@dataclass(frozen=True)
class YoloWorldOptions:
    side: int = field(
        default=640,
        metadata={
            "help": "Longer side of the picture as the network sees it, in pixels. More finds smaller things and "
            "takes longer.",
            "min": 160,
            "max": 2560,
            "step": 32,
        },
    )
    apart: bool = field(
        default=False,
        metadata={
            "help": "Ask for each phrase by itself, as it is done anyway with a list of more than 80: what is found "
            "then does not depend on what else is asked for. Slower by the number of phrases."
        },
    )
    packed: bool = field(
        default=False,
        metadata={
            "help": "Read a long list too at once. Much quicker, but what a phrase finds then depends on the others."
        },
    )
    full_precision: bool = field(
        default=False,
        metadata={"help": "Compute in 32 bits on a graphics card too. Slower; boxes hardly differ."},
    )


def load(folder: str | None, device: str, options: YoloWorldOptions, file: str = "") -> Any:
    """Load a network of ultralytics and the text half of CLIP from a folder that holds both."""
    from models._yolo import world

    network = world.read(Path(folder or "") / file)
    texts = reader(Path(folder or "") / TEXT_FILE, device)
    return world.YoloWorld(
        network,
        texts,
        options.side,
        device,
        apart=options.apart,
        packed=options.packed,
        full_precision=options.full_precision,
    )


def reader(weights: Path, device: str) -> Any:
    """Return what turns phrases into unit vectors (n, 512), as ultralytics reads them: too long ones are cut."""
    import open_clip
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    model = open_clip.create_model(TEXT_MODEL, pretrained=None, force_quick_gelu=True)
    try:
        tensors = load_file(weights)
        model.load_state_dict(tensors, strict=False)
        missing = set(model.state_dict()) - set(tensors)
    except (OSError, RuntimeError, SafetensorError) as error:
        raise BadInput(f"{weights.name} cannot be read: {str(error)[:200]}") from None
    if any(not name.startswith("visual.") for name in missing):
        raise BadInput(f"{weights.name} does not hold the text half of CLIP {TEXT_MODEL}.")
    del model.visual
    model = model.to(device).eval().requires_grad_(False)
    tokenizer = open_clip.get_tokenizer(TEXT_MODEL)

    def read(phrases: Sequence[str]) -> Any:
        parts = []
        for start in range(0, len(phrases), TEXT_BATCH):
            tokens = tokenizer(list(phrases[start : start + TEXT_BATCH])).to(device)
            parts.append(torch.nn.functional.normalize(model.encode_text(tokens).float(), dim=-1))
        return torch.cat(parts)

    return read


def _card(size: str, thousands: int, rank: int, note: str) -> Card:
    file = f"yolov8{size}-worldv2.pt"
    network = Address(f"{NETWORKS}/{file}", 400_000 + 2_015 * thousands)
    return Card(
        id=f"yolo-world-{size}",
        title=f"YOLO-World {size}",
        family="YOLO-World",
        roles=("text-detector",),
        prompts=("text",),
        licence="AGPL-3.0",
        load=partial(load, file=file),
        memory_bytes=1_000_000_000 + thousands * 20_000,
        version="2",
        download=Download("", network.bytes + TEXTS.bytes, addresses=(network, TEXTS)),
        options=YoloWorldOptions,
        packages=("ultralytics-opencv-headless", "open_clip_torch"),
        note=f"{note} {SHARED}",
        rank=rank,
    )


CARDS = [
    _card("s", 12_760, 40, "The quickest to find what phrases name; less exact with rare ones."),
    _card("m", 28_376, 41, "Finds more than s; best with a graphics card."),
    _card("l", 46_832, 42, "A little finer than m."),
    _card("x", 72_886, 43, "The finest and slowest of the family."),
]
