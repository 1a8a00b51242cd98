"""Kosmos-2: captions and answers whose phrases are tied to boxes, and things found by phrases, through transformers.

A language model that sees an image as tokens, and writes boxes as pairs of tokens of a 32×32 grid (Peng et al.,
Kosmos-2: Grounding Multimodal Large Language Models to the World, 2023). Prompts are those of its authors.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import numpy as np

from models._answers import kosmos
from models._hub import architecture, hub_card
from models._images import check_image
from models._precision import bfloat16_helps
from models._writing import Chances, Latest, plain, stream
from studio.adapters import Card, Detection, Download, HubKind, Reading, Task
from studio.annotations import Box
from studio.errors import BadInput

GROUNDED = "<grounding>"
BEGUN = "An image of"  # how a caption begins
WAYS: dict[Task, str] = {
    "caption": BEGUN,
    "detailed caption": f"{GROUNDED}Describe this image in detail:",
    "grounded caption": GROUNDED + BEGUN,
}
TOGETHER = 16  # phrases of one length that are looked for together
LENGTH = 256  # tokens written at most
BOXES = 20  # boxes of one phrase at most, of three tokens each
QUESTION = 1000  # characters of a question at most; the network reads 2048 tokens in all
OPEN, CLOSE, NEXT = "<object>", "</object>", "</delimiter_of_multi_objects/>"


@dataclass(frozen=True)
class Kosmos2Options:
    full_precision: bool = field(
        default=False,
        metadata={"help": "Compute in 32 bits on a graphics card too. Slower; answers hardly differ."},
    )


class Kosmos2:
    """A text detector, answerer and describer over a ``Kosmos2ForConditionalGeneration`` and its processor.

    It writes greedily. An image is looked at once, and the latest one is kept for the next question. On a graphics
    card it computes in bfloat16.
    """

    tasks: tuple[Task, ...] = tuple(WAYS)

    def __init__(
        self, model: Any, processor: Any, device: str = "cpu", options: Kosmos2Options = Kosmos2Options()
    ) -> None:
        import torch

        self._device = torch.device(device)
        bf16 = bfloat16_helps(self._device, options.full_precision)
        self._dtype = torch.bfloat16 if bf16 else torch.float32
        self._model = model.to(self._device, self._dtype).eval()
        self._processor = processor
        tokenizer = processor.tokenizer
        self._tags = tuple({*tokenizer.get_added_vocab(), *tokenizer.all_special_tokens})
        cells = [f"<patch_index_{i:04}>" for i in range(kosmos.GRID**2)]
        self._cells = torch.tensor(tokenizer.convert_tokens_to_ids(cells), device=self._device)
        self._open, self._close, self._next = tokenizer.convert_tokens_to_ids([OPEN, CLOSE, NEXT])
        self._seen = Latest(self._look)

    def detect_text(
        self, images: Sequence[np.ndarray], phrases: Sequence[str], *, floor: float = 0.05
    ) -> list[list[Detection]]:
        """Return the detections of each image, best first; each one's ``name`` is one of the phrases, whole.

        Kosmos-2 gives no scores. A detection's score is the least, over its two corners, of the probability that the
        network gave to that cell of the grid and the eight around it. Each phrase is asked for on its own, and what
        is found does not depend on the others; a blank one finds nothing. Boxes are as coarse as the grid.
        """
        import torch

        for image in images:
            check_image(image)
        asked = [(phrase, text) for phrase in dict.fromkeys(phrases) if (text := self._plain(phrase))]
        read = [(phrase, self._tokens(f"{GROUNDED}<phrase> {text}</phrase>")) for phrase, text in asked]
        found: list[list[Detection]] = [[] for _ in images]
        # Only prompts of one length go together: this network was not trained on padded ones.
        same = [list(group) for _, group in groupby(sorted(read, key=_length), key=_length)]
        with torch.inference_mode():
            for number, image in enumerate(images):
                for group in same:
                    for start in range(0, len(group), TOGETHER):
                        some = group[start : start + TOGETHER]
                        found[number] += self._find(image, some, floor)
        return [sorted(detections, key=lambda d: -d.score) for detections in found]

    def answer(self, image: np.ndarray, question: str) -> Iterator[str]:
        """Yield pieces of the answer with its phrases and boxes in tags. A blank question asks for a caption."""
        check_image(image)
        text = self._plain(question)[:QUESTION]
        if text:
            return self._stream(image, f"{GROUNDED}Question: {text} Answer:")
        return self._stream(image, WAYS["grounded caption"])

    def read(self, text: str, height: int, width: int) -> Reading:
        """Return an answer as people read it, with its boxes in pixels."""
        return kosmos.read(text, height, width)

    def describe(self, image: np.ndarray, task: Task, text: str = "") -> Reading:
        """Return a description; but for a plain "caption", with boxes. It takes no text of one's own.

        Raises BadInput for another task, and for a text.
        """
        check_image(image)
        if task not in WAYS:
            raise BadInput(f"Kosmos-2 knows no task “{task}”. There is {', '.join(WAYS)}.")
        if text.strip():
            raise BadInput(
                "Kosmos-2 grounds only captions that it writes itself. Choose Florence-2 for a text of your own."
            )
        return self.read("".join(self._stream(image, WAYS[task])), *image.shape[:2])

    def _plain(self, text: str) -> str:
        return plain(text, self._tags)

    def _stream(self, image: np.ndarray, prompt: str) -> Iterator[str]:
        """Yield what is written; what it goes on from, where the prompt is the beginning of a caption, comes first."""
        tokens = self._tokens(prompt)
        begun = tokens[3 + self._model.config.latent_query_num :] if prompt.endswith(BEGUN) else []

        def write(**listener: Any) -> None:
            self._write(image, [tokens], max_new_tokens=LENGTH, **listener)

        tokenizer = self._processor.tokenizer
        shown = [token for token in begun if token != tokenizer.convert_tokens_to_ids(GROUNDED)]
        return stream(tokenizer, write, prompt=True, begun=shown)

    def _look(self, image: np.ndarray) -> Any:
        """Return an image as the language model takes it, of shape (1, tokens, d)."""
        import torch

        made = self._processor.image_processor(image, input_data_format="channels_last", return_tensors="pt")
        pixels = made["pixel_values"].to(self._device, self._dtype)
        vision = self._model.vision_model
        seen = torch.nn.functional.normalize(vision.model.post_layernorm(vision(pixels)[0]), dim=-1)
        return self._model.image_to_text_projection(seen)[0]

    def _tokens(self, prompt: str) -> list[int]:
        """Return a prompt's tokens, with room at their head for those of the image, as the processor numbers them."""
        tokenizer, count = self._processor.tokenizer, self._model.config.latent_query_num
        text = self._processor.preprocess_examples(prompt, object(), None, count)
        read = tokenizer(tokenizer.bos_token + text, add_special_tokens=False)["input_ids"]
        first = tokenizer.unk_token_id + 1
        return [*read[:2], *range(first, first + count), *read[2 + count :]]

    def _write(self, image: np.ndarray, prompts: Sequence[list[int]], **how: Any) -> Any:
        """Return what is written to prompts of one length, each after its prompt."""
        import torch

        seen = self._seen.of(image)
        ids = torch.tensor(prompts, device=self._device)
        places = torch.zeros_like(ids, dtype=torch.bool)
        places[:, 2 : 2 + seen.shape[1]] = True
        return self._model.text_model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            image_embeds=seen.repeat(len(ids), 1, 1),
            image_embeds_position_mask=places,
            do_sample=False,
            num_beams=1,
            **how,
        )

    def _find(
        self, image: np.ndarray, asked: Sequence[tuple[str, list[int]]], floor: float
    ) -> Iterator[Detection]:
        chances = Chances(self._cells, _near)
        ends = self._model.text_model.generation_config.eos_token_id
        ends = [*(ends if isinstance(ends, list) else [] if ends is None else [ends]), self._close]
        written = self._write(
            image,
            [tokens for _, tokens in asked],
            max_new_tokens=3 * BOXES + 1,
            eos_token_id=ends,
            logits_processor=[chances],
        )
        sure = chances.of(written)
        for (phrase, tokens), row, chance in zip(asked, written.tolist(), sure, strict=True):
            begin = len(tokens)
            for box, score in self._boxes(row[begin:], chance[begin:], *image.shape[:2]):
                if score >= floor:
                    yield Detection(phrase, score, box)

    def _boxes(
        self, tokens: Sequence[int], chances: np.ndarray, height: int, width: int
    ) -> Iterator[tuple[Box, float]]:
        """Yield the boxes that are written straight behind a phrase; what is no box is passed over."""
        if not tokens or tokens[0] != self._open:
            return
        number = {token: cell for cell, token in enumerate(self._cells.tolist())}
        corners: list[int] = []
        for at, token in enumerate(tokens[1:], start=1):
            if token in number:
                corners.append(at)
                continue
            if len(corners) == 2:
                box = kosmos.box_between(*(number[tokens[c]] for c in corners), height, width)
                if box is not None:
                    yield box, float(min(chances[c] for c in corners))
            if token != self._next:
                return
            corners = []


