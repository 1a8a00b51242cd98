"""Florence-2: things found by phrases, captions and answers, through transformers.

One sequence-to-sequence network writes everything as text, boxes too, as ``<loc_0>`` to ``<loc_999>`` (Xiao et
al., Florence-2: Advancing a Unified Representation for a Variety of Vision Tasks, 2024). Prompts are those of
transformers' processor, which also reads the boxes out of what was written.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from models._demo import demo_cards
from models._images import check_image
from models._precision import bfloat16_helps
from studio.adapters import Card, Detection, Download
from studio.annotations import Box

GROUNDING = "<CAPTION_TO_PHRASE_GROUNDING>"  # one phrase, all its boxes; open-vocabulary detection gives one
QUESTION = "<VQA>"
PIXELS = 8  # images that go through the vision tower together
PROMPTS = 16  # prompts that are answered together
LENGTH = 256  # tokens written at most: some sixty boxes, or a long paragraph
NEAR = 20  # location tokens this close mean the same place: a fiftieth of the image's side
FINE = 1_000_000  # the image's side for the processor, which rounds boxes down to whole pixels


@dataclass(frozen=True)
class Florence2Options:
    detailed: bool = field(
        default=False, metadata={"help": "Describe an image in a paragraph instead of a sentence."}
    )
    full_precision: bool = field(
        default=False,
        metadata={"help": "Compute in 32 bits on a graphics card too. Slower; answers hardly differ."},
    )


class Florence2:
    """A text detector and answerer over a ``Florence2ForConditionalGeneration`` and its processor.

    It writes greedily, one token after the other, with the checkpoint's own rules against repetition. On a
    graphics card it computes in bfloat16.
    """

    def __init__(
        self, model: Any, processor: Any, device: str = "cpu", options: Florence2Options | None = None
    ) -> None:
        import torch

        options = options or Florence2Options()
        self._device = torch.device(device)
        bf16 = bfloat16_helps(self._device, options.full_precision)
        self._dtype = torch.bfloat16 if bf16 else torch.float32
        self._model = model.to(self._device, self._dtype).eval()
        self._processor = processor
        self._caption = "<MORE_DETAILED_CAPTION>" if options.detailed else "<CAPTION>"
        tokenizer = processor.tokenizer
        tags = (tokenizer.bos_token, tokenizer.eos_token, tokenizer.pad_token, processor.image_token)
        self._tags = tuple(tag for tag in tags if tag)
        self._places = tokenizer.convert_tokens_to_ids([f"<loc_{i}>" for i in range(1000)])
        self._positions = int(model.config.text_config.max_position_embeddings)
        self._recent: tuple[bytes, Any] = (b"", None)  # the digest and features of the image last asked about

    def detect_text(
        self, images: Sequence[np.ndarray], phrases: Sequence[str], *, floor: float = 0.05
    ) -> list[list[Detection]]:
        """Return the detections of each image, best first; each one's ``name`` is one of the phrases, whole.

        Florence-2 gives no scores. A detection's score is the least, over its four location tokens, of the
        probability that the network gave to that place and those within a fiftieth of the image's side.
        Each phrase is asked for on its own; a blank one finds nothing.
        """
        import torch

        for image in images:
            check_image(image)
        asked = [(phrase, text) for phrase in dict.fromkeys(phrases) if (text := self._plain(phrase))]
        prompts = [self._processor.task_prompts_with_input[GROUNDING].format(input=text) for _, text in asked]
        found: list[list[Detection]] = [[] for _ in images]
        if not images or not prompts:
            return found
        rows = [(i, j) for i in range(len(images)) for j in range(len(prompts))]
        with torch.inference_mode():
            features = self._features(images)
            for start in range(0, len(rows), PROMPTS):
                part = rows[start : start + PROMPTS]
                seen = features[[i for i, _ in part]]
                written, chances = self._write(seen, [prompts[j] for _, j in part])
                for (i, j), tokens, chance in zip(part, written, chances, strict=True):
                    height, width = images[i].shape[:2]
                    boxes = self._boxes(tokens, chance, width, height)
                    found[i] += [Detection(asked[j][0], score, box) for box, score in boxes if score >= floor]
        return [sorted(detections, key=lambda d: -d.score) for detections in found]

    def answer(self, image: np.ndarray, question: str) -> Iterator[str]:
        """Yield pieces of the answer as they are written. A blank question asks for a caption."""
        check_image(image)
        text = self._plain(question)
        prompt = QUESTION + text if text else self._processor.task_prompts_without_inputs[self._caption]
        return self._stream(image, prompt)

    def _plain(self, text: str) -> str:
        """Return what a person wrote without the tokens that steer the network."""
        for tag in self._tags:
            text = text.replace(tag, " ")
        return text.strip()

    def _features(self, images: Sequence[np.ndarray]) -> Any:
        """Return what the vision tower made of each image, of shape (images, tokens, d)."""
        import torch

        parts = []
        for start in range(0, len(images), PIXELS):
            part = list(images[start : start + PIXELS])
            read = self._processor.image_processor(
                part, input_data_format="channels_last", return_tensors="pt"
            )
            pixels = read["pixel_values"].to(self._device, self._dtype)
            parts.append(self._model.get_image_features(pixels).pooler_output)
        return torch.cat(parts)

    def _seen(self, image: np.ndarray) -> Any:
        """Return the features of one image, kept for the next question about it."""
        digest = hashlib.blake2b(repr(image.shape).encode() + image.tobytes()).digest()
        kept, features = self._recent
        if kept != digest:
            features = self._features([image])
            self._recent = (digest, features)
        return features

    def _read(self, features: Any, prompts: Sequence[str]) -> dict[str, Any]:
        """Return what ``generate`` needs to know of prompts, each with its image's features."""
        tokenizer = self._processor.tokenizer
        image = [tokenizer.image_token_id] * features.shape[1]
        room = self._positions - len(image) - 2
        words = tokenizer(list(prompts), add_special_tokens=False, truncation=True, max_length=room)[
            "input_ids"
        ]
        rows = [[*image, tokenizer.bos_token_id, *row, tokenizer.eos_token_id] for row in words]
        tokens = tokenizer.pad({"input_ids": rows}, return_tensors="pt", padding_side="right")
        ids, mask = tokens["input_ids"].to(self._device), tokens["attention_mask"].to(self._device)
        embeds = self._model.get_input_embeddings()(ids)
        embeds[:, : len(image)] = features
        encoded = self._model.get_encoder()(inputs_embeds=embeds, attention_mask=mask)
        greedy = {"do_sample": False, "num_beams": 1, "early_stopping": False}
        longest = min(LENGTH, self._positions - 2)
        return {"encoder_outputs": encoded, "attention_mask": mask, "max_new_tokens": longest, **greedy}

    def _write(self, features: Any, prompts: Sequence[str]) -> tuple[list[list[int]], np.ndarray]:
        """Return the tokens written for each prompt, and the chance that each one's place had.

        The chances are float32 of shape (prompts, tokens), and mean nothing where a token is no place.
        """
        import torch

        chances = _Chances(torch.tensor(self._places, device=self._device))
        written = self._model.generate(**self._read(features, prompts), logits_processor=[chances])
        return written.tolist(), chances.of(written)

    def _boxes(
        self, tokens: list[int], chances: np.ndarray, width: int, height: int
    ) -> Iterator[tuple[Box, float]]:
        """Yield what the processor makes of each four places in a row, with the words before them.

        Whatever cannot be read is passed over: places with no words, fewer than four, boxes inside out.
        """
        places = set(self._places)
        words: list[int] = []
        start = 0
        for at, token in enumerate(tokens):
            if token not in places:
                if at and tokens[at - 1] in places:
                    words = []
                words.append(token)
                start = at + 1
            elif (at - start) % 4 == 3:
                text = self._processor.tokenizer.decode([*words, *tokens[at - 3 : at + 1]])
                read = self._processor.post_process_generation(text, task=GROUNDING, image_size=(FINE, FINE))
                for x0, y0, x1, y1 in read[GROUNDING]["bboxes"][-1:]:
                    if x0 < x1 and y0 < y1:
                        sides = (x0 * width, y0 * height, x1 * width, y1 * height)
                        score = float(chances[at - 3 : at + 1].min())
                        yield Box(*(side / FINE for side in sides)), score

    def _stream(self, image: np.ndarray, prompt: str) -> Iterator[str]:
        """Write in a thread of its own; when nobody listens any more, it stops after the token in hand."""
        import torch
        import transformers

        streamer = transformers.TextIteratorStreamer(self._processor.tokenizer, skip_special_tokens=True)
        left = threading.Event()
        failed: list[Exception] = []

        def write() -> None:
            try:
                with torch.inference_mode():
                    asked = self._read(self._seen(image), [prompt])
                    stop = [
                        lambda ids, scores, **_: torch.full((len(ids),), left.is_set(), device=ids.device)
                    ]
                    self._model.generate(**asked, streamer=streamer, stopping_criteria=stop)
            except Exception as error:  # raised again below, where the caller is
                failed.append(error)
            finally:
                streamer.end()

        writer = threading.Thread(target=write, daemon=True)
        writer.start()
        begun = False
        try:
            for piece in streamer:
                piece = piece if begun else piece.lstrip()
                if piece:
                    begun = True
                    yield piece
        finally:
            left.set()
            writer.join()
        if failed:
            raise failed[0]


