"""Things pointed out on images, to find more like them: how they are kept, and what models make of them.

Two kinds of models find by example: detectors made for it, and, more slowly, every embedder, by comparing windows of
the image with the examples. Pictures that examples lie on are decoded and encoded once for many images.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from studio import images
from studio.adapters import Card, Detection, Example, ExampleEncoder
from studio.annotations import Box
from studio.errors import BadInput, NotFound
from studio.operations import _matching
from studio.operations._boxes import Run
from studio.operations.tiling import Detect, Tiling, detect_in_tiles
from studio.project import ImageRecord
from studio.registry import Registry
from studio.studio import Studio

ROLES = ("example-detector", "embedder")  # of models that find by example, the better ones first
MOST = 50  # examples of one search
FIRST = {"detector": 0.5, "segmenter": 0.5, "embedder": 0.55}  # how sure, by what a model is
KEPT_SETS = 4  # sets of examples that stay encoded
KEPT_BYTES = 200_000_000  # of a set's pictures, for models that take them anew with each image
GONE = (
    "The image of an example is not in this project, or not any more. Take the example away or point out another one, "
    "and begin anew."
)

Step = Callable[[int], None]  # hears how many pieces of an image were compared just now


@dataclass(frozen=True)
class Exemplar:
    """A box on an image of the project that shows what is sought; or, where not ``positive``, what is not meant."""

    image: str
    box: Box
    positive: bool = True

    def to_json(self) -> dict[str, Any]:
        return {"image": self.image, "box": list(self.box.xyxy), "positive": self.positive}


def read_exemplars(given: Sequence[Mapping[str, Any]]) -> tuple[Exemplar, ...]:
    """Return examples of objects with the fields of Exemplar. Raises BadInput that says what is wrong."""
    if isinstance(given, str | Mapping) or not isinstance(given, Sequence):
        raise BadInput("Examples are a list of objects with an image and a box.")
    if len(given) > MOST:
        raise BadInput(f"At most {MOST} examples are shown at once; these are {len(given)}.")
    found = []
    for one in given:
        try:
            if strange := set(one) - {"image", "box", "positive"}:
                raise BadInput(
                    f"An example has an image, a box and “positive”, not “{str(min(strange))[:40]}”."
                )
            positive = one.get("positive", True)
            if not isinstance(one["image"], str) or not isinstance(positive, bool):
                raise BadInput("An example names its image by an id, and is positive or not: true or false.")
            corners = one["box"]
            if isinstance(corners, str) or len(corners) != 4:
                raise BadInput("An example's box is four numbers: x0, y0, x1, y1.")
            found.append(Exemplar(one["image"], Box(*corners), positive))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BadInput(f"An example cannot be read: {type(error).__name__} {error}.") from None
    return tuple(dict.fromkeys(found))


def check(cards: Sequence[Card], exemplars: Sequence[Exemplar], registry: Registry, tiled: bool) -> None:
    """Raise BadInput where models cannot find by these examples."""
    for card in cards:
        if not set(card.roles) & set(ROLES):
            raise BadInput(f"{card.title} takes no examples. {_instead(registry)}")
        if tiled and not travels(card):
            raise BadInput(
                f"{card.title} takes examples from the image itself, which tiles cut up. Look without tiles. "
                f"{_instead(registry)}"
            )
    if not any(e.positive for e in exemplars):
        raise BadInput("Give at least one example of what to look for: draw a box around one thing.")
    if len(exemplars) > MOST:
        raise BadInput(f"At most {MOST} examples are shown at once; these are {len(exemplars)}.")


def check_reach(
    cards: Sequence[Card], exemplars: Sequence[Exemplar], wanted: Sequence[str], registry: Registry
) -> None:
    """Raise BadInput where a model takes examples from the image itself, and an image wanted has none of its own."""
    own = {e.image for e in exemplars if e.positive}
    without = [image for image in wanted if image not in own]
    for card in cards:
        if without and not travels(card):
            which = (
                "this image has"
                if len(wanted) == 1
                else f"{len(without):,} of the {len(wanted):,} images have"
            )
            raise BadInput(
                f"{card.title} finds by examples of the same image only, and {which} none. {_instead(registry)}"
            )


def travels(card: Card) -> bool:
    """Say whether what an example shows is found on other images, too."""
    return "example-detector" not in card.roles or card.examples_travel


def first_threshold(cards: Sequence[Card]) -> float:
    """Return how sure models should be at first; an embedder's score says how much more alike than usual a place is."""
    each = [_first(card) for card in cards]
    return round(sum(each) / len(each), 2) if each else FIRST["detector"]


def _first(card: Card) -> float:
    if "example-detector" not in card.roles:
        return FIRST["embedder"]
    return FIRST["segmenter" if "segmenter" in card.roles else "detector"]


def _instead(registry: Registry) -> str:
    cards = [c for role in ROLES for c in registry.cards(role) if travels(c)]
    titles = list(dict.fromkeys(c.title for c in cards))
    if not titles:
        return "No other model here does; look at Models."
    choice = " or ".join(dict.fromkeys((titles[0], titles[-1])))
    return f"Choose {choice}, for which examples hold on all images."


# ---- examples with their pictures ------------------------------------------------------------------