def _length(asked: tuple[str, list[int]]) -> int:
    return len(asked[1])


def _near(steps: Any) -> Any:
    """Return, of the chances of all cells (…, 1024), the sums over each one and the eight around it."""
    import torch

    maps = steps.reshape(-1, 1, kosmos.GRID, kosmos.GRID)
    return 9 * torch.nn.functional.avg_pool2d(maps, 3, stride=1, padding=1).reshape(steps.shape)


def load(folder: str | None, device: str, options: Kosmos2Options) -> Kosmos2:
    import torch
    import transformers

    model = transformers.Kosmos2ForConditionalGeneration.from_pretrained(
        folder, dtype=torch.float32, local_files_only=True
    )
    model.requires_grad_(False)
    processor = transformers.Kosmos2Processor.from_pretrained(folder, local_files_only=True)
    return Kosmos2(model, processor, device, options)


KOSMOS = Card(
    id="kosmos-2",
    title="Kosmos-2",
    family="Kosmos-2",
    roles=("describer", "answerer", "text-detector"),
    prompts=("text",),
    licence="MIT",
    load=load,
    memory_bytes=7_600_000_000,
    download=Download(
        "microsoft/kosmos-2-patch14-224", 6_670_000_000, patterns=("*.json", "model*.safetensors")
    ),
    options=Kosmos2Options,
    note="Ties the phrases of its captions and answers to boxes, on a coarse grid. Best with a graphics card.",
    rank=40,
    tasks=tuple(WAYS),
)


def examine(hub_id: str, config: Mapping[str, Any]) -> str | None:
    return "kosmos2" if architecture(config) == "Kosmos2ForConditionalGeneration" else None


def describe(variant: str, size: int) -> Card:
    return hub_card(KOSMOS, size)


CARDS = [KOSMOS]
HUB = [HubKind("kosmos2", "captions and answers with boxes (Kosmos-2)", examine, describe)]
