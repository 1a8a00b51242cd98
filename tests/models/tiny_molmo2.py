"""A Molmo 2 of a few thousand random weights, and a processor that needs no download."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.models.tiny_sam2 import shake

TAGS = [
    "<im_start>", "<im_end>", "<im_patch>", "<im_col>", "<low_res_im_start>", "<im_low>", "<frame_start>",
    "<frame_end>", "<|image|>", "<|video|>", "<|im_start|>", "<|im_end|>",
]  # fmt: skip
CHAT = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n"
    "{% for c in m.content if c.type == 'image' %}<|image|>{% endfor %}"
    "{% for c in m.content if c.type == 'text' %}{{ c.text }}{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def tiny_processor() -> Any:
    """A processor as the hub's checkpoints have it: bytes for words, and all tags."""
    import transformers
    from tokenizers import Tokenizer, decoders, models
    from tokenizers.pre_tokenizers import ByteLevel

    letters = {letter: i for i, letter in enumerate(sorted(ByteLevel.alphabet()))}
    made = Tokenizer(models.BPE(vocab=letters, merges=[]))
    made.pre_tokenizer, made.decoder = ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    end = "<|endoftext|>"
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=made, eos_token=end, bos_token=end, pad_token=end, additional_special_tokens=TAGS
    )
    images = transformers.Molmo2ImageProcessor(
        size={"height": 56, "width": 56}, patch_size=14, max_crops=2, overlap_margins=[1, 1]
    )
    return transformers.Molmo2Processor(
        images, transformers.Molmo2VideoProcessor(), tokenizer, chat_template=CHAT
    )


def tiny_checkpoint(folder: Path) -> None:
    import torch
    import transformers

    torch.manual_seed(0)
    processor = tiny_processor()
    tokenizer = processor.tokenizer
    heads = dict(num_attention_heads=2, num_key_value_heads=2, head_dim=16, intermediate_size=64)
    names = {
        "image_start": "<im_start>",
        "low_res_image_start": "<low_res_im_start>",
        "image_end": "<im_end>",
        "frame_start": "<frame_start>",
        "frame_end": "<frame_end>",
    }
    numbers = {f"{k}_token_id": tokenizer.convert_tokens_to_ids(v) for k, v in names.items()}
    config = transformers.Molmo2Config(
        vision_config=dict(
            hidden_size=32,
            num_hidden_layers=2,
            image_size=[56, 56],
            patch_size=14,
            num_position_embeddings=16,
            **heads,
        ),
        adapter_config=dict(vision_feature_layer=[-1, -2], hidden_size=32, text_hidden_size=32, **heads),
        text_config=dict(
            hidden_size=32,
            vocab_size=len(tokenizer),
            additional_vocab_size=8,
            num_hidden_layers=1,
            max_position_embeddings=4096,
            **heads,
        ),
        image_patch_id=tokenizer.convert_tokens_to_ids("<im_patch>"),
        image_col_id=tokenizer.convert_tokens_to_ids("<im_col>"),
        **numbers,
    )
    model = transformers.Molmo2ForConditionalGeneration(config)
    shake(model)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
