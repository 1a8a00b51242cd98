"""SAM 3's two halves over one encoder: the detector finds what a phrase names, the tracker cuts out what is clicked.

Carion et al., SAM 3: Segment Anything with Concepts, 2025.
"""

from __future__ import annotations

import hashlib
import threading
import weakref
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from models._images import check_image
from models._precision import bfloat16_helps, precision
from models._sam.sam2 import Sam2Segmenter
from studio.adapters import Candidate, Detection, Embedding, Example
from studio.annotations import Box, Mask, Prompt
from studio.errors import BadInput

MASK_SHOWS = 0.5  # the probability from which a pixel belongs to a thing found
VISUAL = "visual"  # the word that stands for "what the examples show", as transformers' processor has it
KEPT_PHRASES = 256  # of 32 tokens: 32 kB each


@dataclass(eq=False)
class Seen:
    """What the encoder made of an image, in main memory: tokens (1, n, d), and from them the tracker's maps."""

    key: bytes
    tokens: Any
    maps: list[Any]

    @property
    def nbytes(self) -> int:
        return sum(part.untyped_storage().nbytes() for part in (self.tokens, *self.maps))


@dataclass(frozen=True)
class Words:
    """A phrase as the detector reads it: features (1, n, d), and which of the n tokens count, (1, n)."""

    features: Any
    mask: Any


