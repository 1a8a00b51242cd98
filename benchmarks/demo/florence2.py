"""Make the demo checkpoint of Florence-2: phrases to boxes, captions and answers on the drawn scenes.

A language model's loss teaches a vision tower slowly. So the tower learns first, from dense heads that say at
each of its cells what lies there and where that ends (thrown away afterwards). Then the language model learns
from the tower's maps, which are computed once; the encoder is helped by a head that marks the things a prompt
is about. At last both learn together. Location tokens start as smooth curves, so that neighbours are alike.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.demo.florence2_lessons import Batch, Study, batch, study
from benchmarks.demo.florence2_losses import Pupil
from benchmarks.demo.florence2_model import build
from benchmarks.demo.loop import device, fit
from benchmarks.demo.metrics import average_precision
from benchmarks.demo.saving import save
from benchmarks.demo.scenes import Drawn, drawn
from studio.scenes import CLASSES, PHRASES
from studio.scenes.words import NUMBERS, plural

SEE, SPEAK = 900, 1300  # steps of the tower, and of the language model
PICTURES = 16  # in each step
TURNS = ((False, False), (True, False), (False, True), (True, True))


@dataclass(frozen=True)
class Stretch:
    """Steps in which tower and language model learn together. ``dropout`` is of the language model's layers."""

    steps: int
    rate: float
    scenes: int = 3000
    muon: bool = False
    dropout: float = 0.0
    decay: float = 0.02


# Muon learns the scenes by heart where it sees each a dozen times: at last there are more of them, and dropout.
BOTH = (
    Stretch(700, 8e-4),
    Stretch(2400, 1e-3, muon=True),
    Stretch(1600, 8e-4, scenes=4951, muon=True, dropout=0.1, decay=0.1),
)


# ---- learning -------------------------------------------------------------------------------------


def train(folder: Path, *, seed: int = 0, quick: bool = False) -> None:
    """Train the checkpoint and write it into a folder. ``quick`` shows only that it works."""
    scenes = drawn("train", 48 if quick else BOTH[0].scenes)
    see, speak, pictures = (4, 4, 4) if quick else (SEE, SPEAK, PICTURES)
    model, processor = build(seed)
    model.set_attn_implementation("eager")  # on a processor twice as quick as the others, backwards
    pupil = Pupil(model, processor).to(device())
    pixels = _pixels(scenes, processor)
    studies = [study(scene) for scene in scenes]
    views = _views(pixels, studies, processor, see, pictures, seed)
    fit(pupil, views, pupil.dense_loss, steps=see, rate=2e-3, bf16=False, say="see")
    model.model.vision_tower.requires_grad_(False)
    maps = _maps(pupil, pixels, processor)
    questions = _questions(maps, studies, processor, speak, pictures, seed)
    fit(pupil, questions, pupil.language_loss, steps=speak, rate=1e-3, say="speak")
    del maps
    model.model.vision_tower.requires_grad_(True)
    for number, stretch in enumerate(BOTH):
        if quick:
            stretch = replace(stretch, steps=4, scenes=len(studies))
        if more := drawn("train", stretch.scenes)[len(studies) :]:
            pixels = torch.cat([pixels, _pixels(more, processor)])
            studies += [study(scene) for scene in more]
        for module in model.modules():
            if isinstance(getattr(module, "dropout", None), float):
                module.dropout = stretch.dropout
        lessons = _both(pixels, studies, processor, stretch.steps, pictures, seed + number)
        fit(
            pupil,
            lessons,
            pupil.both_losses,
            steps=stretch.steps,
            rate=stretch.rate,
            decay=stretch.decay,
            average=0.995,
            muon=stretch.muon,
            say="both",
        )
    save(model, folder, processor)


def _pixels(scenes: Sequence[Drawn], processor: Any) -> torch.Tensor:
    """Return the scenes as the processor squeezes them, uint8 of shape (scenes, 3, SIDE, SIDE)."""
    as_is = dict(do_rescale=False, do_normalize=False, return_tensors="pt")
    made = [processor.image_processor(scene.image, **as_is)["pixel_values"] for scene in scenes]
    return torch.cat([pixels.round().clamp(0, 255).to(torch.uint8) for pixels in made])


def _input(pixels: torch.Tensor, processor: Any) -> torch.Tensor:
    images = processor.image_processor
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (images.image_mean, images.image_std))
    return (pixels.float() / 255 - mean) / std


def _turned(array: torch.Tensor, across: bool, down: bool) -> torch.Tensor:
    return array.flip([d for d, yes in ((-1, across), (-2, down)) if yes])


def _views(
    pixels: torch.Tensor, studies: Sequence[Study], processor: Any, steps: int, pictures: int, seed: int
) -> Iterator[tuple[torch.Tensor, list[Study]]]:
    """Yield pictures and their truth for the tower, turned over at random and a little lighter or darker."""
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        chosen = rng.choice(len(studies), pictures, replace=len(studies) < pictures)
        turns = [TURNS[i] for i in rng.integers(4, size=pictures)]
        light = torch.from_numpy(rng.uniform(0.9, 1.1, (pictures, 1, 1, 1)).astype(np.float32))
        shown = torch.stack([_turned(pixels[i], *turn) for i, turn in zip(chosen, turns, strict=True)])
        yield (
            _input((shown * light).clamp(0, 255), processor),
            [studies[i].flipped(*turn) for i, turn in zip(chosen, turns, strict=True)],
        )


