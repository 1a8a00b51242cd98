"""What the demo Grounding DINO learns from: texts of phrases, and scenes turned and lit in many ways."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch

from studio.scenes import CLASSES, PHRASES

# Grounding DINO finds the ends of phrases by BERT's own numbers for these; ours have them too.
FIXED = {"[PAD]": 0, "[UNK]": 100, "[CLS]": 101, "[SEP]": 102, "[MASK]": 103, ".": 1012, "?": 1029}
FOREIGN = (
    "dog cat car person chair table book phone key bottle cup knife fork plate bowl flower tree bird fish horse "
    "house boat ball shoe hat coat lamp clock door box pen paper tomato cherry grape carrot onion bread cheese egg"
).split()  # asked for now and then and never there, so that unknown words find nothing


# ---- what is asked --------------------------------------------------------------------------------


@dataclass
class Asked:
    """A text and, for each of PHRASES, which of its tokens name it: float of shape (phrases, tokens)."""

    ids: torch.Tensor
    names: torch.Tensor

    def to(self, where: torch.device) -> Asked:
        return Asked(self.ids.to(where), self.names.to(where))


class Texts:
    """Makes texts of phrases: all of them, a few of them, names without colour, and words for what is never there."""

    def __init__(self, tokens: Any, seed: int) -> None:
        self._rng = random.Random(seed)
        self._tokens = tokens

    def all(self) -> Asked:
        return self._asked([(phrase, [i]) for i, phrase in enumerate(PHRASES)])

    def next(self) -> Asked:
        return self.all() if self._rng.random() < 0.5 else self.some()

    def some(self) -> Asked:
        rng = self._rng
        share = rng.uniform(0.05, 0.9)
        chosen = [(phrase, [i]) for i, phrase in enumerate(PHRASES) if rng.random() < share]
        if rng.random() < 0.5:
            for name in rng.sample(CLASSES, 3):
                fits = [i for i, phrase in enumerate(PHRASES) if phrase.endswith(f" {name}")]
                chosen.append((rng.choice((name, f"{'an' if name[0] in 'aeiou' else 'a'} {name}")), fits))
        if rng.random() < 0.5:
            chosen += [(rng.choice(("a ", "")) + word, []) for word in rng.sample(FOREIGN, 2)]
        rng.shuffle(chosen)
        return self._asked(chosen or [(PHRASES[0], [0])])

    def _asked(self, chosen: Sequence[tuple[str, list[int]]]) -> Asked:
        ids, owners = [FIXED["[CLS]"]], [[]]
        for text, fits in chosen:
            pieces = self._tokens(text, add_special_tokens=False)["input_ids"]
            ids += [*pieces, FIXED["."]]
            owners += [*([fits] * len(pieces)), []]
        names = torch.zeros(len(PHRASES), len(ids) + 1)
        for place, fits in enumerate(owners):
            names[fits, place] = 1
        return Asked(torch.tensor([[*ids, FIXED["[SEP]"]]]), names)


# ---- what is learnt from --------------------------------------------------------------------------


@dataclass
class Batch:
    """Pictures (b, 3, h, w), and for each its things' boxes (n, 4), centre and size from 0 to 1, and phrases (n,)."""

    pixels: torch.Tensor
    boxes: list[torch.Tensor]
    phrases: list[torch.Tensor]

    def to(self, where: torch.device) -> Batch:
        return Batch(
            self.pixels.to(where), [b.to(where) for b in self.boxes], [p.to(where) for p in self.phrases]
        )


def batches(scenes: Any, processor: Any, size: int, steps: int, seed: int, side: int) -> Iterator[Batch]:
    """Yield batches of scenes turned every way that keeps a flat-lay one, a little brighter or darker.

    ``side`` is the pictures' short side.
    """
    images, truths = scenes
    rng = np.random.default_rng(seed)
    mean = torch.tensor(processor.image_processor.image_mean).view(3, 1, 1) * 255
    std = torch.tensor(processor.image_processor.image_std).view(3, 1, 1) * 255
    order: list[int] = []
    for _ in range(steps):
        while len(order) < size:
            order += rng.permutation(len(images)).tolist()
        chosen, order = order[:size], order[size:]
        upright = rng.random() < 0.5
        pixels, boxes, phrases = [], [], []
        for i in chosen:
            image, (box, phrase) = images[i], truths[i]
            box = box.copy()
            if side != min(image.shape[:2]):
                width, height = (round(v * side / min(image.shape[:2])) for v in image.shape[1::-1])
                image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
            for axis in (0, 1):
                if rng.random() < 0.5:
                    image = np.flip(image, 1 - axis)
                    box[:, axis] = 1 - box[:, axis]
            if upright:
                image, box = image.transpose(1, 0, 2), box[:, [1, 0, 3, 2]]
            gain = (rng.uniform(0.85, 1.15) * rng.uniform(0.97, 1.03, (3, 1, 1))).astype(np.float32)
            pixels.append(torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)) * gain))
            boxes.append(torch.from_numpy(box))
            phrases.append(torch.from_numpy(phrase))
        yield Batch((torch.stack(pixels).clamp_(0, 255) - mean) / std, boxes, phrases)


def memorise(
    drawn: Sequence[Any], processor: Any
) -> tuple[list[np.ndarray], list[tuple[np.ndarray, np.ndarray]]]:
    """Return the pictures as the processor resizes them, uint8, and their truths: boxes (n, 4) and phrases (n,)."""
    images, truths = [], []
    for scene in drawn:
        image = scene.image
        small = processor.image_processor(
            image, do_normalize=False, do_rescale=False, do_pad=False, return_tensors="pt"
        )["pixel_values"][0]
        images.append(small.round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).contiguous().numpy())
        height, width = image.shape[:2]
        corners = np.array([t.box.xyxy for t in scene.things], np.float32).reshape(-1, 2, 2) / (width, height)
        boxes = np.concatenate([corners.mean(1), corners[:, 1] - corners[:, 0]], 1).astype(np.float32)
        truths.append((boxes, np.array([PHRASES.index(t.phrase) for t in scene.things], np.int64)))
    return images, truths
