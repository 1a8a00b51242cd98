"""Molmo 2: answers to questions, and points at what is asked for, through transformers.

A language model that reads an image in overlapping crops (Clark et al., Molmo2: Open Weights and Data for
Vision-Language Models with Video Understanding and Grounding, 2026). Asked to point to something, it writes points
in tags; of Molmo 1 (Deitke et al., 2024) only those are read, since its network is not part of transformers.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from models._answers import molmo
from models._hub import architecture, hub_card
from models._images import check_image
from models._precision import bfloat16_helps
from models._writing import Latest, plain, stream
from studio.adapters import Card, Download, HubKind, Reading
from studio.errors import BadInput

CAPTION = "Describe this image."
LENGTH = 512  # tokens written at most: some sixty points, or a long paragraph
QUESTION = 4000  # characters of a question at most
THINNEST = 50  # an image longer than this many times its breadth is made broader
MOLMO_1 = (
    "{} is a Molmo 1, whose network is code of its own that does not run under today's transformers. Take Molmo 2: "
    "allenai/Molmo2-4B, or allenai/Molmo2-8B."
)


@dataclass(frozen=True)
class Molmo2Options:
    full_precision: bool = field(
        default=False,
        metadata={"help": "Compute in 32 bits on a graphics card too: twice the memory, and hardly better."},
    )


class Molmo2:
    """An answerer over a ``Molmo2ForConditionalGeneration`` and its processor.

    It writes greedily. What its vision tower made of the latest image is kept for the next question about it.
    """

    def __init__(self, model: Any, processor: Any, device: str = "cpu") -> None:
        import torch

        self._device = torch.device(device)
        self._model = model.to(self._device).eval()
        self._processor = processor
        tokenizer = processor.tokenizer
        self._tags = tuple({*tokenizer.get_added_vocab(), *tokenizer.all_special_tokens})
        self._seen = Latest(self._look)

    def answer(self, image: np.ndarray, question: str) -> Iterator[str]:
        """Yield pieces of the answer, its points in tags. A blank question asks for a description."""
        check_image(image)
        text = plain(question, self._tags)[:QUESTION] or CAPTION

        def write(**listener: Any) -> None:
            asked, seen = self._inputs(image, text), self._seen.of(image)
            self._model.generate(
                **asked,
                mm_encoder_outputs={"image": seen},
                max_new_tokens=LENGTH,
                do_sample=False,
                num_beams=1,
                **listener,
            )

        return stream(self._processor.tokenizer, write, prompt=True)

    def read(self, text: str, height: int, width: int) -> Reading:
        """Return an answer as people read it, with its points in pixels."""
        tall, wide = _canvas(height, width)
        reading = molmo.read(text, tall, wide)
        if (tall, wide) == (height, width):
            return reading
        places = []
        for place in reading.places:
            points = tuple((x, y) for x, y in place.points if x <= width and y <= height)
            places += [type(place)(place.phrase, points=points, span=place.span)] if points else []
        return Reading(reading.text, tuple(places))

    def _prepared(self, image: np.ndarray, question: str) -> dict[str, Any]:
        """Return what the processor makes of an image and a question, as transformers' documentation asks for it."""
        from PIL import Image

        content = [
            {"type": "text", "text": question},
            {"type": "image", "image": Image.fromarray(_thickened(image))},
        ]
        made = self._processor.apply_chat_template(
            [{"role": "user", "content": content}],
            tokenize=True,
            add_generation_prompt=True,
            return_dict=True,
            return_tensors="pt",
        )
        return {name: value.to(self._device) for name, value in made.items()}

    def _inputs(self, image: np.ndarray, question: str) -> dict[str, Any]:
        """Return what the language model is to read, without the pixels."""
        made = self._prepared(image, question)
        names = ("input_ids", "attention_mask", "mm_token_type_ids", "token_type_ids")
        return {name: made[name] for name in names if name in made}

    def _look(self, image: np.ndarray) -> Any:
        made = self._prepared(image, CAPTION)
        dtype = next(self._model.parameters()).dtype
        pixels = made["pixel_values"].to(dtype)
        return self._model.get_image_features(
            pixels, made["image_token_pooling"], made["image_grids"], return_dict=True
        )


def _canvas(height: int, width: int) -> tuple[int, int]:
    return max(height, -(-width // THINNEST)), max(width, -(-height // THINNEST))


def _thickened(image: np.ndarray) -> np.ndarray:
    """Return a thin image with grey below or beside it, as its short side would be resized to nothing."""
    canvas = _canvas(*image.shape[:2])
    if canvas == image.shape[:2]:
        return image
    thick = np.full((*canvas, 3), 128, np.uint8)
    thick[: image.shape[0], : image.shape[1]] = image
    return thick


def refuse_molmo_1(name: str, config: Mapping[str, Any]) -> None:
    """Raise BadInput for a model of the first Molmo, with what to take instead."""
    if config.get("model_type") == "molmo" or architecture(config) == "MolmoForCausalLM":
        raise BadInput(MOLMO_1.format(name))


def load(folder: str | None, device: str, options: Molmo2Options) -> Molmo2:
    """Load a Molmo 2, in bfloat16 on a graphics card. Raises BadInput for a folder that holds a Molmo 1."""
    import torch
    import transformers

    try:
        config = json.loads((Path(folder or "") / "config.json").read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(f"The model in {folder} cannot be read: {error}.") from None
    refuse_molmo_1(Path(folder or "").name, config)
    half = bfloat16_helps(torch.device(device), options.full_precision)
    model = transformers.Molmo2ForConditionalGeneration.from_pretrained(
        folder, dtype=torch.bfloat16 if half else torch.float32, local_files_only=True
    )
    model.requires_grad_(False)
    processor = transformers.Molmo2Processor.from_pretrained(folder, local_files_only=True)
    return Molmo2(model, processor, device)


def _card(size: str, parameters: int, rank: int, note: str) -> Card:
    return Card(
        id=f"molmo2-{size.lower()}",
        title=f"Molmo 2 {size}",
        family="Molmo 2",
        roles=("answerer",),
        prompts=("text",),
        licence="Apache-2.0",
        load=load,
        memory_bytes=4 * parameters + 2_000_000_000,
        download=Download(
            f"allenai/Molmo2-{size}",
            4 * parameters + 20_000_000,
            patterns=("*.json", "*.jinja", "model*.safetensors", "*.txt"),
        ),
        options=Molmo2Options,
        note=note,
        rank=rank,
    )


MOLMO2_4B = _card(
    "4B", 4_860_000_000, 20, "Answers well and points to what is asked for. Wants a graphics card."
)


def examine(hub_id: str, config: Mapping[str, Any]) -> str | None:
    """Raise BadInput for a Molmo 1."""
    refuse_molmo_1(hub_id, config)
    return "molmo2" if architecture(config) == "Molmo2ForConditionalGeneration" else None


def describe(variant: str, size: int) -> Card:
    return hub_card(MOLMO2_4B, size, "*.jinja", "*.txt")


CARDS = [
    MOLMO2_4B,
    _card("8B", 8_660_000_000, 21, "Answers and points better than 4B; wants a large graphics card."),
]
HUB = [HubKind("molmo2", "answers and points (Molmo 2)", examine, describe)]
