"""Florence-2: things found by phrases, captions and answers, through transformers.

One sequence-to-sequence network writes everything as text, boxes too, as ``<loc_0>`` to ``<loc_999>`` (Xiao et
al., Florence-2: Advancing a Unified Representation for a Variety of Vision Tasks, 2024). Prompts are those of
transformers' processor.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from models._answers import florence
from models._demo import demo_cards
from models._florence.tasks import CAPTION, GROUNDING, PARAGRAPH, QUESTION, WAYS, named, near
from models._hub import architecture, hub_card
from models._images import check_image
from models._precision import bfloat16_helps
from models._writing import Chances, Latest, plain, stream
from studio.adapters import Card, Detection, Download, HubKind, Reading, Task
from studio.annotations import Box
from studio.errors import BadInput

PIXELS = 8  # images that go through the vision tower together
PROMPTS = 16  # prompts that are answered together
LENGTH = 256  # tokens written at most: some sixty boxes, or a long paragraph
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
    """A text detector, answerer and describer over a ``Florence2ForConditionalGeneration`` and its processor.

    It writes greedily, one token after the other, with the checkpoint's own rules against repetition. On a
    graphics card it computes in bfloat16.
    """

    tasks: tuple[Task, ...] = tuple(WAYS)

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
        self._caption = PARAGRAPH if options.detailed else CAPTION
        tokenizer = processor.tokenizer
        kinds = ("bos", "eos", "pad", "unk", "mask", "sep", "cls")
        tags = {getattr(tokenizer, f"{kind}_token", None) for kind in kinds} | {processor.image_token}
        self._tags = tuple(sorted(tag for tag in tags if tag))
        self._banned = set(processor.post_processor.banned_grounding_tokens)
        self._places = tokenizer.convert_tokens_to_ids([f"<loc_{i}>" for i in range(1000)])
        self._positions = int(model.config.text_config.max_position_embeddings)
        self._seen = Latest(lambda image: self._features([image]))

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
        asked = [(phrase, text) for phrase in dict.fromkeys(phrases) if (text := plain(phrase, self._tags))]
        prompts = [self._prompt(GROUNDING, text) for _, text in asked]
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
        text = plain(question, self._tags)
        return self._stream(image, QUESTION + text if text else self._prompt(self._caption))

    def read(self, text: str, height: int, width: int) -> Reading:
        """Return an answer as people read it, with its boxes in pixels."""
        return florence.read(text, height, width)

    def describe(self, image: np.ndarray, task: Task, text: str = "") -> Reading:
        """Return a description with its places in pixels.

        To ground a caption is two tasks: it is written first, where there is no ``text``, and then its phrases are
        looked for. Raises BadInput for another task, and for a text with any but "grounded caption".
        """
        check_image(image)
        if task not in WAYS:
            raise BadInput(f"Florence-2 knows no task “{task}”. There is {', '.join(WAYS)}.")
        grounded, text = task == "grounded caption", plain(text, self._tags)
        if text and not grounded:
            raise BadInput(f"Florence-2 takes no text for “{task}”: only a caption that is to be grounded.")
        if grounded and not text:
            text = self.describe(image, "long caption" if self._caption == PARAGRAPH else "caption").text
        way, (height, width) = WAYS[task], image.shape[:2]
        written = "".join(self._stream(image, self._prompt(way.token, text)))
        reading = florence.read(written, height, width, way.form, listed=way.listed)
        return named(reading, self._banned if grounded else set())

    def _prompt(self, token: str, text: str = "") -> str:
        """Return the words that stand for a task."""
        if token in self._processor.task_prompts_with_input:
            return self._processor.task_prompts_with_input[token].format(input=text)
        return self._processor.task_prompts_without_inputs[token]

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

    def _inputs(self, features: Any, prompts: Sequence[str]) -> dict[str, Any]:
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

        chances = Chances(torch.tensor(self._places, device=self._device), near)
        written = self._model.generate(**self._inputs(features, prompts), logits_processor=[chances])
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
        """Yield what is written, places and all, without the tokens that steer the network."""

        def write(**listener: Any) -> None:
            self._model.generate(**self._inputs(self._seen.of(image), [prompt]), **listener)

        return stream(self._processor.tokenizer, write, tags=self._tags)


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
        roles=("text-detector", "answerer", "describer"),
        prompts=("text",),
        licence="MIT",
        load=load,
        memory_bytes=memory,
        version="2",
        download=Download(f"florence-community/Florence-2-{size}", download),
        options=Florence2Options,
        note=note,
        rank=rank,
        tasks=tuple(WAYS),
    )


_BASE = _card(
    "base",
    930_000_000,
    1_600_000_000,
    30,
    "Finds phrases, describes, and reads what is written; weak at questions.",
)


def examine(hub_id: str, config: Mapping[str, Any]) -> str | None:
    """Raise BadInput for a checkpoint that runs by code of its own, as those under Microsoft's name do."""
    if architecture(config) != "Florence2ForConditionalGeneration":
        return None
    vision = config.get("vision_config")
    if not isinstance(vision, Mapping) or vision.get("model_type") != "florence_vision":
        raise BadInput(
            f"{hub_id} brings code of its own, which is not run here. Take the same model in transformers' form: "
            "florence-community/Florence-2-base or one of its sisters."
        )
    return "florence2"


def describe(variant: str, size: int) -> Card:
    return hub_card(_BASE, size, "*.txt")


CARDS = [
    _BASE,
    _card("large", 3_110_000_000, 4_500_000_000, 31, "More exact than base; best with a graphics card."),
    *demo_cards("florence2", _BASE, title="Demo Florence-2", tasks=("caption",)),
]
HUB = [HubKind("florence2", "finding, describing and answering (Florence-2)", examine, describe)]
