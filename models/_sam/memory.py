"""SAM 2.1's video memory: objects known on one image, found again on those after it, one image at a time.

What is fed to the network is what transformers' own pipeline feeds it when it is given a whole video
(``Sam2VideoModel`` with ``Sam2VideoInferenceSession``; Ravi et al., SAM 2: Segment Anything in Images and
Videos, 2024). That session keeps every frame and all that was made of it. Here one is made anew for each image,
from the few memories the network still looks at, so that a series may be as long as it likes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from models._sam.sam2 import LOGIT_LIMIT, Features, Sam2Segmenter, full_mask
from studio.adapters import Candidate, Embedding
from studio.annotations import Mask
from studio.errors import BadInput


@dataclass(frozen=True)
class Remembered:
    """What is kept of one object on one image: a map of it, float (h·w, 1, c), and its pointer (1, 1, d).

    The map is None where the network looks no longer that far back; it does for pointers.
    """

    map: Any
    pointer: Any

    @property
    def nbytes(self) -> int:
        return sum(t.untyped_storage().nbytes() for t in (self.map, self.pointer) if t is not None)


@dataclass(frozen=True)
class Memory:
    """What is known after ``step`` images of ``images``: each object where it was shown, and lately.

    ``positions`` (h·w, 1, c) are those of every map.
    """

    images: int
    step: int
    shown: tuple[Remembered, ...]
    lately: tuple[Mapping[int, Remembered], ...] = field(repr=False)
    positions: Any = field(repr=False)

    @property
    def nbytes(self) -> int:
        kept = [*self.shown, *(r for objects in self.lately for r in objects.values())]
        return sum(r.nbytes for r in kept) + self.positions.untyped_storage().nbytes()


class Sam2Follower(Sam2Segmenter):
    """A segmenter over a ``Sam2VideoModel``, which also follows objects from image to image.

    Both go from the same embedding, so an image is encoded once for clicks and for following. The memory lies
    in main memory, never on the card. Images may differ in size: the network sees each as a square.
    """

    def __init__(self, model: Any, device: str = "cpu", **settings: Any) -> None:
        import torch

        positions = model.vision_encoder.neck.position_encoding  # dropped there, needed here
        super().__init__(model, device, **settings)
        shape = (1, self._hidden, *model.backbone_feature_sizes[-1])
        with torch.inference_mode():
            made = positions(torch.Size(shape), self._device, torch.float32)
        self._map_positions = made.flatten(2).permute(2, 0, 1)

    def remember(self, embedding: Embedding, masks: Sequence[Mask], images: int) -> Memory:
        """Return the memory of objects on an image where their masks are known.

        ``images`` is how many the series has, this one counted: a short one is looked at a little differently.
        Raises BadInput where there is no mask, or one is empty or not of the image's size.
        """
        import torch

        if not masks:
            raise BadInput("Choose at least one object to follow.")
        session = self._session(embedding, 0, max(1, images), len(masks))
        with torch.inference_mode():
            for number, mask in enumerate(masks):
                session.add_mask_inputs(number, 0, self._shown(mask, embedding))
            session.obj_with_new_inputs = list(range(len(masks)))
            self._model(session, frame_idx=0)
            made = [session.output_dict_per_obj[n]["cond_frame_outputs"][0] for n in range(len(masks))]
            positions = made[0]["maskmem_pos_enc"].cpu().contiguous()
            kept = tuple(_remembered(output) for output in made)
        return Memory(max(1, images), 0, kept, tuple({} for _ in masks), positions)

    def follow(self, embedding: Embedding, memory: Memory) -> tuple[list[Candidate], Memory]:
        """Return each object's candidate on the next image, and the memory to go on with.

        A candidate's ``score`` is how likely the object is there at all; where that is not above 0.5, the mask
        is empty, and the object may yet come back on a later image.
        """
        logits, there, memory = self._track(embedding, memory)
        size = (embedding.height, embedding.width)
        limited = np.clip(logits, -LOGIT_LIMIT, LOGIT_LIMIT)
        found = [
            Candidate(full_mask(logits[n], *size), float(there[n]), limited[n]) for n in range(len(logits))
        ]
        return found, memory

    def _track(self, embedding: Embedding, memory: Memory) -> tuple[np.ndarray, np.ndarray, Memory]:
        """Return logits (n, h, w), how likely each object is there (n,), and the memory to go on with."""
        import torch

        step, number = memory.step + 1, len(memory.shown)
        session = self._session(embedding, step, max(memory.images, step + 1), number)
        for n in range(number):
            session.output_dict_per_obj[n] = {
                "cond_frame_outputs": {0: self._output(memory.shown[n], memory.positions)},
                "non_cond_frame_outputs": {
                    at: self._output(kept, memory.positions) for at, kept in memory.lately[n].items()
                },
            }
        with torch.inference_mode():
            answer = self._model(session, frame_idx=step)
            logits = answer.pred_masks[:, 0].float().cpu().numpy()
            there = torch.sigmoid(answer.object_score_logits[:, 0].float()).cpu().numpy()
            made = [
                _remembered(session.output_dict_per_obj[n]["non_cond_frame_outputs"][step])
                for n in range(number)
            ]
        lately = tuple(self._lately(memory.lately[n], step, made[n]) for n in range(number))
        return logits, there, Memory(memory.images, step, memory.shown, lately, memory.positions)

    def _session(self, embedding: Embedding, step: int, images: int, objects: int) -> Any:
        """Return a session that stands at one image, whose features it already has."""
        from transformers import Sam2VideoInferenceSession

        session = Sam2VideoInferenceSession(
            inference_device=self._device, inference_state_device=self._device, dtype=self._model.dtype
        )
        session.processed_frames = range(images)  # only counted: the features below stand for the pixels
        for number in range(objects):
            session.obj_id_to_idx(number)
        features: Features = embedding.data
        flat = [m.flatten(2).permute(2, 0, 1) for m in self._on_device(features)]
        # What the encoder's image side adds, since a click has no memory to look at.
        flat[-1] = flat[-1] - self._model.no_memory_embedding
        session.cache.cache_vision_features(
            step, {"vision_feats": flat, "vision_pos_embeds": [self._map_positions]}
        )
        return session

    def _shown(self, mask: Mask, embedding: Embedding) -> Any:
        """Return a known mask as the network takes it: zeros and ones of shape (1, 1, side, side)."""
        import torch

        if (mask.height, mask.width) != (embedding.height, embedding.width):
            raise BadInput(
                f"The mask is {mask.width} × {mask.height}, but the image is "
                f"{embedding.width} × {embedding.height}."
            )
        if not mask.area:
            raise BadInput("An object to follow has an empty mask. Click it again, or leave it out.")
        pixels = torch.from_numpy(mask.to_array())[None, None].float()
        if pixels.shape[-2:] != (self._side, self._side):
            pixels = torch.nn.functional.interpolate(
                pixels, (self._side, self._side), mode="bilinear", align_corners=False, antialias=True
            )
            pixels = (pixels >= 0.5).float()
        if not pixels.any():
            # Thinner than what the network's square can show: a pixel at its middle rather than nothing.
            y, x = _middle(mask)
            pixels[0, 0, math.floor(y * self._side), math.floor(x * self._side)] = 1.0
        return pixels

    def _output(self, kept: Remembered, positions: Any) -> dict[str, Any]:
        output = {"object_pointer": kept.pointer}
        if kept.map is not None:
            output |= {"maskmem_features": kept.map, "maskmem_pos_enc": positions}
        return output

    def _lately(self, before: Mapping[int, Remembered], step: int, new: Remembered) -> dict[int, Remembered]:
        """Return what the next image looks back on: the last few maps, and pointers somewhat further."""
        config = self._model.config
        maps, pointers = config.num_maskmem - 1, config.max_object_pointers_in_encoder - 1
        kept = {}
        for at, old in {**before, step: new}.items():
            back = step + 1 - at
            if back <= max(maps, pointers):
                kept[at] = old if back <= maps else Remembered(None, old.pointer)
        return kept


def _remembered(output: Mapping[str, Any]) -> Remembered:
    # Copies: the network hands out slices of what it made of all objects together.
    return Remembered(
        output["maskmem_features"].detach().cpu().clone(), output["object_pointer"].detach().cpu().clone()
    )


def _middle(mask: Mask) -> tuple[float, float]:
    """Return a pixel of the mask near its middle, as shares (y, x) of the image."""
    ys, xs = np.nonzero(mask.to_array())
    nearest = np.hypot(ys - ys.mean(), xs - xs.mean()).argmin()
    return (ys[nearest] + 0.5) / mask.height, (xs[nearest] + 0.5) / mask.width
