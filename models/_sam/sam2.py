"""The segmenter over SAM 2's decoder, which SAM 2.1, EdgeTAM and SAM 3 share.

Pixels, coordinates and masks are treated as ``SAM2ImagePredictor`` of Meta's sam2 package treats them (Ravi
et al., SAM 2: Segment Anything in Images and Videos, 2024), so that the same weights give the same masks.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np

from models._images import check_image
from models._precision import bfloat16_helps, precision
from models._sam.many import together, worthy
from studio.adapters import Candidate, Embedding
from studio.annotations import Mask, Prompt
from studio.errors import BadInput

LOGIT_LIMIT = 32.0  # what the predictor clamps its low-resolution answers to
MASK_LOGIT = 10.0  # how sure a drawn mask is taken to be, as sam2 does with masks given on video frames
BOX_CORNERS = (2, 3)  # labels of a box's first and second corner among the points


class Features:
    """The encoder's three feature maps, finest first, in main memory."""

    def __init__(self, maps: list[Any]) -> None:
        self.maps = maps


class Sam2Segmenter:
    """A segmenter over a ``Sam2Model`` or ``EdgeTamModel``.

    On a graphics card the encoder computes in bfloat16 and the decoder, which is small and must place points
    to the pixel, in float32; the last image's features stay on the card.
    """

    def __init__(
        self,
        model: Any,
        device: str = "cpu",
        *,
        full_precision: bool = False,
        mean: tuple[float, ...] = (0.485, 0.456, 0.406),
        std: tuple[float, ...] = (0.229, 0.224, 0.225),
    ) -> None:
        import torch

        drop_map_positions(model)
        self._model = model.to(device).eval()
        self._device = torch.device(device)
        self._bf16 = bfloat16_helps(self._device, full_precision)
        self._mean = torch.tensor(mean).view(1, 3, 1, 1)
        self._std = torch.tensor(std).view(1, 3, 1, 1)
        encoder = model.prompt_encoder
        self._side = int(encoder.input_image_size)
        self._mask_side = tuple(int(v) for v in encoder.mask_input_size)
        self._hidden = int(encoder.hidden_size)
        with torch.inference_mode():
            self._positions = model.get_image_wide_positional_embeddings()
        self._recent: tuple[weakref.ref[Features], list[Any]] | None = None

    def embed(self, image: np.ndarray) -> Embedding:
        """Encode an image of shape (height, width, 3). Raises BadInput where it is not such an image."""
        import torch

        check_image(image)
        with torch.inference_mode(), precision(self._device, self._bf16):
            maps = self._model.get_image_embeddings(self._pixels(image))
            kind = torch.bfloat16 if self._bf16 else torch.float32
            maps = [m.to("cpu", kind).contiguous() for m in maps]
        nbytes = sum(m.untyped_storage().nbytes() for m in maps)
        return Embedding(image.shape[0], image.shape[1], Features(maps), nbytes)

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
            logits, scores = self._decode(embedding.data, self._points(prompt, size), mask, ambiguous)
        limited = np.clip(logits, -LOGIT_LIMIT, LOGIT_LIMIT)
        order = np.argsort(-scores, kind="stable")
        return [Candidate(full_mask(logits[i], *size), float(scores[i]), limited[i]) for i in order]

    def segment_many(
        self, embedding: Embedding, prompts: Sequence[Prompt], *, floor: float = 0.0, steady: float = 0.0
    ) -> list[list[Candidate]]:
        """Return for each prompt what ``segment`` says of it, as far as it reaches both marks.

        Prompts of one form go through the decoder together. Raises BadInput for one with a mask, or empty.
        """
        import torch

        size = (embedding.height, embedding.width)
        found: list[list[Candidate]] = [[] for _ in prompts]
        for places in together(prompts):
            group = [prompts[i] for i in places]
            ambiguous = len(group[0].points) == 1 and group[0].box is None
            with torch.inference_mode():
                coordinates, labels = zip(*(self._points(p, size) for p in group), strict=True)
                points = torch.cat(coordinates, 1), torch.cat(labels, 1)
                logits, scores = self._decode_many(embedding.data, points, None, ambiguous)
            limited = np.clip(logits, -LOGIT_LIMIT, LOGIT_LIMIT)
            for place, raw, kept, rated in zip(places, logits, limited, scores, strict=True):
                found[place] = [
                    Candidate(full_mask(raw[i], *size), float(rated[i]), kept[i].copy(), stability)
                    for i, stability in worthy(raw, rated, floor, steady)
                ]
        return found

    def _pixels(self, image: np.ndarray) -> Any:
        """Return the network's input, resized as torchvision resizes floats: antialiased, aspect not kept."""
        import torch

        pixels = torch.tensor(np.ascontiguousarray(image), device=self._device)
        pixels = pixels.permute(2, 0, 1)[None].to(torch.float32).div_(255)
        if pixels.shape[-2:] != (self._side, self._side):
            pixels = torch.nn.functional.interpolate(
                pixels, (self._side, self._side), mode="bilinear", align_corners=False, antialias=True
            )
        return pixels.sub_(self._mean.to(self._device)).div_(self._std.to(self._device))

    def _points(self, prompt: Prompt, size: tuple[int, int]) -> tuple[Any, Any] | None:
        """Return coordinates (1, 1, n, 2) in the network's pixels and labels (1, 1, n); a box comes first."""
        import torch

        rows = [(p.x, p.y) for p in prompt.points]
        labels = [int(p.positive) for p in prompt.points]
        if prompt.box is not None:
            rows = [(prompt.box.x0, prompt.box.y0), (prompt.box.x1, prompt.box.y1), *rows]
            labels = [*BOX_CORNERS, *labels]
        if not rows:
            return None
        height, width = size
        xy = np.asarray(rows, np.float32) / np.asarray((width, height), np.float32) * np.float32(self._side)
        coordinates = torch.from_numpy(xy)[None, None].to(self._device)
        return coordinates, torch.tensor([[labels]], dtype=torch.int32, device=self._device)

    def _mask_input(self, mask: Mask | None, previous: Any, size: tuple[int, int]) -> Any:
        """Return logits of shape (1, 1, h, w) as the prompt encoder takes them, or None."""
        import torch

        if previous is not None:
            logits = torch.from_numpy(np.array(previous, np.float32))
            if logits.ndim != 2 or not torch.isfinite(logits).all():
                raise BadInput(
                    f"The previous answer must be finite logits of shape (h, w); got {previous.shape}."
                )
        elif mask is not None:
            if (mask.height, mask.width) != size:
                raise BadInput(
                    f"The mask is {mask.width} × {mask.height}, but the image is {size[1]} × {size[0]}."
                )
            logits = torch.from_numpy(mask.to_array()).to(torch.float32)
        else:
            return None
        logits = logits[None, None].to(self._device)
        if tuple(logits.shape[-2:]) != self._mask_side:
            logits = torch.nn.functional.interpolate(
                logits, self._mask_side, mode="bilinear", align_corners=False, antialias=True
            )
        return logits if previous is not None else logits * (2 * MASK_LOGIT) - MASK_LOGIT

    def _decode(
        self, features: Features, points: tuple[Any, Any] | None, mask: Any, ambiguous: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return logits of shape (n, h, w) and scores (n,), float32: three where ambiguous, else one."""
        logits, scores = self._decode_many(features, points, mask, ambiguous)
        return logits[0], scores[0]

    def _decode_many(
        self, features: Features, points: tuple[Any, Any] | None, mask: Any, ambiguous: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return logits (p, n, h, w) and scores (p, n) for p prompts, whose points are (1, p, k, 2)."""
        import torch

        maps = self._on_device(features)
        coordinates, labels = points if points is not None else (None, None)
        sparse, dense = self._model.prompt_encoder(coordinates, labels, None, mask)
        if sparse is None:  # a mask alone: the predictor then gives no point at all, not even padding
            sparse = torch.empty(1, 1, 0, self._hidden, device=self._device)
        logits, scores, *_ = self._model.mask_decoder(
            image_embeddings=maps[-1],
            image_positional_embeddings=self._positions,
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=ambiguous,
            high_resolution_features=maps[:-1],
        )
        return logits[0].cpu().numpy(), scores[0].cpu().numpy()

    def _on_device(self, features: Features) -> list[Any]:
        """Return the feature maps where the model is; those of the latest image are not copied twice."""
        import torch

        if self._device.type == "cpu" and not self._bf16:
            return features.maps
        recent = self._recent
        if recent is not None and recent[0]() is features:
            return recent[1]
        maps = [m.to(self._device).to(torch.float32) for m in features.maps]
        self._recent = (weakref.ref(features), maps)
        return maps


def drop_map_positions(model: Any) -> None:
    """Spare the encoder the sine positions of its maps, 2–3 % of its time: only the video memory reads them."""
    import torch

    class NoPositions(torch.nn.Module):
        def forward(self, *_: Any, **__: Any) -> Any:
            return torch.zeros(1, 1, 1, 1)

    neck = getattr(model.vision_encoder, "neck", None)
    if hasattr(neck, "position_encoding"):
        neck.position_encoding = NoPositions()


def full_mask(logits: np.ndarray, height: int, width: int) -> Mask:
    """Return the mask of an image's size: logits enlarged bilinearly, above 0."""
    import cv2

    # Turned over first: a mask's run lengths go down the columns, which are then contiguous. OpenCV's result
    # differs from torch's in the last bit only and takes a fiftieth of the time.
    columns = cv2.resize(np.ascontiguousarray(logits.T), (height, width), interpolation=cv2.INTER_LINEAR)
    return Mask.from_array((columns > 0).T)