class _Chances:
    """A logits processor that changes nothing and notes, at each step, how likely each place is."""

    def __init__(self, places: Any) -> None:
        self._places = places
        self._steps: list[Any] = []

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        import torch

        self._steps.append(torch.softmax(scores.float(), dim=-1)[:, self._places])
        return scores

    def of(self, written: Any) -> np.ndarray:
        """Return for each token written, of shape (prompts, tokens), the chance of its place and those near."""
        import torch

        steps = torch.stack(self._steps, dim=1)  # (prompts, steps, places)
        sums = torch.nn.functional.pad(steps.double().cumsum(dim=-1), (1, 0))
        place = (written[:, 1:, None] == self._places).float().argmax(dim=-1, keepdim=True)
        low = (place - NEAR).clamp(min=0)
        high = (place + NEAR + 1).clamp(max=len(self._places))
        near = (sums.gather(-1, high) - sums.gather(-1, low))[..., 0]
        chances = torch.zeros(written.shape)
        chances[:, 1:] = near.clamp(0, 1).float().cpu()
        return chances.numpy()


def load(folder: str | None, device: str, options: Florence2Options) -> Florence2:
    import torch
    import transformers

    model = transformers.Florence2ForConditionalGeneration.from_pretrained(
        folder, dtype=torch.float32, local_files_only=True
    )
    model.requires_grad_(False)
    processor = transformers.Florence2Processor.from_pretrained(folder, local_files_only=True)
    return Florence2(model, processor, device, options)


def _card(size: str, download: int, memory: int, rank: int, note: str) -> Card:
    return Card(
        id=f"florence-2-{size}",
        title=f"Florence-2 {size}",
        family="Florence-2",
        roles=("text-detector", "answerer"),
        prompts=("text",),
        licence="MIT",
        load=load,
        memory_bytes=memory,
        version="2",
        download=Download(f"florence-community/Florence-2-{size}", download),
        options=Florence2Options,
        note=note,
        rank=rank,
    )


_BASE = _card("base", 930_000_000, 1_600_000_000, 30, "Finds phrases and describes; weak at questions.")

CARDS = [
    _BASE,
    _card("large", 3_110_000_000, 4_500_000_000, 31, "More exact than base; best with a graphics card."),
    *demo_cards("florence2", _BASE, title="Demo Florence-2"),
]
