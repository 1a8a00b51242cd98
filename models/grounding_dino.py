"""Grounding DINO and MM Grounding DINO: what phrases name, found through transformers.

The phrases are read as one text, and each of the detector's queries answers to each of its tokens (Liu et al.,
Grounding DINO: Marrying DINO with Grounded Pre-Training for Open-Set Object Detection, 2023). transformers spells a
name from whatever tokens answer, which merges and cuts names; here the text is put together from the phrases' own
tokens, so that an answer is one of the phrases, whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from models._demo import demo_cards
from models._hub import architecture, hub_card
from models._images import check_image
from models._precision import bfloat16_helps
from models._zero_shot import load_parts
from studio.adapters import Card, Detection, Download, HubKind
from studio.annotations import Box
from studio.errors import BadInput

TOGETHER = 4  # images of one size that go through the network together on a graphics card
THINNEST = 16  # an image longer than this many times its breadth is made broader
GREY = (124, 116, 104)  # near the mean that images are shifted by, so near zero for the network


@dataclass(frozen=True)
class GroundingDinoOptions:
    mean: bool = field(
        default=False,
        metadata={
            "help": "Score a phrase by the mean of its words rather than by the best one. Scores come out "
            "lower, but “a red apple” and “a green apple” are told apart better."
        },
    )
    apart: bool = field(
        default=False,
        metadata={
            "help": "Ask for each phrase by itself, as it is done anyway with more phrases than the model reads at "
            "once: what is found then does not depend on what else is asked for. Slower by the number of phrases."
        },
    )
    packed: bool = field(
        default=False,
        metadata={
            "help": "Read a long list too as many phrases at a time as fit. Much quicker, but what a phrase finds "
            "then depends on its neighbours in the list."
        },
    )
    full_precision: bool = field(
        default=False,
        metadata={"help": "Compute in 32 bits on a graphics card too. Slower; boxes hardly differ."},
    )


@dataclass(frozen=True)
class Pass:
    """A text for one pass through the network: token numbers, and where among them each phrase stands."""

    ids: list[int]
    phrases: list[str]
    spans: list[slice]


class GroundingDinoDetector:
    """A text detector over ``GroundingDinoForObjectDetection`` or ``MMGroundingDinoForObjectDetection``.

    On a graphics card the vision backbone computes in bfloat16, and all that places boxes in float32.
    """

    def __init__(
        self,
        model: Any,
        processor: Any,
        tokenizer: Any,
        device: str = "cpu",
        options: GroundingDinoOptions = GroundingDinoOptions(),
    ) -> None:
        import torch

        self._device = torch.device(device)
        bf16 = bfloat16_helps(self._device, options.full_precision)
        self._model = model.to(device).eval()
        self._backbone = _kept_backbone(model.model.backbone, bf16)
        model.model.backbone = self._backbone
        self._processor, self._tokenizer, self._options = processor, tokenizer, options
        self._longest = int(model.config.max_text_len)
        self._together = TOGETHER if self._device.type == "cuda" else 1

    def detect_text(
        self, images: Sequence[np.ndarray], phrases: Sequence[str], *, floor: float = 0.05
    ) -> list[list[Detection]]:
        """Return the detections of each image, best first; of the phrases of a pass, a box goes to the best.

        What a phrase finds depends on the others of its pass, as they are read together. So more phrases than the
        model reads at once go one by one, and find what each finds alone; with the option ``packed`` as many at a
        time as fit. A phrase longer than the model's whole text is read as far as that goes. Raises BadInput for a
        phrase without a word, or for what is no uint8 RGB image.
        """
        import torch

        _check(images)
        passes = list(self.passes(phrases))
        found: list[list[Detection]] = [[] for _ in images]
        if not passes:
            return found
        with torch.inference_mode():
            for numbers, pixels, mask in self._batches(images):
                for asked in passes:
                    boxes, scores, names = self._ask(pixels, mask, asked)
                    for row, number in enumerate(numbers):
                        keep = scores[row] >= floor
                        answer = boxes[row][keep], scores[row][keep], names[row][keep]
                        found[number] += _detections(images[number], *answer, asked.phrases)
                self._backbone.forget()
        return [sorted(some, key=lambda d: -d.score) for some in found]

    def passes(self, phrases: Sequence[str]) -> Iterator[Pass]:
        """Yield the texts that ask for the phrases, in order: one for all where it holds them."""
        ends = set(self._model.model.special_tokens.tolist()) | {self._tokenizer.pad_token_id}
        first, last = self._tokenizer.cls_token_id, self._tokenizer.sep_token_id
        stop = self._tokenizer.convert_tokens_to_ids(".")
        room = self._longest - 3  # for the first and last token and one full stop
        read: dict[str, list[int]] = {}
        for phrase in dict.fromkeys(phrases):
            said = self._tokenizer(phrase, add_special_tokens=False)["input_ids"]
            # What ends a phrase for the model (a full stop, a question mark) would cut this one in two.
            read[phrase] = [token for token in said if token not in ends][:room]
            if not read[phrase]:
                raise BadInput(f"The phrase “{phrase[:40]}” holds no word. Write one such as “a red apple”.")
        long = sum(len(tokens) + 1 for tokens in read.values()) + 2 > self._longest
        apart = self._options.apart or (long and not self._options.packed)
        ids, names, spans = [first], [], []
        for phrase, tokens in read.items():
            if names and (apart or len(ids) + len(tokens) + 2 > self._longest):
                yield Pass([*ids, last], names, spans)
                ids, names, spans = [first], [], []
            spans.append(slice(len(ids), len(ids) + len(tokens)))
            names.append(phrase)
            ids += [*tokens, stop]
        if names:
            yield Pass([*ids, last], names, spans)

    def _batches(self, images: Sequence[np.ndarray]) -> Iterator[tuple[tuple[int, ...], Any, Any]]:
        """Yield numbers of images, their pixels (b, 3, h, w), and the mask (b, h, w) that the model wants.

        Only images that need no padding against each other go together: padding would change their features.
        """
        waiting: dict[tuple[int, ...], list[tuple[int, Any, Any]]] = {}
        for number, image in enumerate(images):
            made = self._processor(_thickened(image), input_data_format="channels_last", return_tensors="pt")
            pixels, mask = made["pixel_values"].to(self._device), made["pixel_mask"].to(self._device)
            same = waiting.setdefault(tuple(pixels.shape), [])
            same.append((number, pixels, mask))
            if len(same) == self._together:
                yield _joined(waiting.pop(tuple(pixels.shape)))
        yield from map(_joined, waiting.values())

    def _ask(self, pixels: Any, mask: Any, asked: Pass) -> tuple[Any, Any, Any]:
        """Return boxes (b, queries, 4) as shares, and of each the best phrase's score and number (b, queries)."""
        import torch

        ids = torch.tensor([asked.ids], device=self._device).expand(len(pixels), -1)
        out = self._model(pixel_values=pixels, pixel_mask=mask, input_ids=ids)
        answers = out.logits.float().sigmoid()
        each = [answers[..., span] for span in asked.spans]
        scores = torch.stack([a.mean(-1) if self._options.mean else a.amax(-1) for a in each], -1)
        best, number = scores.max(-1)
        centre, size = out.pred_boxes.float().split(2, -1)
        boxes = torch.cat([centre - size / 2, centre + size / 2], -1)
        return boxes.cpu().numpy(), best.cpu().numpy(), number.cpu().numpy()


