"""SAM and SAM-HQ: objects cut out by clicks, boxes and masks, through transformers.

Pixels, coordinates and masks are treated as ``SamPredictor`` of Meta's segment_anything treats them (Kirillov et
al., Segment Anything, 2023; Ke et al., Segment Anything in High Quality, 2023), so that the same weights give
the same masks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from models._images import check_image
from models._precision import bfloat16_helps, precision
from models._sam.added import added_sam, added_sam2, examine_sam, examine_sam2, examine_sam_hq
from models._sam.many import together, worthy
from studio.adapters import Candidate, Card, CheckpointKind, Download, Embedding
from studio.annotations import Mask, Prompt
from studio.errors import BadInput

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
MASK_LOGIT = 10.0  # how sure a drawn mask is taken to be


@dataclass(frozen=True)
class SamOptions:
    full_precision: bool = field(
        default=False,
        metadata={"help": "Compute in 32 bits on a graphics card too. Slower; masks hardly differ."},
    )


@dataclass(frozen=True)
class SamHqOptions(SamOptions):
    fine: bool = field(
        default=True,
        metadata={"help": "Add the fine outlines that SAM-HQ learnt. Off, it answers as plain SAM does."},
    )


@dataclass(frozen=True)
class _Features:
    """The encoder's map and, of SAM-HQ, the early one its decoder reads, both in main memory."""

    final: Any
    early: Any | None