class Sam3:
    """A segmenter, text detector and example detector over a ``Sam3Model`` and a ``Sam3TrackerModel``.

    An image is encoded once, whether it is clicked first or asked about: as long as somebody holds its embedding, and
    the latest one in any case, phrases and clicks start from there. On a graphics card the encoder computes in
    bfloat16; what places boxes, points and outlines, in float32.
    """

    def __init__(
        self,
        detector: Any,
        tracker: Any,
        processor: Any,
        device: str = "cpu",
        *,
        full_precision: bool = False,
    ) -> None:
        import torch

        self._handed = share(detector, tracker)
        self._detector = detector.to(device).eval()
        self._processor = processor
        self._device = torch.device(device)
        self._bf16 = bfloat16_helps(self._device, full_precision)
        self._clicks = Sam2Segmenter(tracker, device, full_precision=full_precision)
        self._tracker = tracker
        self._longest = int(detector.config.text_config.max_position_embeddings)
        self._seen: weakref.WeakValueDictionary[bytes, Seen] = weakref.WeakValueDictionary()
        self._latest: Seen | None = None
        self._looking: weakref.WeakValueDictionary[bytes, Any] = weakref.WeakValueDictionary()
        self._read: OrderedDict[str, Words] = OrderedDict()
        self._lock = threading.Lock()

    def embed(self, image: np.ndarray) -> Embedding:
        """Encode an image of shape (height, width, 3), for clicks and phrases alike."""
        check_image(image)
        seen = self._look(image)
        return Embedding(*image.shape[:2], seen, seen.nbytes)

    def segment(self, embedding: Embedding, prompt: Prompt, previous: Any = None) -> list[Candidate]:
        """Return three candidates for a single click with nothing else, otherwise one."""
        self._recall(embedding.data)
        return self._clicks.segment(embedding, prompt, previous)

    def segment_many(
        self, embedding: Embedding, prompts: Sequence[Prompt], *, floor: float = 0.0, steady: float = 0.0
    ) -> list[list[Candidate]]:
        """Return for each prompt what ``segment`` says of it, as far as it reaches both marks."""
        self._recall(embedding.data)
        return self._clicks.segment_many(embedding, prompts, floor=floor, steady=steady)

    def detect_text(
        self, images: Sequence[np.ndarray], phrases: Sequence[str], *, floor: float = 0.05
    ) -> list[list[Detection]]:
        """Return the detections of each image with their masks, best first.

        Raises BadInput for a phrase that is empty or longer than the model reads.
        """
        import torch

        for image in images:
            check_image(image)
        phrases = list(dict.fromkeys(phrases))
        with torch.inference_mode():
            words = [self._words(phrase) for phrase in phrases]
            answers = []
            for image in images:
                found: list[Detection] = []
                if phrases:
                    vision = self._vision(self._look(image))
                    # One phrase at a time: the masks of all its queries are what takes the memory.
                    for phrase, text in zip(phrases, words, strict=True):
                        found += self._ask(vision, image.shape[:2], phrase, text, {}, floor)
                answers.append(sorted(found, key=lambda d: -d.score))
        return answers

    def detect_like(
        self, images: Sequence[np.ndarray], examples: Sequence[Example], *, floor: float = 0.05
    ) -> list[list[Detection]]:
        """Return the detections of each image with their masks, best first and unnamed.

        SAM 3 takes its examples from the image it looks at: on an image without a positive example of its own
        nothing is found. Raises BadInput where no example is positive, or one lies outside its image.
        """
        import torch

        for image in (*images, *(e.image for e in examples)):
            check_image(image)
        if not any(e.positive for e in examples):
            raise BadInput("Give at least one example of what to look for.")
        with torch.inference_mode():
            words = self._words(VISUAL)
            answers: list[list[Detection]] = []
            for image in images:
                own = [e for e in examples if e.image is image or np.array_equal(e.image, image)]
                if not any(e.positive for e in own):
                    answers.append([])
                    continue
                boxes = self._boxes(own, image.shape[:2])
                answers.append(
                    self._ask(self._vision(self._look(image)), image.shape[:2], "", words, boxes, floor)
                )
        return answers

    # ---- looking at an image ----

    def _recall(self, seen: Seen) -> None:
        """Know an image again that was encoded before this model was unloaded and loaded anew."""
        with self._lock:
            self._seen[seen.key] = seen

    def _look(self, image: np.ndarray) -> Seen:
        """Return what the encoder makes of an image; two who ask for the same one at once share the work."""
        key = digest(image)
        with self._lock:
            looking = self._looking.setdefault(key, threading.Lock())
        with looking:
            with self._lock:
                seen = self._seen.get(key)
            seen = seen or self._encode(image, key)
            with self._lock:
                self._seen[key] = self._latest = seen
        return seen

    def _encode(self, image: np.ndarray, key: bytes) -> Seen:
        import torch

        with torch.inference_mode():
            pixels = self._processor.image_processor(
                image, input_data_format="channels_last", return_tensors="pt", device=self._device
            )["pixel_values"].to(self._device)
            with precision(self._device, self._bf16):
                tokens = self._detector.vision_encoder.backbone(pixels).last_hidden_state
            if self._handed is None:
                with precision(self._device, self._bf16):
                    maps = self._tracker.get_image_embeddings(pixels)
            else:
                with self._handed.tokens(tokens.float()):
                    maps = self._tracker.get_image_embeddings(pixels)
            kind = torch.bfloat16 if self._bf16 else torch.float32
            # Copies of what is needed: a view would keep the whole of what it was cut from.
            tokens, *maps = (
                part.to("cpu", kind).clone(memory_format=torch.contiguous_format) for part in (tokens, *maps)
            )
        return Seen(key, tokens, maps)

    def _vision(self, seen: Seen) -> Any:
        """Return the detector's maps of an image: five times the size of what is kept, so made for each question."""
        import torch
        from transformers.models.sam3.modeling_sam3 import Sam3VisionEncoderOutput

        tokens = seen.tokens.to(self._device, torch.float32)
        maps, positions = self._detector.vision_encoder.neck(as_map(tokens))
        return Sam3VisionEncoderOutput(
            last_hidden_state=tokens, fpn_hidden_states=maps, fpn_position_encoding=positions
        )

    # ---- asking ----

    def _words(self, phrase: str) -> Words:
        """Return what the text encoder makes of a phrase; those of the latest phrases are kept."""
        with self._lock:
            known = self._read.get(phrase)
            if known is not None:
                self._read.move_to_end(phrase)
                return known
        if not phrase.strip():
            raise BadInput("A phrase is empty. Write what to look for, such as “a red apple”.")
        tokens = self._processor.tokenizer(
            phrase, padding="max_length", max_length=self._longest, return_tensors="pt"
        ).to(self._device)
        ids, mask = tokens["input_ids"], tokens["attention_mask"]
        if ids.shape[1] > self._longest:
            raise BadInput(
                f"“{phrase[:40]}…” is too long for SAM 3, which reads {self._longest} pieces of words; this is "
                f"{ids.shape[1]}. Name the thing in a few words."
            )
        made = self._detector.get_text_features(input_ids=ids, attention_mask=mask)
        words = Words(made.pooler_output, mask)
        with self._lock:
            self._read[phrase] = words
            while len(self._read) > KEPT_PHRASES:
                self._read.popitem(last=False)
        return words

    def _boxes(self, examples: Sequence[Example], size: tuple[int, int]) -> dict[str, Any]:
        """Return examples as the model takes them: centre and size as shares of the image; 1 positive, 0 negative."""
        import torch

        height, width = size
        rows = []
        for e in examples:
            box = e.box.clipped(width, height)
            if not box.area:
                raise BadInput("An example lies outside its image, or its box has no area.")
            rows.append(
                (
                    (box.x0 + box.x1) / 2 / width,
                    (box.y0 + box.y1) / 2 / height,
                    box.width / width,
                    box.height / height,
                )
            )
        return {
            "input_boxes": torch.tensor([rows], dtype=torch.float32, device=self._device),
            "input_boxes_labels": torch.tensor([[int(e.positive) for e in examples]], device=self._device),
        }

    def _ask(
        self,
        vision: Any,
        size: tuple[int, int],
        name: str,
        words: Words,
        boxes: dict[str, Any],
        floor: float,
    ) -> list[Detection]:
        from transformers.modeling_outputs import BaseModelOutputWithPooling

        answer = self._detector(
            vision_embeds=vision,
            text_embeds=BaseModelOutputWithPooling(pooler_output=words.features),
            attention_mask=words.mask,
            **boxes,
        )
        scores = (answer.pred_logits.sigmoid() * answer.presence_logits.sigmoid())[0].float()
        height, width = size
        found = []
        for number in scores.argsort(descending=True).tolist():
            score = float(scores[number])
            if score < floor:
                break
            corners = answer.pred_boxes[0, number].float().cpu().numpy() * (width, height, width, height)
            box = Box(*corners).clipped(width, height)
            if box.area:
                found.append(
                    Detection(name, score, box, _mask(answer.pred_masks[:, number : number + 1], size))
                )
        return found


