"""SAM 2.1 and EdgeTAM: objects cut out by clicks, boxes and masks, through transformers."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from models._demo import demo_cards
from models._sam.memory import Sam2Follower
from models._sam.sam2 import Sam2Segmenter
from studio.adapters import Card, Download


@dataclass(frozen=True)
class Sam2Options:
    full_precision: bool = field(
        default=False,
        metadata={"help": "Compute in 32 bits on a graphics card too. Slower; masks hardly differ."},
    )


def _statistics(folder: Path) -> dict[str, tuple[float, ...]]:
    """Return the mean and spread of pixels where the checkpoint's processor names them."""
    for name in ("preprocessor_config.json", "processor_config.json"):
        try:
            settings = json.loads((folder / name).read_text("utf-8"))
        except (OSError, ValueError):
            continue
        settings = settings.get("image_processor", settings)
        if len(settings.get("image_mean") or ()) == len(settings.get("image_std") or ()) == 3:
            return {"mean": tuple(settings["image_mean"]), "std": tuple(settings["image_std"])}
    return {}


def _has_memory(folder: str | None) -> bool:
    """Say whether a checkpoint holds the video model, as the hub's do, or the image model alone."""
    try:
        settings = json.loads((Path(folder or "") / "config.json").read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return settings.get("model_type") == "sam2_video"


def _load(architecture: str, folder: str | None, device: str, options: Sam2Options) -> Sam2Segmenter:
    import torch
    import transformers

    # The hub's checkpoints are those of the video model, which holds the image model and more: where the image
    # model alone is built, as for EdgeTAM, transformers warns of that at each load.
    before = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity_error()
    try:
        model = getattr(transformers, architecture).from_pretrained(
            folder, dtype=torch.float32, local_files_only=True
        )
    finally:
        transformers.logging.set_verbosity(before)
    model.requires_grad_(False)
    adapter = Sam2Follower if architecture == "Sam2VideoModel" else Sam2Segmenter
    return adapter(model, device, full_precision=options.full_precision, **_statistics(Path(folder or "")))


def load_sam2(folder: str | None, device: str, options: Sam2Options) -> Sam2Segmenter:
    """Return a Sam2Follower where the checkpoint holds the video model, else a segmenter alone."""
    architecture = "Sam2VideoModel" if _has_memory(folder) else "Sam2Model"
    return _load(architecture, folder, device, options)


def load_edgetam(folder: str | None, device: str, options: Sam2Options) -> Sam2Segmenter:
    return _load("EdgeTamModel", folder, device, options)


def _card(size: str, title: str, download: int, memory: int, rank: int, note: str) -> Card:
    return Card(
        id=f"sam2.1-{size}",
        title=f"SAM 2.1 {title}",
        family="SAM 2",
        roles=("segmenter", "follower"),
        prompts=("point", "box", "mask"),
        licence="Apache-2.0",
        load=load_sam2,
        memory_bytes=memory,
        version="2.1",
        download=Download(
            f"facebook/sam2.1-hiera-{size}", download, patterns=("*.json", "model*.safetensors")
        ),
        options=Sam2Options,
        note=note,
        rank=rank,
    )


TINY = _card("tiny", "tiny", 155_900_000, 900_000_000, 10, "The quickest of SAM 2.1.")

CARDS = [
    TINY,
    _card("small", "small", 184_300_000, 1_000_000_000, 11, "A little finer than tiny."),
    _card(
        "base-plus", "base+", 323_500_000, 1_300_000_000, 12, "Finer outlines; about twice as slow as tiny."
    ),
    _card("large", "large", 897_900_000, 2_200_000_000, 13, "The finest; best with a graphics card."),
    Card(
        id="edgetam",
        title="EdgeTAM",
        family="SAM 2",
        roles=("segmenter",),
        prompts=("point", "box", "mask"),
        licence="Apache-2.0",
        load=load_edgetam,
        memory_bytes=700_000_000,
        download=Download("yonigozlan/EdgeTAM-hf", 55_900_000, patterns=("*.json", "model*.safetensors")),
        options=Sam2Options,
        packages=("timm",),
        note="SAM 2 made small enough for telephones: opens an image several times faster on a processor.",
        rank=14,
    ),
    # Trained on single scenes: it has no memory to follow with.
    *demo_cards("sam2", TINY, title="Demo SAM 2.1", roles=("segmenter",)),
]
