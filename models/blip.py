"""BLIP: short answers to questions, and captions, through transformers.

An image encoder whose tokens a small language model attends to (Li et al., BLIP: Bootstrapping Language-Image
Pre-training for Unified Vision-Language Understanding and Generation, 2022). One checkpoint answers, another captions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from models._hub import architecture, hub_card
from models._images import check_image
from models._precision import bfloat16_helps, precision
from models._writing import Latest, stream
from studio.adapters import Card, Download, HubKind, NoOptions, Reading, Task
from studio.errors import BadInput

BLANK = "What does the picture show?"  # what a network that only answers is asked where nobody asks anything
LENGTH = 60  # tokens written at most
ANSWERS, CAPTIONS = "BlipForQuestionAnswering", "BlipForConditionalGeneration"


class _Blip:
    """What both kinds share: an image encoder, kept features of the latest image, and a decoder that writes.

    On a graphics card it computes in bfloat16.
    """

    def __init__(self, model: Any, processor: Any, device: str = "cpu") -> None:
        import torch

        self._device = torch.device(device)
        self._bf16 = bfloat16_helps(self._device)
        self._model = model.to(self._device).eval()
        self._processor = processor
        self._seen = Latest(self._look)

    def _look(self, image: np.ndarray) -> Any:
        """Return what the encoder makes of an image, of shape (1, tokens, d)."""
        made = self._processor.image_processor(image, input_data_format="channels_last", return_tensors="pt")
        return self._model.vision_model(pixel_values=made["pixel_values"].to(self._device)).last_hidden_state

    def _write(self, attended: Any, **listener: Any) -> None:
        """Write from the beginning, attending to tokens (1, n, d)."""
        import torch

        text = self._model.config.text_config
        self._model.text_decoder.generate(
            input_ids=torch.tensor([[text.bos_token_id]], device=self._device),
            eos_token_id=text.sep_token_id,
            pad_token_id=text.pad_token_id,
            encoder_hidden_states=attended,
            encoder_attention_mask=torch.ones(attended.shape[:2], dtype=torch.long, device=attended.device),
            max_new_tokens=min(LENGTH, int(text.max_position_embeddings) - 1),
            do_sample=False,
            num_beams=1,
            **listener,
        )


class BlipAnswerer(_Blip):
    """An answerer over a ``BlipForQuestionAnswering``: a word or two, without places."""

    def answer(self, image: np.ndarray, question: str) -> Iterator[str]:
        """Yield the answer. A blank question asks what the picture shows: these networks write no captions."""
        check_image(image)
        text = question.strip() or BLANK

        def write(**listener: Any) -> None:
            with precision(self._device, self._bf16):
                self._write(self._asked(image, text), **listener)

        return stream(self._processor.tokenizer, write, prompt=True)

    def read(self, text: str, height: int, width: int) -> Reading:
        """Return an answer as it is: BLIP writes of no places."""
        return Reading(text.strip())

    def _asked(self, image: np.ndarray, question: str) -> Any:
        """Return the question as it is read beside the image, of shape (1, tokens, d)."""
        import torch

        seen = self._seen.of(image)
        longest = int(self._model.config.text_config.max_position_embeddings)
        read = self._processor.tokenizer(
            question,
            truncation=True,
            max_length=longest,
            split_special_tokens=True,  # tags in a question are words
            return_tensors="pt",
        ).to(self._device)
        return self._model.text_encoder(
            input_ids=read["input_ids"],
            attention_mask=read["attention_mask"],
            encoder_hidden_states=seen,
            encoder_attention_mask=torch.ones(seen.shape[:2], dtype=torch.long, device=seen.device),
            return_dict=False,
        )[0]


class BlipDescriber(_Blip):
    """A describer over a ``BlipForConditionalGeneration``: one sentence, without places."""

    tasks: tuple[Task, ...] = ("caption",)

    def describe(self, image: np.ndarray, task: Task, text: str = "") -> Reading:
        """Return a caption. Raises BadInput for any other task, and for a text."""
        check_image(image)
        if task not in self.tasks:
            raise BadInput(f"BLIP knows no task “{task}”, but only to write a caption.")
        if text.strip():
            raise BadInput("BLIP ties no text to a picture: it writes captions of its own.")

        def write(**listener: Any) -> None:
            with precision(self._device, self._bf16):
                self._write(self._seen.of(image), **listener)

        return Reading("".join(stream(self._processor.tokenizer, write, prompt=True)).strip())


def load(folder: str | None, device: str, options: NoOptions) -> BlipAnswerer | BlipDescriber:
    """Load a BLIP that answers or one that captions, whichever the folder holds."""
    import torch
    import transformers

    config = transformers.BlipConfig.from_pretrained(folder, local_files_only=True)
    answers = ANSWERS in (config.architectures or ())
    kind = getattr(transformers, ANSWERS if answers else CAPTIONS)
    model = kind.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
    model.requires_grad_(False)
    processor = transformers.BlipProcessor.from_pretrained(folder, local_files_only=True)
    return (BlipAnswerer if answers else BlipDescriber)(model, processor, device)


BLIP_VQA = Card(
    id="blip-vqa-base",
    title="BLIP VQA base",
    family="BLIP",
    roles=("answerer",),
    prompts=("text",),
    licence="BSD-3-Clause",
    load=load,
    memory_bytes=2_000_000_000,
    download=Download(
        "Salesforce/blip-vqa-base",
        1_540_000_000,
        patterns=("*.json", "model*.safetensors", "*.txt"),
    ),
    note="A word or two to a simple question, quickly.",
    rank=50,
)
BLIP_CAPTIONS = replace(
    BLIP_VQA,
    id="blip-captions-large",
    title="BLIP captioning large",
    roles=("describer",),
    tasks=("caption",),
    prompts=(),
    memory_bytes=2_600_000_000,
    download=replace(BLIP_VQA.download, hub_id="Salesforce/blip-image-captioning-large", bytes=1_880_000_000),
    note="One sentence a picture, quickly.",
)


def examine(hub_id: str, config: Mapping[str, Any]) -> str | None:
    return {ANSWERS: "answers", CAPTIONS: "captions"}.get(architecture(config))


def describe(variant: str, size: int) -> Card:
    return hub_card(BLIP_VQA if variant == "answers" else BLIP_CAPTIONS, size, "*.txt")


CARDS = [BLIP_VQA, BLIP_CAPTIONS]
HUB = [HubKind("blip", "short answers and captions (BLIP)", examine, describe)]
