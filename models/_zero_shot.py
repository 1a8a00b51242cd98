"""Loading the detectors that look for what phrases name."""

from __future__ import annotations

from typing import Any


def load_parts(folder: str | None) -> tuple[Any, Any, Any]:
    """Return the model of a folder in float32, with its image processor and its tokenizer."""
    import torch
    from transformers import AutoImageProcessor, AutoModelForZeroShotObjectDetection, AutoTokenizer

    model = AutoModelForZeroShotObjectDetection.from_pretrained(
        folder, dtype=torch.float32, local_files_only=True
    )
    model.requires_grad_(False)
    processor = AutoImageProcessor.from_pretrained(folder, local_files_only=True)
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    return model, processor, tokenizer