class ExampleSet:
    """Examples, their pictures as far as they are needed, and what each model made of them. Thread-safe.

    ``read`` gives an image's pixels by its id, and raises what people may read where it is not there.
    """

    def __init__(self, exemplars: Sequence[Exemplar], read: Callable[[str], np.ndarray]) -> None:
        self.exemplars = tuple(exemplars)
        self._read = read
        self._encoded: dict[Any, Any] = {}
        self._pictures: dict[str, np.ndarray] = {}
        self._lock = threading.RLock()

    def groups(self) -> Iterator[list[Example]]:
        """Yield the examples of an image after those of another, so that one picture is held at a time."""
        for image in dict.fromkeys(e.image for e in self.exemplars):
            picture = self._read(image)
            yield [Example(picture, e.box, e.positive) for e in self.exemplars if e.image == image]

    def encoded(self, key: Any, make: Callable[[], Any]) -> Any:
        """Return what ``make`` makes of the examples, made once for each key; who comes meanwhile waits."""
        with self._lock:
            if key not in self._encoded:
                self._encoded[key] = make()
            return self._encoded[key]

    def pictured(self, here: Mapping[str, np.ndarray]) -> list[Example]:
        """Return the examples for a model that takes them anew each time; ``here`` are pictures in hand."""
        with self._lock:
            wanted = dict.fromkeys(e.image for e in self.exemplars)
            pictures = {image: here.get(image, self._pictures.get(image)) for image in wanted}
            for image, known in pictures.items():
                if known is None:
                    pictures[image] = self._pictures[image] = self._read(image)
            while self._pictures and sum(p.nbytes for p in self._pictures.values()) > KEPT_BYTES:
                del self._pictures[next(iter(self._pictures))]
        return [Example(pictures[e.image], e.box, e.positive) for e in self.exemplars]

    def own(self, image_id: str, picture: np.ndarray) -> list[Example]:
        """Return the examples that lie on this image."""
        return [Example(picture, e.box, e.positive) for e in self.exemplars if e.image == image_id]


_SETS: WeakKeyDictionary[Studio, OrderedDict[Any, ExampleSet]] = WeakKeyDictionary()
_LOCK = threading.Lock()


def example_set(studio: Studio, project_id: str, exemplars: Sequence[Exemplar]) -> ExampleSet:
    """Return the examples with their pictures, encoded already where the same ones were used lately.

    Raises NotFound where an image is not, or not any more, in the project, and BadInput for a box beside its image.
    """
    records = {e.image: _record(studio, project_id, e.image) for e in exemplars}
    for e in exemplars:
        image = records[e.image]
        if e.box.clipped(image.width, image.height).area < 1:
            raise BadInput(
                f"An example on {image.name} lies outside of it. Take it away, and draw it on the image."
            )
    key = project_id, tuple(exemplars)
    with _LOCK:
        kept = _SETS.setdefault(studio, OrderedDict())
        if key not in kept:
            paths = {i: (studio.store.original_path(r), r.name) for i, r in records.items()}
            kept[key] = ExampleSet(exemplars, partial(_decoded, paths))
        kept.move_to_end(key)
        while len(kept) > KEPT_SETS:
            kept.popitem(last=False)
        return kept[key]


def _record(studio: Studio, project_id: str, image_id: str) -> ImageRecord:
    try:
        record = studio.store.image(image_id)
    except NotFound:
        raise NotFound(GONE) from None
    if record.project_id != project_id:
        raise NotFound(GONE)
    return record


def _decoded(paths: Mapping[str, tuple[Any, str]], image_id: str) -> np.ndarray:
    path, name = paths[image_id]
    try:
        return images.decode(path, name)
    except FileNotFoundError:
        raise NotFound(GONE) from None


# ---- finding ---------------------------------------------------------------------------------------


def find_like(
    card: Card,
    run: Run,
    shown: ExampleSet,
    pictures: Sequence[np.ndarray],
    ids: Sequence[str],
    *,
    key: Any,
    tiling: Tiling | None,
    floor: float,
    registry: Registry,
    step: Step | None = None,
) -> list[list[Detection]]:
    """Return what one model finds by examples on images, best first and unnamed.

    ``ids`` are the images' ids, "" for what is none of the project's, such as a part of one. ``key`` stands for the
    model with its options, under which what it makes of the examples is kept. ``step`` hears how many pieces of images
    were just compared, where a model does that.
    """
    if "example-detector" in card.roles and not card.examples_travel:
        check_reach([card], shown.exemplars, ids, registry)
        own = [shown.own(image, picture) for image, picture in zip(ids, pictures, strict=True)]
        return [
            run(lambda model, p=picture, e=examples: model.detect_like([p], e, floor=floor)[0])
            for picture, examples in zip(pictures, own, strict=True)
        ]
    detect = _detecting(card, run, shown, dict(zip(ids, pictures, strict=True)), key, floor, step)
    if tiling is None:
        return detect(pictures)
    return [detect_in_tiles(detect, picture, tiling) for picture in pictures]


def _detecting(
    card: Card,
    run: Run,
    shown: ExampleSet,
    here: Mapping[str, np.ndarray],
    key: Any,
    floor: float,
    step: Step | None,
) -> Detect:
    """Return what looks at images, or their tiles, by the examples; ``here`` are pictures in hand, by their ids."""
    if "example-detector" not in card.roles:

        def embed(crops: Sequence[np.ndarray]) -> np.ndarray:
            made = run(
                lambda model: model.embed_images(crops)
            )  # a turn for each batch: others come in between
            if step is not None:
                step(len(crops))
            return made

        def learnt() -> Any:
            return _matching.learn((e for group in shown.groups() for e in group), embed)

        sought = shown.encoded(key, learnt)
        return lambda parts: [_matching.search(part, sought, embed, floor=floor) for part in parts]
    if run(lambda model: isinstance(model, ExampleEncoder)):

        def encoded() -> list[Any]:
            return [run(lambda model, g=group: model.encode_examples(g)) for group in shown.groups()]

        queries = shown.encoded(key, encoded)
        return lambda parts: run(lambda model: model.detect_encoded(parts, queries, floor=floor))
    examples = shown.pictured(here)
    return lambda parts: run(lambda model: model.detect_like(parts, examples, floor=floor))
