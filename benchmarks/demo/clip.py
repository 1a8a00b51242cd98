"""Make the demo checkpoint of CLIP: phrases to images of the drawn scenes, in CLIPModel.

Its vision transformer begins as that of the demo OWLv2, whose patches know already what lies on them; what is left
to learn is to gather that in one vector. The vector answers each phrase for itself, as in SigLIP (Zhai et al.,
Sigmoid Loss for Language Image Pre-Training, 2023), since a scene has many things, and captions against each other.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from benchmarks.demo import owlv2
from benchmarks.demo.loop import device, fit, seed_all
from benchmarks.demo.saving import save
from benchmarks.demo.sayings import tokenizer, tokens, varied
from benchmarks.demo.scenes import Drawn, drawn
from benchmarks.demo.transformer import SIDE, places, quicken, vision, words
from benchmarks.demo.views import Kept, keep, lit, view
from studio.adapters import Embedder
from studio.scenes import CLASSES, PHRASES
from studio.scenes.words import phrase

LONGEST = 64  # a caption of nine things
SCENES, SINGLES = 3000, 300
STEPS, BATCH, RATE = 2500, 16, 1e-3
KEPT_LAYERS = 2  # of the vision transformer, which stay as OWLv2 taught them
FOREIGN = 8
PRESENT, ABSENT = (
    0.5,
    0.1,
)  # share of a thing in a view from which it counts as there, up to which as not there


def build(seed: int = 0) -> tuple[Any, Any]:
    """Return a fresh model and its processor."""
    import transformers

    seed_all(seed)
    read = tokenizer([scene.caption for scene in drawn("train", 300)], LONGEST)
    seen = transformers.CLIPImageProcessor(size={"height": SIDE, "width": SIDE}, do_center_crop=False)
    model = transformers.CLIPModel(
        transformers.CLIPConfig(
            text_config=words(64, len(read), LONGEST),
            vision_config=vision(),
            projection_dim=64,
        )
    )
    with torch.no_grad():
        model.logit_scale.fill_(2.3)
    places(model.vision_model.embeddings)
    return model, transformers.CLIPProcessor(seen, read)


def take_vision(model: Any, folder: Path) -> None:
    """Begin with the vision transformer of an OWLv2 checkpoint."""
    from safetensors.torch import load_file

    start = "owlv2.vision_model."
    weights = {
        name.removeprefix(start).replace("pre_layernorm", "pre_layrnorm"): value.float()
        for name, value in load_file(folder / "model.safetensors").items()
        if name.startswith(start)
    }
    model.vision_model.load_state_dict(weights, strict=True)


# ---- what is learnt from --------------------------------------------------------------------------


@dataclass(frozen=True)
class Batch:
    """``pixels`` (b, 3, s, s); ``there`` (b, phrases): 1 where such a thing is there, 0 not, in between unsure;
    ``captions`` holds for each image its caption, or None where a part was cut off. ``shown`` (b, patches) is the
    phrase of the thing a patch lies on, −1 for none, and ``counts`` whether that is certain."""

    pixels: torch.Tensor
    there: np.ndarray
    captions: list[str | None]
    shown: np.ndarray
    counts: np.ndarray


def batches(kept: Sequence[Kept], processor: Any, steps: int, rng: np.random.Generator) -> Iterator[Batch]:
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (processor.image_mean, processor.image_std))
    order: list[int] = []
    for _ in range(steps):
        while len(order) < BATCH:
            order += rng.permutation(len(kept)).tolist()
        chosen, order = order[:BATCH], order[BATCH:]
        pixels, captions, shown, counts = [], [], [], []
        there = np.zeros((BATCH, len(PHRASES)), np.float32)
        for row, i in enumerate(chosen):
            seen = view(kept[i], rng, SIDE, cut=0.4, squashed=True, least=0.35)
            pixels.append(torch.from_numpy(lit(seen.image, rng)).permute(2, 0, 1))
            captions.append(kept[i].caption if seen.whole else None)
            sure = np.clip((seen.shares - ABSENT) / (PRESENT - ABSENT), 0, 1)
            np.maximum.at(there[row], kept[i].phrases, sure)
            owners, certain = owlv2.spoken(seen.owner, len(seen.boxes))
            shown.append(np.append(kept[i].phrases, -1)[owners])
            counts.append(certain)
        images = (torch.stack(pixels).float() / 255 - mean) / std
        yield Batch(images, there, captions, np.stack(shown), np.stack(counts))


# ---- learning -------------------------------------------------------------------------------------


class Lesson(torch.nn.Module):
    """A model with biases of its answers, which are thrown away: only the order of cosines counts later."""

    def __init__(self, model: Any, processor: Any, seed: int) -> None:
        super().__init__()
        self.model = model
        self.bias = torch.nn.Parameter(torch.tensor(-2.0))
        self.patch_bias = torch.nn.Parameter(torch.tensor(-4.0))
        self._processor, self._rng = processor, random.Random(seed)

    def losses(self, batch: Batch) -> dict[str, torch.Tensor]:
        """Return what is wrong with the answers to phrases, of images and of their patches, and with telling captions
        apart.

        CLIP has no use for the patches' answers; but what they can say is then easily gathered.
        """
        model, where = self.model, self.bias.device
        answer = model.vision_model(pixel_values=batch.pixels.to(where))
        patches = model.vision_model.post_layernorm(answer.last_hidden_state[:, 1:])
        every = torch.cat([answer.pooler_output[:, None], patches], 1)
        vectors = F.normalize(model.visual_projection(every).float(), dim=-1)
        seen = vectors[:, 0]
        sayings = varied(self._rng, FOREIGN)
        table = np.zeros((len(PHRASES) + 1, len(sayings)), np.float32)  # the last row is for no phrase at all
        for column, saying in enumerate(sayings):
            table[list(saying.fits), column] = 1
        scale = model.logit_scale.exp()
        logits = vectors @ self._read([s.text for s in sayings]).T * scale
        truth = torch.from_numpy((batch.there[:, :, None] * table[:-1]).max(1)).to(where)
        wrong = F.binary_cross_entropy_with_logits(logits[:, 0] + self.bias, truth, reduction="none")
        sure = ((truth == 0) | (truth == 1)).float()
        parts = {"words": (wrong * sure).sum() / sure.sum() * 4}
        wrong = F.binary_cross_entropy_with_logits(
            logits[:, 1:] + self.patch_bias, torch.from_numpy(table[batch.shown]).to(where), reduction="none"
        )
        certain = torch.from_numpy(batch.counts)[..., None].to(where)
        parts["patches"] = (wrong * certain).sum() / (certain.sum() * len(sayings)) * 4
        whole = [i for i, caption in enumerate(batch.captions) if caption is not None]
        if len(whole) > 1:
            apart = seen[whole] @ self._read([batch.captions[i] for i in whole]).T * scale
            mine = torch.arange(len(whole), device=where)
            parts["captions"] = 0.1 * (F.cross_entropy(apart, mine) + F.cross_entropy(apart.T, mine))
        return parts

    def _read(self, texts: Sequence[Any]) -> torch.Tensor:
        read = tokens(self._processor.tokenizer, texts).to(self.bias.device)
        vectors = self.model.get_text_features(input_ids=read["input_ids"]).pooler_output
        return F.normalize(vectors.float(), dim=-1)


def train(folder: Path, *, seed: int, quick: bool) -> None:
    """Train a model and write it into a folder; the demo OWLv2 is looked for beside it, else trained first."""
    model, processor = build(seed)
    quicken(model.vision_model)
    share = 20 if quick else 1
    with TemporaryDirectory() as place:
        before = folder.parent / "owlv2"
        if not (before / "model.safetensors").exists():
            before = Path(place)
            owlv2.train(before, seed=seed, quick=quick)
        take_vision(model, before)
    learnt = model.vision_model
    for part in (learnt.embeddings, learnt.pre_layrnorm, *learnt.encoder.layers[:KEPT_LAYERS]):
        part.requires_grad_(False)
    kept = keep([*drawn("train", SCENES // share), *drawn("train", SINGLES // share, singles=True)])
    lesson = Lesson(model, processor, seed).to(device())
    steps = STEPS // share
    fit(
        lesson,
        batches(kept, processor.image_processor, steps, np.random.default_rng(seed)),
        lesson.losses,
        steps=steps,
        rate=RATE,
        decay=0.05,
        average=0.99,
        say="clip",
        every=50,
        snapshot=lambda averaged: save(averaged.model, folder, processor),
        snapshot_every=250,
    )
    save(model, folder, processor)


# ---- how good it is -------------------------------------------------------------------------------

ALONE = 100  # scenes of a single thing, where none is among those given


def measure(adapter: Embedder, scenes: Sequence[Drawn]) -> dict[str, float]:
    """Return the mean average precision of scenes sought by phrase, and how often a single thing is named rightly."""
    from sklearn.metrics import average_precision_score

    singles = [s for s in scenes if s.single] or drawn("test", ALONE, singles=True)
    several = [s for s in scenes if not s.single]
    vectors = adapter.embed_images([s.image for s in several])
    scores = vectors @ adapter.embed_texts(PHRASES).T
    precisions = {}
    for i, text in enumerate(PHRASES):
        there = np.array([any(t.phrase == text for t in s.things) for s in several])
        if there.any():
            precisions[text] = float(average_precision_score(there, scores[:, i]))
    names = np.stack([_named(adapter, name) for name in CLASSES])
    guesses = (adapter.embed_images([s.image for s in singles]) @ names.T).argmax(1)
    right = [CLASSES[guess] == s.things[0].name for guess, s in zip(guesses, singles, strict=True)]
    return {
        "filter_map": float(np.mean(list(precisions.values()))),
        "zeroshot_acc": float(np.mean(right)),
        **{f"filter_ap_{text}": value for text, value in precisions.items()},
    }


def _named(adapter: Embedder, name: str) -> np.ndarray:
    """Return the unit vector of a class: the mean of a few prompts, as CLIP's authors classify."""
    prompts = [form.format(phrase(name)) for form in ("{}", "a photo of {}", "a picture of {}")]
    mean = adapter.embed_texts(prompts).mean(0)
    return mean / np.linalg.norm(mean)
