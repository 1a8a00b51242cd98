"""What models find on images, by a recipe: detectors, fused or in tiles, then masks, keypoints, and class names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import partial
from typing import Any, Literal, get_args

import numpy as np

from studio.adapters import BatchSegmenter, Card, Detection
from studio.annotations import Annotation, Box, Label, Mask, Prompt, Shape
from studio.errors import BadInput, unknown
from studio.gate import Turn
from studio.geometry import masks_of_values
from studio.operations import examples as by_example
from studio.operations.examples import ExampleSet, Exemplar, Step, find_like, read_exemplars
from studio.operations.fusion import MOST_MODELS, TWICE, Fusion, fuse, once
from studio.operations.label import check_class_name
from studio.operations.merging import SAME_FOUND, Policy, policy_of
from studio.operations.tiling import Tiling, detect_in_tiles, moved
from studio.operations.words import Word, reaching, read_words, sorted_out
from studio.project import ImageRecord
from studio.studio import Studio

Unknown = Literal["add", "drop"]
FLOOR = 0.05  # scores below it are not even kept for a threshold that is moved afterwards
FIRST_THRESHOLD = 0.3
FINDS = ("detector", "semantic", "classifier")  # roles that a recipe may begin with
BOXES_AT_ONCE = 64
TAGS = 5  # classes that a classifier may give an image, as far as they reach the threshold


@dataclass(frozen=True)
class Recipe:
    """How images are predicted. JSON holds it, so that a job goes on with what it began with.

    ``models`` are 1 to 5 detectors, or one semantic segmenter, or one classifier; or, with ``words``, 1 to 5 models
    that find what phrases name; or, with ``examples``, 1 to 5 models that find what looks like these, which then is
    of the class ``example_class``. ``segmenter`` turns boxes into
    masks and ``pose`` places keypoints in them, where named. ``options`` are values for the fields of a model's
    options, by its id. ``classes`` says what a model's names are called in the project; None leaves them out.
    A name that is missing there stays what it is where ``unknown`` is "add", or is left out where it is "drop".
    What one detector finds twice, by boxes of a class that overlap by ``twice``, counts once; 1 keeps both.
    """

    models: tuple[str, ...]
    segmenter: str = ""
    pose: str = ""
    threshold: float = FIRST_THRESHOLD
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    classes: Mapping[str, str | None] = field(default_factory=dict)
    unknown: Unknown = "add"
    tiling: Tiling | None = None
    fusion: Fusion = Fusion()
    policy: Policy = "append"
    same: float = SAME_FOUND
    twice: float = TWICE
    words: tuple[Word, ...] = ()
    examples: tuple[Exemplar, ...] = ()
    example_class: str = ""

    def to_json(self) -> dict[str, Any]:
        options = {key: dict(values) for key, values in self.options.items()}
        words = [word.to_json() for word in self.words]
        shown = [example.to_json() for example in self.examples]
        told = {"options": options, "classes": dict(self.classes), "words": words, "examples": shown}
        return {**asdict(self), **told}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Recipe:
        """Read a recipe. Raises BadInput that says what is wrong with it."""
        try:
            models, tiling, fusion = data["models"], data.get("tiling"), data.get("fusion") or {}
            unknown_names = str(data.get("unknown", "add"))
            if unknown_names not in get_args(Unknown):
                raise unknown("rule for unknown classes", unknown_names, get_args(Unknown))
            return cls(
                models=(models,) if isinstance(models, str) else tuple(str(m) for m in models),
                segmenter=str(data.get("segmenter") or ""),
                pose=str(data.get("pose") or ""),
                threshold=float(data.get("threshold", FIRST_THRESHOLD)),
                options={str(k): dict(v) for k, v in (data.get("options") or {}).items()},
                classes={
                    str(k): None if v is None else str(v) for k, v in (data.get("classes") or {}).items()
                },
                unknown=unknown_names,
                tiling=Tiling(**tiling) if tiling else None,
                fusion=Fusion(**{**fusion, "weights": tuple(fusion.get("weights") or ())}),
                policy=policy_of(str(data.get("policy", "append"))),
                same=float(data.get("same", SAME_FOUND)),
                twice=float(data.get("twice", TWICE)),
                words=read_words(data.get("words") or ()),
                examples=read_exemplars(data.get("examples") or ()),
                example_class=" ".join(str(data.get("example_class") or "").split()),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            if isinstance(error, BadInput):
                raise
            raise BadInput(
                f"The settings of a prediction cannot be read: {type(error).__name__} {error}."
            ) from None

    def named(self, name: str) -> str | None:
        """Return what a model's name is called in the project; None where it is left out."""
        return self.classes.get(name, name if self.unknown == "add" else None)


