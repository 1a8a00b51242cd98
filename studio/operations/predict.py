"""What models find on images, by a recipe: detectors, fused or in tiles, then masks, keypoints, and class names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from studio.adapters import Card, Detection
from studio.annotations import Annotation, Box, Label, Prompt, Shape
from studio.errors import BadInput
from studio.gate import Turn
from studio.geometry import masks_of_values
from studio.operations import describing
from studio.operations._boxes import Run, masked, posed
from studio.operations.describing import Span, Told
from studio.operations.examples import ExampleSet, Step, find_like
from studio.operations.fusion import fuse, once
from studio.operations.recipe import FIRST_THRESHOLD, Recipe, check, options_of
from studio.operations.tiling import detect_in_tiles, moved
from studio.operations.words import Word, reaching, sorted_out
from studio.project import ImageRecord
from studio.studio import Studio

__all__ = [
    "FIRST_THRESHOLD",
    "Prediction",
    "Recipe",
    "annotations",
    "check",
    "find",
    "find_in",
    "options_of",
    "sure",
]

FLOOR = 0.05  # scores below it are not even kept for a threshold that is moved afterwards
TAGS = 5  # classes that a classifier may give an image, as far as they reach the threshold


def find(
    studio: Studio,
    recipe: Recipe,
    pictures: Sequence[np.ndarray],
    *,
    floor: float = FLOOR,
    turn: Turn | None = Turn.BATCH,
    shown: ExampleSet | None = None,
    ids: Sequence[str] = (),
    step: Step | None = None,
    heard: Callable[[Told], None] = lambda told: None,
) -> list[list[Detection]]:
    """Return what the recipe's models find on images, best first, named as the project names it.

    ``shown`` are the recipe's examples with their pictures, and ``ids`` the images' ids, which tell the images that
    examples lie on; neither is needed without examples. ``step`` hears how many pieces of an image were just compared
    with examples, where a model does that; what it raises ends the search. ``heard`` is told, image by image, what a
    model said of it that describes images.

    What words find is named by its phrase still, so that each phrase's threshold can be moved afterwards. What a
    classifier says of an image comes as a detection of the whole of it.
    """
    if recipe.described:
        together = []
        for picture in pictures:
            found, told = _described(studio, recipe, picture, floor, turn)
            together.append(found)
            heard(told)
    else:
        together = _together(studio, recipe, pictures, floor, turn, shown, ids, step)
    for model_id, made in ((recipe.segmenter, masked), (recipe.pose, posed)):
        if model_id:
            run = _running(studio, studio.registry.card(model_id), recipe, turn)
            pairs = zip(pictures, together, strict=True)
            together = [
                # What has a mask already has one of its own model's.
                each if made is masked and all(d.mask for d in each) else made(run, picture, each)
                for picture, each in pairs
            ]
    return together


def find_in(
    studio: Studio,
    recipe: Recipe,
    picture: np.ndarray,
    region: Box | None,
    *,
    turn: Turn | None = Turn.CLICK,
    shown: ExampleSet | None = None,
    image_id: str = "",
    step: Step | None = None,
    heard: Callable[[Told], None] = lambda told: None,
) -> list[Detection]:
    """Return what is found on one image or, of it, in a region, in the image's own pixels, best first.

    Raises BadInput where the region has no pixel of the image.
    """
    if region is None:
        return find(
            studio, recipe, [picture], turn=turn, shown=shown, ids=[image_id], step=step, heard=heard
        )[0]
    height, width = picture.shape[:2]
    x0, y0 = (max(0, int(np.floor(v))) for v in (region.x0, region.y0))
    x1, y1 = min(width, int(np.ceil(region.x1))), min(height, int(np.ceil(region.y1)))
    if x1 - x0 < 2 or y1 - y0 < 2:
        raise BadInput("The region lies outside of the image. Draw it on the image.")
    part = np.ascontiguousarray(picture[y0:y1, x0:x1])
    found = find(studio, recipe, [part], turn=turn, shown=shown, step=step, heard=heard)[0]
    return [moved(d, x0, y0, height, width) for d in found]


def annotations(recipe: Recipe, studio: Studio, detections: Sequence[Detection]) -> list[Annotation]:
    """Return drafts for the detections that reach the threshold: tags, masks, keypoints, else boxes."""
    cards = [studio.registry.card(name) for name in recipe.model_ids]
    tags = "classifier" in cards[0].roles
    made = dict(
        source="model",
        draft=True,
        model="+".join(card.id for card in cards),
        model_version="+".join(card.version for card in cards),
    )
    found = []
    for said, d in sure(recipe, detections):
        prompt = Prompt(text=said) if recipe.words or recipe.described else None
        shape = Label() if tags else _shape(d, recipe)
        found.append(Annotation(d.name, shape, score=d.score, prompt=prompt, **made))
    return found


def sure(recipe: Recipe, detections: Sequence[Detection]) -> list[tuple[str, Detection]]:
    """Return the detections that reach their threshold, named by class; each with the words that it was found by."""
    if recipe.words:
        return reaching(detections, recipe.words, recipe.threshold)
    reached = [d for d in detections if d.score >= recipe.threshold]
    if recipe.all_as:
        return [(d.name, replace(d, name=recipe.all_as)) for d in reached]
    return [(d.name, d) for d in reached]


def _shape(detection: Detection, recipe: Recipe) -> Shape:
    if recipe.pose and detection.keypoints:
        return detection.keypoints
    return detection.mask or detection.keypoints or detection.box


class Prediction:
    """A recipe as the work of a job."""

    def __init__(self, studio: Studio, recipe: Recipe, shown: ExampleSet | None = None) -> None:
        check(studio, recipe)
        self._studio, self._recipe, self._shown = studio, recipe, shown
        self.policy, self.same = recipe.policy, recipe.same
        # On a processor a batch saves small networks a sixth of their time and larger ones less; but a person's click
        # waits for it, and one by one the results are the same to the last bit wherever a job was cut off.
        self.batch = 1 if studio.pool.device.name == "cpu" else 8

    def annotate(
        self, records: Sequence[ImageRecord], pictures: Sequence[np.ndarray]
    ) -> list[list[Annotation]]:
        recipe = self._recipe
        limits = [w.threshold for w in recipe.words if w.threshold is not None]
        floor = max(min([recipe.threshold, *limits]), 1e-6)
        ids = [record.id for record in records] if recipe.examples else []
        found = find(self._studio, recipe, pictures, floor=floor, shown=self._shown, ids=ids)
        return [annotations(self._recipe, self._studio, each) for each in found]


# ---- one step after the other ----------------------------------------------------------------------


def _named(recipe: Recipe, detection: Detection) -> Detection | None:
    name = recipe.named(detection.name)
    return None if name is None else replace(detection, name=name)


def _running(studio: Studio, card: Card, recipe: Recipe, turn: Turn | None) -> Run:
    options = options_of(card, recipe)
    return lambda work: studio.pool.run(card.id, work, turn=turn, options=options)


def _together(
    studio: Studio,
    recipe: Recipe,
    pictures: Sequence[np.ndarray],
    floor: float,
    turn: Turn | None,
    shown: ExampleSet | None = None,
    ids: Sequence[str] = (),
    step: Step | None = None,
) -> list[list[Detection]]:
    """Return what the models find, made one where there are several."""
    members = []
    for model_id in recipe.models:
        card = studio.registry.card(model_id)
        if recipe.examples:
            members.append(_alike(studio, card, recipe, pictures, floor, turn, shown, ids, step))
            continue
        found = _found(studio, card, recipe, pictures, floor, turn)
        if not recipe.words:
            found = [[d for d in map(partial(_named, recipe), each) if d is not None] for each in found]
        members.append(found)
    together = members[0] if recipe.words or recipe.examples else [once(d, recipe.twice) for d in members[0]]
    if len(members) > 1:
        fusion = replace(recipe.fusion, floor=floor)
        together = [
            fuse(each, *picture.shape[:2], fusion)
            for each, picture in zip(zip(*members, strict=True), pictures, strict=True)
        ]
    if recipe.words:  # of what all of them found, so that one model's word counts against another's
        together = [sorted_out(each, recipe.words, recipe.threshold) for each in together]
    return together


def _described(
    studio: Studio, recipe: Recipe, picture: np.ndarray, floor: float, turn: Turn | None
) -> tuple[list[Detection], Told]:
    """Return what a model says there is on an image, and where its text speaks of each thing."""
    if recipe.task:
        run = _running(studio, studio.registry.card(recipe.models[0]), recipe, turn)
        reading = run(lambda model: model.describe(picture, recipe.task, recipe.caption))
        pairs = describing.placed(reading, *picture.shape[:2])
    else:
        card = studio.registry.card(recipe.describer)
        run = _running(studio, card, recipe, turn)
        reading = run(lambda model: describing.caption_of(card, model, picture, recipe.caption))
        phrases: dict[str, Span] = describing.phrases_of(reading)
        found: list[Detection] = []
        if phrases:
            asked = replace(recipe, describer="", words=tuple(Word(phrase) for phrase in phrases))
            found = _together(studio, asked, [picture], floor, turn)[0]
        pairs = [(d, phrases[d.name]) for d in found]
    pairs = describing.renamed(pairs, recipe.named)
    return [d for d, _ in pairs], Told(reading.text, tuple(span for _, span in pairs))


def _found(
    studio: Studio,
    card: Card,
    recipe: Recipe,
    pictures: Sequence[np.ndarray],
    floor: float,
    turn: Turn | None,
) -> list[list[Detection]]:
    run = _running(studio, card, recipe, turn)
    if recipe.words:
        return _read_for(run, recipe, pictures, floor)
    if "semantic" in card.roles:
        names, numbers = run(lambda model: (model.names, model.classify_pixels(pictures)))
        return [_regions(names, each) for each in numbers]
    if "classifier" in card.roles:
        told = run(lambda model: model.classify(pictures, most=TAGS))
        return [
            [Detection(t.name, t.score, _whole(picture)) for t in each if t.score >= floor]
            for each, picture in zip(told, pictures, strict=True)
        ]
    if recipe.tiling is None:
        return run(lambda model: model.detect(pictures, floor=floor))

    def detect(tiles: Sequence[np.ndarray]) -> list[list[Detection]]:
        return run(lambda model: model.detect(tiles, floor=floor))

    return [detect_in_tiles(detect, picture, recipe.tiling) for picture in pictures]


def _alike(
    studio: Studio,
    card: Card,
    recipe: Recipe,
    pictures: Sequence[np.ndarray],
    floor: float,
    turn: Turn | None,
    shown: ExampleSet | None,
    ids: Sequence[str],
    step: Step | None,
) -> list[list[Detection]]:
    """Return what is like the recipe's examples, of their class."""
    if shown is None:
        raise BadInput("Examples lie on images of a project. Look at an image of it.")
    found = find_like(
        card,
        _running(studio, card, recipe, turn),
        shown,
        pictures,
        ids or [""] * len(pictures),
        key=(card.id, card.version, options_of(card, recipe)),
        tiling=recipe.tiling,
        floor=floor,
        registry=studio.registry,
        step=step,
    )
    return [[replace(d, name=recipe.example_class) for d in each] for each in found]


def _read_for(
    run: Run, recipe: Recipe, pictures: Sequence[np.ndarray], floor: float
) -> list[list[Detection]]:
    """Return what the recipe's phrases find, each named by its phrase."""
    phrases = [word.phrase for word in recipe.words]

    def read(images: Sequence[np.ndarray]) -> list[list[Detection]]:
        return run(lambda model: model.detect_text(images, phrases, floor=floor))

    if recipe.tiling is None:
        return read(pictures)
    return [detect_in_tiles(read, picture, recipe.tiling) for picture in pictures]


def _whole(picture: np.ndarray) -> Box:
    return Box(0, 0, picture.shape[1], picture.shape[0])


def _regions(names: Sequence[str], numbers: np.ndarray) -> list[Detection]:
    """Return each class's pixels as one detection, the largest first."""
    shifted = numbers.astype(np.int32) + 1  # classes are numbered from 0, which would be nothing
    masks = masks_of_values(shifted)
    found = [Detection(names[number - 1], 1.0, mask.box, mask) for number, mask in masks.items() if mask.box]
    return sorted(found, key=lambda d: -d.mask.area)