def _check(images: Sequence[np.ndarray]) -> None:
    for image in images:
        check_image(image)


def _joined(parts: Sequence[tuple[int, Any, Any]]) -> tuple[tuple[int, ...], Any, Any]:
    import torch

    numbers, pixels, masks = zip(*parts, strict=True)
    return numbers, torch.cat(pixels), torch.cat(masks)


def _canvas(image: np.ndarray) -> tuple[int, int]:
    """Return height and width of what the network is shown: the image's own, where it is not too thin."""
    height, width = image.shape[:2]
    return max(height, -(-width // THINNEST)), max(width, -(-height // THINNEST))


def _thickened(image: np.ndarray) -> np.ndarray:
    """Return a thin image with grey below or beside it, as its short side would be resized to nothing."""
    canvas = _canvas(image)
    if canvas == image.shape[:2]:
        return image
    thick = np.full((*canvas, 3), GREY, np.uint8)
    thick[: image.shape[0], : image.shape[1]] = image
    return thick


def _detections(
    image: np.ndarray, boxes: np.ndarray, scores: np.ndarray, names: np.ndarray, phrases: Sequence[str]
) -> Iterator[Detection]:
    """Yield detections of boxes (n, 4), given as shares of the canvas, without those that lie beside the image."""
    tall, wide = _canvas(image)
    for shares, score, name in zip(boxes, scores, names, strict=True):
        box = Box(*(shares * (wide, tall, wide, tall))).clipped(image.shape[1], image.shape[0])
        if box.area:
            yield Detection(phrases[name], float(score), box)


def _kept_backbone(backbone: Any, bf16: bool) -> Any:
    """Return a backbone that computes once for as long as it is shown the same pixels."""
    import torch

    class KeptBackbone(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = backbone
            self.position_embedding = backbone.position_embedding
            self._kept: tuple[Any, Any, Any] | None = None

        def forward(self, pixels: Any, mask: Any) -> tuple[list[Any], list[Any]]:
            kept = self._kept
            if kept is None or kept[0] is not pixels:
                precision: AbstractContextManager[Any] = nullcontext()
                if bf16:
                    precision = torch.autocast(pixels.device.type, dtype=torch.bfloat16)
                with precision:
                    maps, positions = self.inner(pixels, mask)
                kept = pixels, [(m.float(), seen) for m, seen in maps], [p.float() for p in positions]
                self._kept = kept
            return list(kept[1]), list(kept[2])  # the model appends to what it is given

        def forget(self) -> None:
            self._kept = None

    return KeptBackbone()


def load(folder: str | None, device: str, options: GroundingDinoOptions) -> GroundingDinoDetector:
    """Load a Grounding DINO or MM Grounding DINO, whichever the folder holds."""
    return GroundingDinoDetector(*load_parts(folder), device, options)


def _card(id: str, title: str, hub_id: str, parameters: int, rank: int, note: str) -> Card:
    return Card(
        id=id,
        title=title,
        family="Grounding DINO",
        roles=("text-detector",),
        prompts=("text",),
        licence="Apache-2.0",
        load=load,
        memory_bytes=4 * parameters + 1_500_000_000,
        download=Download(
            hub_id, 4 * parameters + 1_500_000, patterns=("*.json", "model*.safetensors", "vocab.txt")
        ),
        options=GroundingDinoOptions,
        note=note,
        rank=rank,
    )


TINY = _card(
    "grounding-dino-tiny",
    "Grounding DINO tiny",
    "IDEA-Research/grounding-dino-tiny",
    172_250_626,
    10,
    "Finds what phrases name, several phrases at once.",
)


def examine(hub_id: str, config: Mapping[str, Any]) -> str | None:
    known = ("GroundingDinoForObjectDetection", "MMGroundingDinoForObjectDetection")
    return "words" if architecture(config) in known else None


def describe(variant: str, size: int) -> Card:
    return hub_card(TINY, size, "vocab.txt")


CARDS = [
    TINY,
    _card(
        "grounding-dino-base",
        "Grounding DINO base",
        "IDEA-Research/grounding-dino-base",
        232_315_264,
        11,
        "Finds more than tiny; best with a graphics card.",
    ),
    _card(
        "mm-grounding-dino-tiny",
        "MM Grounding DINO tiny",
        "openmmlab-community/mm_grounding_dino_tiny_o365v1_goldg_v3det",
        172_913_693,
        12,
        "As quick as tiny, retrained in the open on more kinds of things: better at rare ones.",
    ),
    *demo_cards("grounding_dino", TINY, title="Demo Grounding DINO"),
]
HUB = [HubKind("grounding-dino", "detection by words (Grounding DINO)", examine, describe)]
