"""A Florence-2 of a few thousand random weights, and a processor that needs no download."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.models.tiny_sam2 import shake

SIDE = 64
PLACES = [f"<loc_{i}>" for i in range(1000)]
KINDS = (
    "pure_text",
    "description_with_bboxes",
    "description_with_polygons",
    "polygons",
    "bboxes",
    "description_with_bboxes_or_polygons",
)


def tiny_processor() -> Any:
    """A processor as the hub's checkpoints have it: letters for words, and all location tokens."""
    import transformers
    from tokenizers.pre_tokenizers import ByteLevel

    pieces = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *sorted(ByteLevel.alphabet())]
    tokenizer = transformers.BartTokenizer(
        vocab={piece: i for i, piece in enumerate(pieces)},
        merges=[],
        extra_special_tokens={"image_token": "<image>"},
    )
    tokenizer.add_tokens(["<od>", "</od>", *PLACES, "<poly>", "</poly>", "<sep>"])
    images = transformers.CLIPImageProcessor(
        size={"height": SIDE, "width": SIDE}, do_center_crop=False, resample=3, image_seq_length=5
    )
    rules: dict[str, Any] = {kind: {} for kind in KINDS}
    rules["phrase_grounding"] = {"banned_grounding_tokens": ["the image"]}
    rules["ocr"] = {"PATTERN": r"(.+?)" + r"<loc_(\d+)>" * 8, "AREA_THRESHOLD": 0.0}
    return transformers.Florence2Processor(images, tokenizer, post_processor_config=rules)


def tiny_checkpoint(folder: Path, *, positions: int = 64) -> None:
    """Write a checkpoint of random weights, ``positions`` tokens long at most."""
    import torch
    import transformers

    torch.manual_seed(0)
    processor = tiny_processor()
    text = dict(
        model_type="bart",
        vocab_size=len(processor.tokenizer),
        d_model=32,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=64,
        decoder_ffn_dim=64,
        max_position_embeddings=positions,
    )
    vision = dict(
        depths=[1, 1, 1, 1],
        embed_dim=[8, 16, 24, 32],
        num_heads=[1, 2, 2, 2],
        num_groups=[1, 2, 2, 2],
        window_size=4,
        projection_dim=32,
    )
    config = transformers.Florence2Config(
        text_config=text, vision_config=vision, image_token_id=processor.image_token_id
    )
    model = transformers.Florence2ForConditionalGeneration(config)
    shake(model)
    # As in the hub's checkpoints, which are used by beam search and forbid repetition.
    model.generation_config.update(num_beams=3, no_repeat_ngram_size=3, early_stopping=True)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