def check(studio: Studio, recipe: Recipe) -> None:
    """Raise BadInput where a recipe cannot be followed, and NotFound where it names a model nobody knows."""
    if not 1 <= len(recipe.models) <= MOST_MODELS:
        raise BadInput(f"Choose a model, or up to {MOST_MODELS} for an ensemble.")
    if len(set(recipe.models)) < len(recipe.models):
        raise BadInput("A model is chosen twice. Choose different ones.")
    cards = [studio.registry.card(name) for name in recipe.models]
    for card in cards:
        if recipe.words and "text-detector" not in card.roles:
            raise BadInput(f"{card.title} reads no words. Choose a model that does.")
        if not recipe.words and not recipe.examples and not set(card.roles) & set(FINDS):
            raise BadInput(f"{card.title} does not find things by itself. Choose a detector.")
    if recipe.examples:
        _check_examples(studio, recipe, cards)
    boxes = bool(recipe.examples) or all({"detector", "text-detector"} & set(card.roles) for card in cards)
    if len(cards) > 1 and not boxes:
        raise BadInput(
            "An ensemble is of detectors. A model that gives every pixel or the whole image a class works alone."
        )
    if recipe.fusion.weights and len(recipe.fusion.weights) != len(cards):
        raise BadInput(f"Give each of the {len(cards)} models a weight, or none of them.")
    if not 0 <= recipe.threshold <= 1:
        raise BadInput(f"The threshold lies between 0 and 1; it is {recipe.threshold:g}.")
    if not 0 < recipe.same <= 1:
        raise BadInput(f"The overlap from which two are one lies above 0, up to 1; it is {recipe.same:g}.")
    if not 0 < recipe.twice <= 1:
        raise BadInput(
            f"The overlap from which a thing was found twice lies above 0, up to 1; it is {recipe.twice:g}."
        )
    for name, role, what in ((recipe.segmenter, "segmenter", "masks"), (recipe.pose, "pose", "keypoints")):
        if name and role not in studio.registry.card(name).roles:
            raise BadInput(f"{studio.registry.card(name).title} makes no {what}. Choose another one.")
    if (recipe.segmenter or recipe.pose) and not boxes:
        raise BadInput("Masks and keypoints are made from boxes. Choose a model that finds boxes.")
    for model_id in recipe.options:
        options_of(studio.registry.card(model_id), recipe)


def _check_examples(studio: Studio, recipe: Recipe, cards: Sequence[Card]) -> None:
    if recipe.words:
        raise BadInput("Look by phrases or by examples, not by both at once.")
    if not recipe.example_class.strip():
        raise BadInput(
            "Say which class the things have that are found: write it, or choose one of the project."
        )
    check_class_name(recipe.example_class)
    by_example.check(cards, recipe.examples, studio.registry, tiled=recipe.tiling is not None)


def options_of(card: Card, recipe: Recipe) -> Any:
    """Return a model's options as the recipe has them. Raises BadInput for one it does not have, or out of range."""
    known = {option.name: option for option in fields(card.options)}
    values = recipe.options.get(card.id, {})
    for name, value in values.items():
        if name not in known:
            raise unknown(f"option of {card.title}", name, sorted(known))
        _check_kind(card, name, value)
        limits = known[name].metadata
        if "min" in limits and not limits["min"] <= value <= limits["max"]:
            raise BadInput(f"“{name}” of {card.title} lies between {limits['min']} and {limits['max']}.")
    return card.options(**values)


def _check_kind(card: Card, name: str, value: Any) -> None:
    default = getattr(card.options(), name)
    for kind, words in ((bool, "true or false"), (int, "a whole number"), (float, "a number"), (str, "text")):
        if isinstance(default, kind):
            fits = isinstance(value, (int, float) if kind is float else kind)
            if not fits or (kind is not bool and isinstance(value, bool)):
                raise BadInput(f"“{name}” of {card.title} is {words}; “{str(value)[:40]}” is not.")
            return


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
) -> list[list[Detection]]:
    """Return what the recipe's models find on images, best first, named as the project names it.

    ``shown`` are the recipe's examples with their pictures, and ``ids`` the images' ids, which tell the images that
    examples lie on; neither is needed without examples. ``step`` hears how many pieces of an image were just compared
    with examples, where a model does that; what it raises ends the search.

    What words find is named by its phrase still, so that each phrase's threshold can be moved afterwards. What a
    classifier says of an image comes as a detection of the whole of it.
    """
    members = []
    for model_id in recipe.models:
        card = studio.registry.card(model_id)
        if recipe.examples:
            members.append(_alike(studio, card, recipe, pictures, floor, turn, shown, ids, step))
            continue
        found = _found(studio, card, recipe, pictures, floor, turn)
        if recipe.words:
            members.append([sorted_out(each, recipe.words, recipe.threshold) for each in found])
            continue
        members.append([[d for d in map(partial(_named, recipe), each) if d is not None] for each in found])
    if len(members) == 1:
        together = (
            members[0] if recipe.words or recipe.examples else [once(d, recipe.twice) for d in members[0]]
        )
    else:
        fusion = replace(recipe.fusion, floor=floor)
        together = [
            fuse(each, *picture.shape[:2], fusion)
            for each, picture in zip(zip(*members, strict=True), pictures, strict=True)
        ]
    if recipe.segmenter:
        together = [
            _masked(studio, recipe, picture, each, turn)
            for picture, each in zip(pictures, together, strict=True)
        ]
    if recipe.pose:
        together = [
            _posed(studio, recipe, picture, each, turn)
            for picture, each in zip(pictures, together, strict=True)
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
) -> list[Detection]:
    """Return what is found on one image or, of it, in a region, in the image's own pixels, best first.

    Raises BadInput where the region has no pixel of the image.
    """
    if region is None:
        return find(studio, recipe, [picture], turn=turn, shown=shown, ids=[image_id], step=step)[0]
    height, width = picture.shape[:2]
    x0, y0 = (max(0, int(np.floor(v))) for v in (region.x0, region.y0))
    x1, y1 = min(width, int(np.ceil(region.x1))), min(height, int(np.ceil(region.y1)))
    if x1 - x0 < 2 or y1 - y0 < 2:
        raise BadInput("The region lies outside of the image. Draw it on the image.")
    part = np.ascontiguousarray(picture[y0:y1, x0:x1])
    found = find(studio, recipe, [part], turn=turn, shown=shown, step=step)[0]
    return [moved(d, x0, y0, height, width) for d in found]


