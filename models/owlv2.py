"""OWLv2 and OWL-ViT: things found by a phrase or by an example, through transformers.

Every patch of the image proposes a box and a vector; a phrase or an example is a vector too, and what lies close is
found (Minderer et al., Simple Open-Vocabulary Object Detection with Vision Transformers, 2022, and Scaling
Open-Vocabulary Object Detection, 2023).
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from models._demo import demo_cards
from models._hub import architecture, hub_card
from models._owl import Seen, check, cut, digest, found, query, read_map, shrunk, unit
from models._precision import bfloat16_helps, precision
from models._zero_shot import load_parts
from studio.adapters import Card, Detection, Download, Example, HubKind
from studio.errors import BadInput

PATCHES = 16_384  # patches that go through the network together: four images of OWLv2 base
PHRASES = 64  # phrases a pass
LONG = 64  # phrases from which on a list is too long for its phrases to contend for boxes
KEPT_BYTES = 96_000_000  # what the latest images made, kept for the next phrase or example
KEPT_PHRASES = 2_000
COARSER = 4  # an image larger than this many times the input is made smaller before it is blurred and resized


@dataclass(frozen=True)
class OwlOptions:
    overlap: float = field(
        default=0.5,
        metadata={
            "help": "Of two boxes of one phrase that overlap more than this, the weaker goes. 1 keeps all.",
            "min": 0.1,
            "max": 1.0,
            "step": 0.05,
        },
    )
    apart: bool = field(
        default=False,
        metadata={
            "help": "Let every phrase keep what fits it, even where another phrase fits better, as is done anyway with "
            "64 phrases or more: what is found then does not depend on what else is asked for, and a thing may have "
            "several names."
        },
    )
    blend: bool = field(
        default=False,
        metadata={"help": "Look for the mean of several examples, rather than for what is like any of them."},
    )
    cut_out: bool = field(
        default=False,
        metadata={
            "help": "Show the model each example cut out, rather than in its image. Slower and mostly worse."
        },
    )
    full_precision: bool = field(
        default=False,
        metadata={"help": "Compute in 32 bits on a graphics card too. Slower; boxes hardly differ."},
    )


@dataclass(frozen=True)
class Queries:
    """Unit vectors (m, d) of examples, on the processor, and which of them show what is sought."""

    vectors: Any
    positive: tuple[bool, ...]


class OwlDetector:
    """A text and example detector over ``Owlv2ForObjectDetection`` or ``OwlViTForObjectDetection``.

    An image is encoded once for all phrases, and the latest few stay for the next question. On a graphics card the
    encoder computes in bfloat16 and the small heads, which place the boxes, in float32.
    """

    def __init__(
        self, model: Any, processor: Any, tokenizer: Any, device: str, options: OwlOptions = OwlOptions()
    ) -> None:
        import torch

        self._model = model.to(device).eval()
        self._processor, self._tokenizer = processor, tokenizer
        self._device = torch.device(device)
        self._bf16 = bfloat16_helps(self._device, options.full_precision)
        self._options = options
        # OWLv2 pads an image to a square below and to the right; OWL-ViT stretches it.
        self._padded = hasattr(model, "owlv2")
        self._core = model.owlv2 if self._padded else model.owlvit
        vision = model.config.vision_config
        self._limit = COARSER * vision.image_size
        self._batch = max(1, PATCHES // (vision.image_size // vision.patch_size) ** 2)
        self._longest_text = int(model.config.text_config.max_position_embeddings)
        self._seen: OrderedDict[bytes, Seen] = OrderedDict()
        self._read: OrderedDict[str, Any] = OrderedDict()
        self._lock = threading.Lock()

    def detect_text(
        self, images: Sequence[np.ndarray], phrases: Sequence[str], *, floor: float = 0.05
    ) -> list[list[Detection]]:
        """Return the detections of each image, best first; a box goes to the phrase that fits it best.

        With the option ``apart``, or in a long list, each phrase finds what it finds alone. Otherwise, of that, a box
        which fits another phrase better is left out. Raises BadInput for a phrase without a letter, or an image that
        is not uint8 of shape (height, width, 3).
        """
        import torch

        check(images)
        phrases = list(dict.fromkeys(phrases))
        if any(not phrase.strip() for phrase in phrases):
            raise BadInput("A phrase is empty. Write what to look for, such as “a red apple”.")
        if not phrases:
            return [[] for _ in images]
        answers = []
        with torch.inference_mode():
            queries = self._embed_phrases(phrases)
            for image, seen in zip(images, self._look(images), strict=True):
                fits = seen.logits(queries)
                if self._options.apart or len(phrases) >= LONG:
                    patches, labels = torch.nonzero(torch.sigmoid(fits) >= floor, as_tuple=True)
                else:
                    best, labels = fits.max(dim=1)
                    patches = torch.nonzero(torch.sigmoid(best) >= floor)[:, 0]
                    labels = labels[patches]
                answers.append(self._answer(image, seen, patches, fits[patches, labels], labels, phrases))
        return answers

    def detect_like(
        self, images: Sequence[np.ndarray], examples: Sequence[Example], *, floor: float = 0.05
    ) -> list[list[Detection]]:
        """Return the detections of each image, best first, without a name.

        What is nearer to a negative example than to every positive one is left out. Raises BadInput where no example
        is positive, or where one lies outside its image.
        """
        check(images)
        _check_any(e.positive for e in examples)
        return self.detect_encoded(images, [self.encode_examples(examples)], floor=floor)

    def encode_examples(self, examples: Sequence[Example]) -> Queries:
        """Return what examples ask for. Raises BadInput where one lies outside its image."""
        import torch

        check([e.image for e in examples])
        with torch.inference_mode():
            return Queries(self._embed_examples(examples).cpu(), tuple(e.positive for e in examples))

    def detect_encoded(
        self, images: Sequence[np.ndarray], encoded: Sequence[Queries], *, floor: float = 0.05
    ) -> list[list[Detection]]:
        """Return what ``detect_like`` does for examples that were encoded before."""
        import torch

        check(images)
        signs = [sign for part in encoded for sign in part.positive]
        _check_any(signs)
        answers = []
        with torch.inference_mode():
            queries = torch.cat([part.vectors for part in encoded]).to(self._device)
            positive = torch.tensor(signs, device=self._device)
            likes, unlikes = queries[positive], queries[~positive]
            sought = unit(likes.mean(0, keepdim=True)) if self._options.blend else likes
            for image, seen in zip(images, self._look(images), strict=True):
                logits = seen.logits(sought).max(dim=1).values
                keep = torch.sigmoid(logits) >= floor
                if len(unlikes):
                    vectors = unit(seen.vectors)
                    keep &= (vectors @ likes.T).amax(1) >= (vectors @ unlikes.T).amax(1)
                patches = torch.nonzero(keep)[:, 0]
                labels = torch.zeros_like(patches)
                answers.append(self._answer(image, seen, patches, logits[patches], labels, [""]))
        return answers

    def _look(self, images: Sequence[np.ndarray]) -> Iterator[Seen]:
        """Yield what the encoder makes of each image, a batch at a time, encoding only what is new."""
        for start in range(0, len(images), self._batch):
            some = images[start : start + self._batch]
            keys = [digest(image) for image in some]
            part = dict(zip(keys, some, strict=True))
            with self._lock:
                known = {key: self._seen[key] for key in part if key in self._seen}
            new = [key for key in part if key not in known]
            if new:
                known.update(zip(new, self._encode([part[key] for key in new]), strict=True))
            with self._lock:
                for key in part:
                    self._seen[key] = known[key]
                    self._seen.move_to_end(key)
                while len(self._seen) > 1 and sum(s.nbytes for s in self._seen.values()) > KEPT_BYTES:
                    self._seen.popitem(last=False)
            yield from (known[key] for key in keys)

    def _encode(self, images: Sequence[np.ndarray]) -> list[Seen]:
        import torch

        pixels = [
            self._processor(
                shrunk(image, self._limit),
                return_tensors="pt",
                input_data_format="channels_last",
                device=self._device,
            )["pixel_values"]
            for image in images
        ]
        with precision(self._device, self._bf16):
            maps = self._model.image_embedder(torch.cat(pixels).to(self._device))[0].float()
        return read_map(self._model, maps)

    def _embed_phrases(self, phrases: Sequence[str]) -> Any:
        """Return unit vectors (m, d), reading only phrases that are new, a pass of them at a time."""
        import torch

        with self._lock:
            known = {p: self._read[p] for p in phrases if p in self._read}
        new = [p for p in phrases if p not in known]
        for start in range(0, len(new), PHRASES):
            part = new[start : start + PHRASES]
            tokens = self._tokenizer(
                part, padding=True, truncation=True, max_length=self._longest_text, return_tensors="pt"
            ).to(self._device)
            made = self._core.get_text_features(
                input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"]
            )
            known.update(zip(part, unit(made.pooler_output.float()), strict=True))
        with self._lock:
            self._read.update((p, known[p].clone()) for p in new)
            while len(self._read) > KEPT_PHRASES:
                self._read.popitem(last=False)
        return torch.stack([known[p] for p in phrases])

    def _embed_examples(self, examples: Sequence[Example]) -> Any:
        """Return unit vectors (m, d): each that of the patch which sees its example as one thing."""
        import torch

        boxes = []
        for e in examples:
            box = e.box.clipped(e.image.shape[1], e.image.shape[0])
            if not box.area:
                raise BadInput("An example lies outside its image, or its box has no area.")
            boxes.append(box)
        if self._options.cut_out:
            cuts = [cut(e.image, box) for e, box in zip(examples, boxes, strict=True)]
            queries = [query(seen, None) for seen in self._look(cuts)]
        else:
            looked = self._look([e.image for e in examples])
            queries = [
                query(seen, torch.tensor(b.xyxy, device=self._device) / self._scale(e.image))
                for seen, b, e in zip(looked, boxes, examples, strict=True)
            ]
        return unit(torch.stack(queries))

    def _answer(
        self, image: np.ndarray, seen: Seen, patches: Any, logits: Any, labels: Any, names: Sequence[str]
    ) -> list[Detection]:
        corners = seen.corners[patches] * self._scale(image)
        return found(corners, logits, labels, image, names, self._options.overlap)

    def _scale(self, image: np.ndarray) -> Any:
        """Return the pixels (4,) that the network's square stands for."""
        import torch

        height, width = image.shape[:2]
        side = max(height, width)
        sides = [side, side] if self._padded else [width, height]
        return torch.tensor(sides * 2, dtype=torch.float32, device=self._device)