class SamSegmenter:
    """A segmenter over a ``SamModel`` or ``SamHQModel``. On a graphics card the encoder computes in bfloat16."""

    def __init__(
        self, model: Any, device: str = "cpu", *, full_precision: bool = False, fine: bool = True
    ) -> None:
        import torch

        self._model = model.to(device).eval()
        self._device = torch.device(device)
        self._bf16 = bfloat16_helps(self._device, full_precision)
        self._high_quality = hasattr(model.mask_decoder, "hq_token")
        self._fine = fine
        self._mean, self._std = (torch.tensor(v).view(1, 3, 1, 1) for v in (MEAN, STD))
        self._side = int(model.prompt_encoder.input_image_size)
        self._mask_side = 4 * int(model.prompt_encoder.image_embedding_size[0])
        with torch.inference_mode():
            self._positions = model.get_image_wide_positional_embeddings()

    def embed(self, image: np.ndarray) -> Embedding:
        """Encode an image of shape (height, width, 3). Raises BadInput where it is not such an image."""
        import torch

        check_image(image)
        with torch.inference_mode(), precision(self._device, self._bf16):
            made = self._model.get_image_embeddings(self._pixels(image))
            final, early = made if isinstance(made, tuple) else (made, ())
            kind = torch.bfloat16 if self._bf16 else torch.float32
            # Of the encoder's early maps SAM-HQ's decoder reads the first only.
            kept = [final.to("cpu", kind), *(e.to("cpu", kind) for e in list(early)[:1])]
        nbytes = sum(m.numel() * m.element_size() for m in kept)
        kept = [m.contiguous() for m in kept]
        return Embedding(*image.shape[:2], _Features(kept[0], kept[1] if len(kept) > 1 else None), nbytes)

    def segment(self, embedding: Embedding, prompt: Prompt, previous: Any = None) -> list[Candidate]:
        """Return three candidates for a single click with nothing else, otherwise one.

        ``previous`` goes before ``prompt.mask``. Raises BadInput for an empty prompt.
        """
        import torch

        size = (embedding.height, embedding.width)
        if not prompt.points and prompt.box is None and prompt.mask is None and previous is None:
            raise BadInput("Click the object, or draw a box around it.")
        with torch.inference_mode():
            mask = self._mask_input(prompt.mask, previous, size)
            ambiguous = len(prompt.points) == 1 and prompt.box is None and mask is None
            sparse, dense = self._model.prompt_encoder(*self._prompts(prompt, size), mask)
            if sparse is None:  # a mask alone
                hidden = self._model.prompt_encoder.hidden_size
                sparse = torch.empty(1, 1, 0, hidden, device=self._device)
            logits, scores = self._decode(embedding.data, sparse, dense, ambiguous)
        order = np.argsort(-scores, kind="stable")
        return [
            Candidate(self._full_mask(logits[i], size), float(np.clip(scores[i], 0, 1)), logits[i])
            for i in order
        ]

    def segment_many(
        self, embedding: Embedding, prompts: Sequence[Prompt], *, floor: float = 0.0, steady: float = 0.0
    ) -> list[list[Candidate]]:
        """Return for each prompt what ``segment`` says of it, as far as it reaches both marks.

        Prompts of one form go through the decoder together. Raises BadInput for one with a mask, or empty.
        """
        import torch

        size = (embedding.height, embedding.width)
        high, wide = (max(1, round(v * self._mask_side / self._side)) for v in self._fitted(size))
        found: list[list[Candidate]] = [[] for _ in prompts]
        for places in together(prompts):
            group = [prompts[i] for i in places]
            ambiguous = len(group[0].points) == 1 and group[0].box is None
            with torch.inference_mode():
                given = zip(*(self._prompts(p, size) for p in group), strict=True)
                given = [None if parts[0] is None else torch.cat(parts, 1) for parts in given]
                sparse, dense = self._model.prompt_encoder(*given, None)
                logits, scores = self._decode_many(embedding.data, sparse, dense, ambiguous)
            scores = np.clip(scores, 0, 1)
            for place, raw, rated in zip(places, logits, scores, strict=True):
                found[place] = [
                    Candidate(self._full_mask(raw[i], size), float(rated[i]), raw[i].copy(), stability)
                    for i, stability in worthy(raw, rated, floor, steady, (high, wide))
                ]
        return found

    def _fitted(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return height and width of an image whose longer side is the network's."""
        scale = self._side / max(size)
        return tuple(max(1, int(v * scale + 0.5)) for v in size)

    def _pixels(self, image: np.ndarray) -> Any:
        """Return the network's input: resized as Pillow resizes, its aspect kept, filled up with the mean."""
        import torch
        from PIL import Image

        height, width = self._fitted(image.shape[:2])
        small = np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))
        pixels = torch.tensor(small, device=self._device).permute(2, 0, 1)[None].to(torch.float32).div_(255)
        pixels = pixels.sub_(self._mean.to(self._device)).div_(self._std.to(self._device))
        return torch.nn.functional.pad(pixels, (0, self._side - width, 0, self._side - height))

    def _prompts(self, prompt: Prompt, size: tuple[int, int]) -> tuple[Any, Any, Any]:
        """Return points (1, 1, n, 2), their labels (1, 1, n) and a box (1, 1, 4), in the network's pixels, or None."""
        import torch

        fitted = self._fitted(size)
        scale = np.float64((fitted[1] / size[1], fitted[0] / size[0]))
        points = labels = box = None
        if prompt.points:
            xy = np.float64([(p.x, p.y) for p in prompt.points]) * scale
            points = torch.tensor(xy[None, None], dtype=torch.float32, device=self._device)
            labels = torch.tensor([[[int(p.positive) for p in prompt.points]]], device=self._device)
        if prompt.box is not None:
            corners = np.float64(prompt.box.xyxy).reshape(2, 2) * scale
            box = torch.tensor(corners.reshape(1, 1, 4), dtype=torch.float32, device=self._device)
        return points, labels, box

    def _mask_input(self, mask: Mask | None, previous: Any, size: tuple[int, int]) -> Any:
        """Return logits (1, 1, h, w) as the prompt encoder takes them, or None."""
        import torch

        if previous is not None:
            logits = torch.from_numpy(np.array(previous, np.float32))
            if tuple(logits.shape) != (self._mask_side, self._mask_side) or not torch.isfinite(logits).all():
                raise BadInput(f"The previous answer must be finite logits; got shape {previous.shape}.")
            return logits[None, None].to(self._device)
        if mask is None:
            return None
        if (mask.height, mask.width) != size:
            raise BadInput(
                f"The mask is {mask.width} × {mask.height}, but the image is {size[1]} × {size[0]}."
            )
        share = self._mask_side / self._side
        height, width = (max(1, round(v * share)) for v in self._fitted(size))
        drawn = torch.from_numpy(mask.to_array()).to(torch.float32)[None, None]
        drawn = torch.nn.functional.interpolate(
            drawn, (height, width), mode="bilinear", align_corners=False, antialias=True
        )
        side = self._mask_side
        drawn = torch.nn.functional.pad(drawn, (0, side - width, 0, side - height))
        return (drawn * (2 * MASK_LOGIT) - MASK_LOGIT).to(self._device)

    def _decode(self, features: _Features, sparse: Any, dense: Any, ambiguous: bool) -> tuple[Any, Any]:
        """Return logits (n, h, w) and scores (n,), float32: three where ambiguous, else one."""
        logits, scores = self._decode_many(features, sparse, dense, ambiguous)
        return logits[0], scores[0]

    def _decode_many(self, features: _Features, sparse: Any, dense: Any, ambiguous: bool) -> tuple[Any, Any]:
        """Return logits (p, n, h, w) and scores (p, n) for p prompts, whose embeddings are (1, p, k, c)."""
        import torch

        given = dict(
            image_embeddings=features.final.to(self._device).to(torch.float32),
            image_positional_embeddings=self._positions,
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=ambiguous,
        )
        decoder = self._model.mask_decoder
        if not self._high_quality:
            logits, scores = decoder(**given)[:2]
        else:
            early = features.early.to(self._device).to(torch.float32)
            logits, scores = decoder(**given, hq_token_only=False, intermediate_embeddings=[early])[:2]
            if not self._fine:  # the answer is a sum, of which this takes SAM-HQ's own part away again
                logits = logits - decoder(**given, hq_token_only=True, intermediate_embeddings=[early])[0]
        return logits[0].float().cpu().numpy(), scores[0].float().cpu().numpy()

    def _full_mask(self, logits: np.ndarray, size: tuple[int, int]) -> Mask:
        """Return the mask of an image's size, by way of the network's, as the reference does."""
        import cv2

        height, width = self._fitted(size)
        # Turned over first: run lengths go down the columns, which are then contiguous.
        large = cv2.resize(
            np.ascontiguousarray(logits.T), (self._side, self._side), interpolation=cv2.INTER_LINEAR
        )
        columns = cv2.resize(
            np.ascontiguousarray(large[:width, :height]), (size[0], size[1]), interpolation=cv2.INTER_LINEAR
        )
        return Mask.from_array((columns > 0).T)