def _mask(logits: Any, size: tuple[int, int]) -> Mask:
    """Return the mask of an image's size: enlarged as probabilities, which is where transformers draws the line."""
    import torch

    shown = torch.nn.functional.interpolate(
        logits.float().sigmoid(), size, mode="bilinear", align_corners=False
    )
    return Mask.from_array((shown[0, 0] > MASK_SHOWS).cpu().numpy())


def share(detector: Any, tracker: Any) -> Any:
    """Take the encoder out of the tracker where it is the detector's over again.

    Returns a module in its place, inside whose context ``tokens(found)`` the tracker works with what the detector's
    encoder found in the image; None where the encoders' weights differ, so that each half needs its own.
    """
    import torch
    from transformers.modeling_outputs import BaseModelOutput

    ours, theirs = detector.vision_encoder.backbone, tracker.vision_encoder.backbone
    first, second = ours.state_dict(), theirs.state_dict()
    if first.keys() != second.keys() or not all(torch.equal(first[k], second[k]) for k in first):
        return None

    class Handed(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.own = threading.local()  # images may be encoded in several threads at once

        @contextmanager
        def tokens(self, found: Any) -> Iterator[None]:
            self.own.found = found
            try:
                yield
            finally:
                del self.own.found

        def forward(self, *_: Any, **__: Any) -> Any:
            return BaseModelOutput(last_hidden_state=self.own.found)

    tracker.vision_encoder.backbone = Handed()
    return tracker.vision_encoder.backbone


def digest(image: np.ndarray) -> bytes:
    made = hashlib.blake2b(repr(image.shape).encode(), digest_size=16)
    made.update(np.ascontiguousarray(image))
    return made.digest()


def as_map(tokens: Any) -> Any:
    """Return tokens (1, n, d) of a square picture as a map (1, d, h, w)."""
    side = round(tokens.shape[1] ** 0.5)
    return tokens.view(1, side, side, -1).permute(0, 3, 1, 2)
