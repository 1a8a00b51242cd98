"""A Grounding DINO of a few thousand random weights, with its image processor and tokenizer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

# BERT's own numbers, by which the model finds the ends of phrases.
FIXED = {"[PAD]": 0, "[UNK]": 100, "[CLS]": 101, "[SEP]": 102, "[MASK]": 103, ".": 1012, "?": 1029}
WORDS = ("cat", "dog", "apple", "red", "green", "mug", "st", "bernard")


def tokenizer() -> Any:
    import transformers

    characters = [chr(code) for code in range(33, 127) if not chr(code).isupper() and chr(code) not in ".?"]
    tokens = [*WORDS, *characters, *(f"##{c}" for c in characters)]
    numbered = {i: f"[unused{i}]" for i in range(max(FIXED.values()) + 1)}
    numbered.update({104 + i: token for i, token in enumerate(tokens)})
    numbered.update({i: token for token, i in FIXED.items()})
    return transformers.BertTokenizer(vocab={token: i for i, token in sorted(numbered.items())})


def save_tiny(folder: Path, prefix: str = "", queries: int = 20) -> None:
    """Write a checkpoint of ``{prefix}GroundingDinoForObjectDetection`` as the hub has them."""
    import torch
    import transformers

    torch.manual_seed(0)
    words = tokenizer()
    swin = dict(
        model_type="swin",
        image_size=64,
        embed_dim=8,
        depths=[1, 1, 1, 1],
        num_heads=[1, 1, 2, 2],
        window_size=4,
        out_indices=[2, 3, 4],
    )
    bert = dict(
        model_type="bert",
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
    )
    config = getattr(transformers, f"{prefix}GroundingDinoConfig")(
        backbone_config=swin,
        text_config=bert,
        d_model=64,
        encoder_layers=1,
        encoder_ffn_dim=32,
        encoder_attention_heads=2,
        decoder_layers=2,
        decoder_ffn_dim=32,
        decoder_attention_heads=2,
        num_queries=queries,
    )
    model = getattr(transformers, f"{prefix}GroundingDinoForObjectDetection")(config)
    _stir(model)
    model.save_pretrained(folder)
    images = transformers.GroundingDinoImageProcessor(size={"shortest_edge": 64, "longest_edge": 96})
    transformers.GroundingDinoProcessor(images, words).save_pretrained(folder)


def _stir(model: Any) -> None:
    """Give every weight a value that matters, boxes that lie in the picture, and answers from unsure to sure."""
    import torch

    with torch.no_grad():
        for name, value in sorted(model.named_parameters()):
            value.add_(torch.randn(value.shape) * (0.1 if value.ndim < 2 else 0.7 / value[0].numel() ** 0.5))
            if name.endswith("bbox_embed.layers.2.weight") or "bbox_embed.0.layers.2.weight" in name:
                value.mul_(1.5)
        plain = not hasattr(model.class_embed[0], "bias")
        for head in model.class_embed if not plain else ():
            head.bias.fill_(-0.5)
        if plain:  # these answers are products without a scale
            for norm in (model.model.enc_output_norm, model.model.decoder.layer_norm):
                norm.weight.mul_(0.15)
