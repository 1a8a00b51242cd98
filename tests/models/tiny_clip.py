"""A CLIP tokenizer of bytes and a few words, and processors, as small as they come."""

from __future__ import annotations

from typing import Any


def tiny_tokenizer(longest: int) -> Any:
    """Return a CLIP tokenizer of single bytes; its last number ends a sentence, as OWLv2 takes for granted."""
    import transformers
    from tokenizers.pre_tokenizers import ByteLevel

    letters = sorted(ByteLevel.alphabet())
    words = [*letters, *(f"{c}</w>" for c in letters), "<|startoftext|>", "<|endoftext|>"]
    return transformers.CLIPTokenizer(
        vocab={word: i for i, word in enumerate(words)}, merges=[], model_max_length=longest
    )


def text_config(width: int = 32, longest: int = 24) -> dict[str, Any]:
    return dict(
        vocab_size=514,
        hidden_size=width,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=longest,
        bos_token_id=512,
        eos_token_id=513,
        pad_token_id=513,
    )


def vision_config(side: int, width: int = 32) -> dict[str, Any]:
    return dict(
        hidden_size=width,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=side,
        patch_size=16,
    )