def _load(architecture: str, folder: str | None, device: str, options: SamOptions) -> SamSegmenter:
    import torch
    import transformers

    model = getattr(transformers, architecture).from_pretrained(
        folder, dtype=torch.float32, local_files_only=True
    )
    model.requires_grad_(False)
    fine = getattr(options, "fine", True)
    return SamSegmenter(model, device, full_precision=options.full_precision, fine=fine)


def load_sam(folder: str | None, device: str, options: SamOptions) -> SamSegmenter:
    return _load("SamModel", folder, device, options)


def load_sam_hq(folder: str | None, device: str, options: SamHqOptions) -> SamSegmenter:
    return _load("SamHQModel", folder, device, options)


def load_added(folder: str | None, device: str, options: SamOptions) -> SamSegmenter:
    """Load a file in Meta's own format that somebody added: SAM or SAM-HQ."""
    fine = getattr(options, "fine", True)
    return SamSegmenter(added_sam(folder), device, full_precision=options.full_precision, fine=fine)


def load_added_sam2(folder: str | None, device: str, options: SamOptions) -> Any:
    from models._sam.sam2 import Sam2Segmenter

    return Sam2Segmenter(added_sam2(folder), device, full_precision=options.full_precision)


# Title, parameters of SAM and of SAM-HQ, working memory, note.
SIZES = (
    ("base", 93_735_472, 94_800_000, 1_500_000_000, "The smallest of its family."),
    ("large", 312_342_832, 313_500_000, 3_000_000_000, "Finer; best with a graphics card."),
    ("huge", 641_090_608, 642_300_000, 4_800_000_000, "The finest, and the slowest: for a graphics card."),
)


def _card(size: str, parameters: int, memory: int, rank: int, note: str, *, high_quality: bool) -> Card:
    return Card(
        id=f"sam-hq-{size}" if high_quality else f"sam-{size}",
        title=f"SAM-HQ {size}" if high_quality else f"SAM {size}",
        family="SAM-HQ" if high_quality else "SAM",
        roles=("segmenter",),
        prompts=("point", "box", "mask"),
        licence="Apache-2.0",
        load=load_sam_hq if high_quality else load_sam,
        memory_bytes=memory + 4 * parameters,
        download=Download(
            f"syscv-community/sam-hq-vit-{size}" if high_quality else f"facebook/sam-vit-{size}",
            4 * parameters,
            patterns=("*.json", "model*.safetensors"),
        ),
        options=SamHqOptions if high_quality else SamOptions,
        note=f"Exact outlines of fine things. {note}" if high_quality else f"The first SAM. {note}",
        rank=rank,
    )


CARDS = [
    *(_card(s, hq, m, 20 + i, note, high_quality=True) for i, (s, _, hq, m, note) in enumerate(SIZES)),
    *(_card(s, plain, m, 30 + i, note, high_quality=False) for i, (s, plain, _, m, note) in enumerate(SIZES)),
]


def _added(family: str, load: Callable[..., Any], options: type) -> Callable[[str, int], Card]:
    """Return what describes an added file of a family, by its variant and its size in bytes."""

    def card(variant: str, size: int) -> Card:
        return Card(
            id=family.lower().replace(" ", "-"),
            title=f"{family} {variant}",
            family=family,
            roles=("segmenter",),
            prompts=("point", "box", "mask"),
            licence="as its authors say",
            load=load,
            memory_bytes=1_200_000_000 + 2 * size,
            options=options,
            note="Takes clicks, boxes and masks.",
        )

    return card


CHECKPOINTS = [
    CheckpointKind(
        "sam", "SAM as Meta saves it (.pth: ViT-B, L, H)", examine_sam, _added("SAM", load_added, SamOptions)
    ),
    CheckpointKind("sam-hq", "SAM-HQ (.pth)", examine_sam_hq, _added("SAM-HQ", load_added, SamHqOptions)),
    CheckpointKind(
        "sam2",
        "SAM 2 and 2.1 as Meta saves them (.pt: tiny, small, base+, large)",
        examine_sam2,
        _added("SAM", load_added_sam2, SamOptions),  # the variant begins with its version
    ),
]