def _check_any(positive: Iterable[bool]) -> None:
    if not any(positive):
        raise BadInput("Give at least one example of what to look for.")


def load(folder: str | None, device: str, options: OwlOptions) -> OwlDetector:
    """Load an OWLv2 or OWL-ViT, whichever the folder holds, with its image processor and tokenizer."""
    return OwlDetector(*load_parts(folder), device, options)


def _card(id: str, title: str, hub_id: str, parameters: int, rank: int, note: str) -> Card:
    return Card(
        id=id,
        title=title,
        family="OWLv2",
        roles=("text-detector", "example-detector"),
        prompts=("text", "reference"),
        licence="Apache-2.0",
        load=load,
        memory_bytes=4 * parameters + 1_000_000_000,
        download=Download(
            hub_id, 4 * parameters + 4_000_000, patterns=("*.json", "model*.safetensors", "merges.txt")
        ),
        options=OwlOptions,
        note=note,
        rank=rank,
    )


OWLV2_BASE = _card(
    "owlv2-base",
    "OWLv2 base",
    "google/owlv2-base-patch16-ensemble",
    153_971_464,
    20,
    "Finds what a phrase names, or what is like an example.",
)


def examine(hub_id: str, config: Mapping[str, Any]) -> str | None:
    return "owl" if architecture(config) in ("Owlv2ForObjectDetection", "OwlViTForObjectDetection") else None


def describe(variant: str, size: int) -> Card:
    return hub_card(OWLV2_BASE, size, "merges.txt")


CARDS = [
    OWLV2_BASE,
    _card(
        "owlv2-large",
        "OWLv2 large",
        "google/owlv2-large-patch14-ensemble",
        437_610_760,
        21,
        "Finds more, above all rare things; best with a graphics card.",
    ),
    _card(
        "owlvit-base",
        "OWL-ViT base",
        "google/owlvit-base-patch32",
        153_231_879,
        22,
        "The quickest, with the coarsest grid: for large things.",
    ),
    *demo_cards("owlv2", OWLV2_BASE, title="Demo OWLv2"),
]
HUB = [HubKind("owl", "detection by words or an example (OWL)", examine, describe)]
