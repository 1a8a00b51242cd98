"""The demo Florence-2 before it has learned anything: its tokenizer, processor and first weights."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from benchmarks.demo.florence2_lessons import CELLS, FOREIGN, SIDE
from benchmarks.demo.florence2_losses import PLACES
from benchmarks.demo.loop import seed_all
from benchmarks.demo.scenes import drawn
from studio.scenes import CLASSES, PHRASES
from studio.scenes.words import NUMBERS, plural

WIDE = 128  # of the language model
KINDS_READ = (
    "pure_text",
    "description_with_bboxes",
    "description_with_polygons",
    "polygons",
    "bboxes",
    "description_with_bboxes_or_polygons",
    "phrase_grounding",
)


def tokenizer(texts: Sequence[str]) -> Any:
    """Return BART's kind of tokenizer, in which each word of the texts is one token or a few."""
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    letters = pre_tokenizers.ByteLevel.alphabet()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    trainer = trainers.BpeTrainer(
        vocab_size=1000, special_tokens=special, initial_alphabet=sorted(letters), show_progress=False
    )
    learner.train_from_iterator(texts, trainer)
    merges = [tuple(pair) for pair in json.loads(learner.to_str())["model"]["merges"]]
    made = transformers.BartTokenizer(
        vocab=learner.get_vocab(), merges=merges, extra_special_tokens={"image_token": "<image>"}
    )
    made.add_tokens([f"<loc_{i}>" for i in range(1000)])
    return made


def _texts(processor_tasks: Sequence[str]) -> list[str]:
    """Return what may be asked and written, for the tokenizer to learn its words from."""
    names = [form for name in CLASSES for form in (name, plural(name))]
    lines = [*PHRASES, *names, *NUMBERS, *FOREIGN, *processor_tasks, "yes", "no", "<VQA>"]
    lines += [f"what colour is the {n}? how many {plural(n)} are there?" for n in CLASSES]
    lines += [f"What colour is the {n}? How many {plural(n)} are there?" for n in CLASSES]
    lines += [f"Is there {p}? is there {p}?" for p in PHRASES]
    lines += [scene.caption for scene in drawn("train", 200)]
    return [line for text in lines for line in (text, f" {text}")] * 2


def build(seed: int = 0) -> tuple[Any, Any]:
    """Return a fresh model and its processor."""
    import transformers

    seed_all(seed)
    images = transformers.CLIPImageProcessor(
        size={"height": SIDE, "width": SIDE},
        do_center_crop=False,
        resample=3,
        image_mean=[0.485, 0.456, 0.406],
        image_std=[0.229, 0.224, 0.225],
        image_seq_length=CELLS * CELLS + 1,
    )
    rules: dict[str, Any] = {kind: {} for kind in KINDS_READ}
    rules["ocr"] = {"PATTERN": r"(.+?)" + r"<loc_(\d+)>" * 8, "AREA_THRESHOLD": 0.0}
    first = transformers.Florence2Processor(images, tokenizer(["a"]), post_processor_config=rules)
    tasks = [*first.task_prompts_without_inputs.values(), *first.task_prompts_with_input.values()]
    processor = transformers.Florence2Processor(images, tokenizer(_texts(tasks)), post_processor_config=rules)
    text = dict(
        model_type="bart",
        vocab_size=len(processor.tokenizer),
        d_model=WIDE,
        encoder_layers=2,
        decoder_layers=3,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=4 * WIDE,
        decoder_ffn_dim=4 * WIDE,
        max_position_embeddings=256,
        dropout=0.0,
        attention_dropout=0.0,
    )
    vision = dict(
        depths=[1, 1, 3, 1],
        embed_dim=[32, 64, 128, 192],
        num_heads=[1, 2, 4, 6],
        num_groups=[1, 2, 4, 6],
        patch_stride=[4, 2, 2, 1],
        window_size=6,
        drop_path_rate=0.0,
        projection_dim=WIDE,
    )
    config = transformers.Florence2Config(
        text_config=text, vision_config=vision, image_token_id=processor.image_token_id
    )
    model = transformers.Florence2ForConditionalGeneration(config)
    _prepare(model, processor)
    return model, processor


@torch.no_grad()
def _prepare(model: Any, processor: Any) -> None:
    """Start from weights that suit a narrow model, and from places that know their neighbours.

    A place's embedding grows with the place and with its square, so that a hidden state which tells where a
    side is, linearly, has its greatest product with the right place. The cells' positions begin in the same
    terms.
    """
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear) and "lm_head" not in name:
            torch.nn.init.xavier_uniform_(module.weight)
    part = WIDE // 4
    across, down = torch.where(torch.rand(2, 1, part) < 0.5, -1.0, 1.0)
    words = model.get_input_embeddings().weight
    words.normal_(0, 0.15)
    at = torch.linspace(-1, 1, PLACES)[:, None]
    waves = torch.cat([torch.ones(PLACES, 8), _waves(PLACES, 2 * part - 8, 60, 2000)], 1)
    first = processor.tokenizer.convert_tokens_to_ids("<loc_0>")
    words[first : first + PLACES] = torch.cat(
        [0.8 * at * across, 0.8 * (at**2 - 1 / 3) * down, 0.2 * waves], 1
    )
    language = model.model.language_model
    for positions in (language.encoder.embed_positions.weight, language.decoder.embed_positions.weight):
        positions.normal_(0, 0.15)
    at = ((torch.arange(CELLS) + 0.5) / CELLS * 2 - 1)[:, None]
    turns = 0.5 * _waves(CELLS, part, 3, 24)
    column, row = torch.arange(CELLS**2) % CELLS, torch.arange(CELLS**2) // CELLS
    places = torch.cat([(at * across)[column], (at * down)[row], turns[column], turns[row]], 1)
    # BART keeps two positions for itself, and the first of the image's tokens is the mean of all.
    language.encoder.embed_positions.weight[3 : 3 + CELLS**2] = places
    projector = model.model.multi_modal_projector.image_position_embed
    for side in (projector.row_embeddings, projector.column_embeddings):
        side.weight.copy_(_waves(*side.weight.shape, 3, 60))


def _waves(count: int, width: int, shortest: float, longest: float) -> torch.Tensor:
    """Return sines and cosines of wavelengths from the shortest to the longest, of shape (count, width)."""
    lengths = torch.logspace(np.log10(shortest), np.log10(longest), width // 2)
    turns = 2 * np.pi * torch.arange(count)[:, None] / lengths
    return torch.cat([turns.sin(), turns.cos()], dim=1)