def annotations(recipe: Recipe, studio: Studio, detections: Sequence[Detection]) -> list[Annotation]:
    """Return drafts for the detections that reach the threshold: tags, masks, keypoints, else boxes."""
    cards = [studio.registry.card(name) for name in (*recipe.models, recipe.segmenter, recipe.pose) if name]
    tags = "classifier" in cards[0].roles
    made = dict(
        source="model",
        draft=True,
        model="+".join(card.id for card in cards),
        model_version="+".join(card.version for card in cards),
    )
    if recipe.words:
        sure = reaching(detections, recipe.words, recipe.threshold)
    else:
        sure = [d for d in detections if d.score >= recipe.threshold]
    return [Annotation(d.name, Label() if tags else _shape(d, recipe), score=d.score, **made) for d in sure]


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
        # On a processor a batch is no quicker than its images one by one, and a person's click waits for it.
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


def _found(
    studio: Studio,
    card: Card,
    recipe: Recipe,
    pictures: Sequence[np.ndarray],
    floor: float,
    turn: Turn | None,
) -> list[list[Detection]]:
    def run(work: Callable[[Any], Any]) -> Any:
        return studio.pool.run(card.id, work, turn=turn, options=options_of(card, recipe))

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
    options = options_of(card, recipe)
    found = find_like(
        card,
        lambda work: studio.pool.run(card.id, work, turn=turn, options=options),
        shown,
        pictures,
        ids or [""] * len(pictures),
        key=(card.id, card.version, options),
        tiling=recipe.tiling,
        floor=floor,
        registry=studio.registry,
        step=step,
    )
    return [[replace(d, name=recipe.example_class) for d in each] for each in found]


def _read_for(
    run: Callable[[Callable[[Any], Any]], Any], recipe: Recipe, pictures: Sequence[np.ndarray], floor: float
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


def _masked(
    studio: Studio, recipe: Recipe, picture: np.ndarray, found: Sequence[Detection], turn: Turn | None
) -> list[Detection]:
    """Return detections with the segmenter's masks of their boxes; the image is encoded once, for this alone."""
    if not found:
        return []
    card = studio.registry.card(recipe.segmenter)
    options = options_of(card, recipe)
    prompts = [Prompt(box=d.box) for d in found]
    encoded = studio.pool.run(card.id, lambda model: model.embed(picture), turn=turn, options=options)
    masks: list[Mask | None] = []
    for start in range(0, len(prompts), BOXES_AT_ONCE):
        part = prompts[start : start + BOXES_AT_ONCE]
        answers = studio.pool.run(
            card.id, lambda model, part=part: _answers(model, encoded, part), turn=turn, options=options
        )
        masks += [each[0].mask if each else None for each in answers]
    return [
        replace(d, mask=mask) if mask is not None and mask.box is not None else d
        for d, mask in zip(found, masks, strict=True)
    ]


def _answers(model: Any, encoded: Any, prompts: Sequence[Prompt]) -> list[list[Any]]:
    if isinstance(model, BatchSegmenter):
        return model.segment_many(encoded, prompts)
    return [model.segment(encoded, prompt) for prompt in prompts]


def _posed(
    studio: Studio, recipe: Recipe, picture: np.ndarray, found: Sequence[Detection], turn: Turn | None
) -> list[Detection]:
    if not found:
        return []
    card = studio.registry.card(recipe.pose)
    boxes = [d.box for d in found]
    placed = studio.pool.run(
        card.id, lambda model: model.estimate(picture, boxes), turn=turn, options=options_of(card, recipe)
    )
    return [
        replace(d, keypoints=keypoints, keypoint_scores=scores)
        for d, (keypoints, scores) in zip(found, placed, strict=True)
    ]
