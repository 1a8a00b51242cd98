"""BLIPs of a few thousand random weights, and a processor that needs no download."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.models.tiny_sam2 import shake

SIDE = 64


def tiny_processor() -> Any:
    import transformers

    letters = [chr(i) for i in range(33, 127) if not chr(i).isupper()]
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]", *letters, *(f"##{c}" for c in letters)]
    tokenizer = transformers.BertTokenizer(vocab={piece: i for i, piece in enumerate(pieces)})
    tokenizer.add_special_tokens({"bos_token": "[DEC]"})
    images = transformers.BlipImageProcessor(size={"height": SIDE, "width": SIDE})
    return transformers.BlipProcessor(images, tokenizer)


def tiny_checkpoint(folder: Path, kind: str) -> None:
    """Write a checkpoint of one of transformers' classes of BLIP."""
    import torch
    import transformers

    torch.manual_seed(0)
    processor = tiny_processor()
    shared = dict(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64)
    text = dict(
        vocab_size=len(processor.tokenizer),
        encoder_hidden_size=32,
        max_position_embeddings=48,
        bos_token_id=5,
        sep_token_id=3,
        eos_token_id=3,
        pad_token_id=0,
        **shared,
    )
    vision = dict(image_size=SIDE, patch_size=16, **shared)
    config = transformers.BlipConfig(text_config=text, vision_config=vision, projection_dim=16)
    model = getattr(transformers, kind)(config)
    shake(model)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
