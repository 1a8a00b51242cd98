"""A Kosmos-2 of a few thousand random weights, and a processor that needs no download."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.models.tiny_sam2 import shake

SEEN = 8  # tokens that an image becomes


def tiny_processor() -> Any:
    """A processor as the hub's checkpoint has it: letters for words, and all tags and cells."""
    import transformers

    letters = ["\u2581", *(chr(i) for i in range(33, 127))]
    # The first tokens behind <unk> stand for the image, and are as many as it has.
    pieces = ["<s>", "<pad>", "</s>", "<unk>", *(f"\u2581{i}" for i in range(SEEN)), *letters]
    tokenizer = transformers.XLMRobertaTokenizer(vocab=[(p, 0.0 if p[0] == "<" else -3.0) for p in pieces])
    images = transformers.CLIPImageProcessor(size={"shortest_edge": 56}, crop_size=56)
    return transformers.Kosmos2Processor(images, tokenizer, num_patch_index_tokens=1024)


def tiny_checkpoint(folder: Path) -> None:
    import torch
    import transformers

    torch.manual_seed(0)
    processor = tiny_processor()
    text = dict(
        vocab_size=len(processor.tokenizer),
        embed_dim=32,
        layers=1,
        ffn_dim=64,
        attention_heads=2,
        max_position_embeddings=256,
    )
    vision = dict(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        image_size=56,
        patch_size=14,
    )
    config = transformers.Kosmos2Config(text_config=text, vision_config=vision, latent_query_num=SEEN)
    model = transformers.Kosmos2ForConditionalGeneration(config)
    shake(model)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


def guide(model: Any, tokenizer: Any) -> None:
    """Make a network write by the rules of boxes: which token comes next is led by the last one.

    What kind of token it is follows the rules; which one of its kind, the network's own weights.
    """
    import torch

    def number(*names: str) -> list[int]:
        return tokenizer.convert_tokens_to_ids(list(names))

    def cells(top: int, left: int) -> list[int]:
        return number(
            *(f"<patch_index_{y * 32 + x:04}>" for y in range(top, top + 8) for x in range(left, left + 16))
        )

    first, last, second, end = cells(0, 0), cells(16, 16), cells(8, 0), cells(24, 16)
    bop, eop, opened, closed, then = number(
        "<phrase>", "</phrase>", "<object>", "</object>", "</delimiter_of_multi_objects/>"
    )
    inside, beside = number(*"abcd"), number(*"efgh")
    follows = {bop: inside, eop: [opened], opened: first, then: second, closed: [*beside, bop]}
    follows |= dict.fromkeys(first, last) | dict.fromkeys(last, [closed, then])
    follows |= dict.fromkeys(second, end) | dict.fromkeys(end, [closed])  # two boxes a phrase at most
    follows |= dict.fromkeys(inside, [eop]) | dict.fromkeys(beside, [bop])

    table = torch.zeros(len(tokenizer), len(tokenizer))
    for token in range(len(tokenizer)):
        table[token, follows.get(token, [bop, *beside])] = 100.0

    def lead(module: Any, args: Any, kwargs: Any, made: Any) -> Any:
        made.logits[:, -1] += table[kwargs["input_ids"][:, -1]]
        return made

    model.text_model.register_forward_hook(lead, with_kwargs=True)