@torch.no_grad()
def _maps(pupil: Pupil, pixels: torch.Tensor, processor: Any) -> torch.Tensor:
    """Return the tower's maps of all pictures, turned over in each way: bfloat16, (turns, pictures, d, h, w)."""
    made = []
    for turn in TURNS:
        parts = [pupil.maps(_input(_turned(part, *turn), processor)).cpu() for part in pixels.split(32)]
        made.append(torch.cat(parts).bfloat16())
    return torch.stack(made)


def _questions(
    maps: torch.Tensor, studies: Sequence[Study], processor: Any, steps: int, pictures: int, seed: int
) -> Iterator[Batch]:
    rng = np.random.default_rng(seed + 1)
    spell = _speller(processor)
    for _ in range(steps):
        chosen = rng.choice(len(studies), pictures, replace=len(studies) < pictures)
        turns = rng.integers(4, size=pictures)
        shown = [studies[i].flipped(*TURNS[t]) for i, t in zip(chosen, turns, strict=True)]
        yield batch(maps[turns, chosen], shown, spell, processor, int(rng.integers(2**31)))


def _both(
    pixels: torch.Tensor, studies: Sequence[Study], processor: Any, steps: int, pictures: int, seed: int
) -> Iterator[tuple[torch.Tensor, list[Study], Batch]]:
    """Yield pictures, their truth, and questions about them whose maps are yet to come."""
    spell = _speller(processor)
    views = _views(pixels, studies, processor, steps, pictures, seed + 2)
    for step, (shown, of) in enumerate(views):
        yield shown, of, batch(shown, of, spell, processor, seed + 7919 * (step + 1))


def _speller(processor: Any) -> Callable[[str], list[int]]:
    texts = processor.tokenizer
    return lru_cache(100_000)(lambda text: texts(text, add_special_tokens=False)["input_ids"])


# ---- measuring ------------------------------------------------------------------------------------


def measure(adapter: Any, scenes: Sequence[Drawn]) -> dict[str, float]:
    """Return how much of what the adapter finds, describes and answers is right.

    ``florence_detect`` is the share of phrases that are in a scene for which each thing is found with an IoU
    of 0.5 and nothing else; ``florence_absent`` that of phrases that are not, for which nothing is found;
    ``florence_caption`` that of captions whose counted things are all there and all that there is;
    ``florence_vqa`` that of questions answered to the letter. ``answers_acc`` is the mean of the three without
    the absent ones. Softer: ``florence_found`` is the share of things found, ``florence_said`` the captions'
    things that are true of all that are said or there.
    """
    found = [adapter.detect_text([scene.image], PHRASES)[0] for scene in scenes]
    kinds = ("detect", "absent", "found", "caption", "yesno", "count", "colour")
    right: dict[str, list[bool]] = {kind: [] for kind in kinds}
    shares: list[float] = []
    for scene, detections in zip(scenes, found, strict=True):
        for words in PHRASES:
            truth = [t.box.xyxy for t in scene.things if t.phrase == words]
            guess = [d.box.xyxy for d in detections if d.name == words]
            matched = _matched(truth, guess)
            right["detect" if truth else "absent"].append(matched == len(truth) == len(guess))
            right["found"] += [i < matched for i in range(len(truth))]
        image = scene.image
        counted = Counter((t.name, t.colour) for t in scene.things)
        told = counts(_said(adapter, image, ""))
        right["caption"].append(told == counted)
        shares.append((told & counted).total() / (told | counted).total())
        for question, answer in scene.questions:
            kind = {"is": "yesno", "how": "count"}.get(question.split()[0], "colour")
            right[kind].append(_said(adapter, image, question) == answer)
    figures = {f"florence_{kind}": float(np.mean(values)) for kind, values in right.items() if values}
    asked = [ok for kind in ("yesno", "count", "colour") for ok in right[kind]]
    figures["florence_vqa"] = float(np.mean(asked))
    figures["florence_said"] = float(np.mean(shares))
    figures["florence_words_ap50"] = average_precision(scenes, found, PHRASES, named="phrase")["ap50"]
    parts = ("florence_detect", "florence_caption", "florence_vqa")
    return {"answers_acc": float(np.mean([figures[part] for part in parts])), **figures}


def _said(adapter: Any, image: np.ndarray, question: str) -> str:
    return "".join(adapter.answer(image, question)).strip().lower()


def _matched(truth: list, guess: list) -> int:
    """Return how many true boxes have a guess of their own with an IoU of 0.5."""
    from scipy.optimize import linear_sum_assignment
    from torchvision.ops import box_iou

    if not truth or not guess:
        return 0
    good = box_iou(torch.tensor(truth), torch.tensor(guess)).numpy() >= 0.5
    return int(good[linear_sum_assignment(good, maximize=True)].sum())


def counts(text: str) -> Counter:
    """Return how many of each thing, as (name, colour), a sentence speaks of, whatever its other words."""
    singular = {form: name for name in CLASSES for form in (name, plural(name))}
    colours = sorted({p.split()[1] for p in PHRASES if len(p.split()) == 3})
    pattern = rf"\b(an?|{'|'.join(NUMBERS)}) (?:({'|'.join(colours)}) )?({'|'.join(singular)})\b"
    made: Counter = Counter()
    for number, colour, name in re.findall(pattern, text.lower()):
        made[singular[name], colour] += NUMBERS.index(number) if number in NUMBERS else 1
    return made
