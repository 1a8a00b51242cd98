"""Find everything in an image: click all over it, and keep the masks that are sure, steady and not the same twice.

The method of Kirillov et al., Segment Anything, 2023, section 5 and appendix B, for any segmenter that takes clicks.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from studio import images
from studio.adapters import BatchSegmenter, Candidate, Card, Embedding
from studio.annotations import Annotation, Point, Prompt
from studio.errors import BadInput, OutOfMemory
from studio.gate import Turn
from studio.operations import segment
from studio.operations._labelled import Labelled
from studio.operations._proposals import Proposal, Sieve, View
from studio.operations.label import check_class_name
from studio.project import Applied, Change, ImageRecord
from studio.studio import Studio

VERB = "everything"
MOST_OBJECTS = 500  # saved at once; more than anybody goes through, and the page stays quick
MOST_POINTS = 128  # a side
MOST_AT_ONCE = 32  # clicks in one run of a decoder: about 2 GB with SAM's features
TURN_SECONDS = 0.25  # what a turn of the gate should take, so that somebody else's click comes soon
QUARTER = 0.6  # share of each side that one of four overlapping quarters covers
SMALLEST_CROP = 48  # pixels; less shows a model nothing more
AGREEMENT = 0.5  # share of clicks that must agree, against the stability asked of models that know theirs
CROP_GRID = 0.75  # points a side of a quarter, against the whole image

Told = Callable[[int, int, int], None]  # points asked, points in all, objects found so far


@dataclass(frozen=True)
class Options:
    """How to look. ``grid`` None leaves the number of points to what the model and the machine can do."""

    grid: int | None = field(default=None, metadata={"help": "Points along the longer side of the image."})
    crops: bool = field(
        default=False, metadata={"help": "Look at four overlapping quarters, too: finds small objects."}
    )
    smallest: float = field(default=0.0005, metadata={"help": "Smallest size, as a share of the image."})
    largest: float = field(default=0.9, metadata={"help": "Largest size, as a share of the image."})
    sure: float = field(default=0.75, metadata={"help": "Lowest quality that the model expects, 0 to 1."})
    stable: float = field(
        default=0.85, metadata={"help": "How little a mask may change with its threshold, 0 to 1."}
    )
    same: float = field(default=0.7, metadata={"help": "Overlap (IoU) above which two masks are one object."})
    tidy: bool = field(default=True, metadata={"help": "Remove tiny islands and holes."})
    again: bool = field(default=False, metadata={"help": "Propose what is labelled already, too."})


@dataclass(frozen=True)
class Found:
    """What was found. ``objects`` are the largest first, so that small ones lie above and can be clicked.

    ``labelled`` counts objects passed over because they are labelled already, ``grid`` is points along the longer
    side, ``alone`` says that the model answers one click at a time; ``asked`` of ``points`` clicks were made, fewer
    where the person stopped.
    """

    objects: tuple[Proposal, ...]
    labelled: int
    left_out: int
    asked: int
    points: int
    grid: int
    alone: bool

    @property
    def complete(self) -> bool:
        return self.asked >= self.points


def find(
    studio: Studio,
    image: ImageRecord,
    model_id: str,
    options: Options | None = None,
    told: Told = lambda asked, points, found: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Found:
    """Return what a segmenter finds, saving nothing. Stops soon after ``cancelled()``, with what it has by then.

    It works in short turns, between which everybody's clicks are answered. Raises BadInput for a model without
    clicks or options that cannot be, and what loading a model raises.
    """
    options = options or Options()
    card = clickable(studio, model_id)
    _check(options)
    told(0, 0, 0)
    alone = not studio.pool.run(card.id, lambda model: isinstance(model, BatchSegmenter), turn=None)
    grid = options.grid or default_grid(studio, alone)
    views = look_at(image.width, image.height, crops=options.crops)
    plan = [(view, points_of(view, grid if view.level == 0 else crop_grid(grid))) for view in views]
    sieve = Sieve(
        image.height,
        image.width,
        () if options.again else studio.store.annotations(image.id),
        smallest=options.smallest,
        largest=options.largest,
        same=options.same,
        agreement=options.stable * AGREEMENT if alone else 0.0,
    )
    asked, total = 0, sum(len(points) for _, points in plan)
    asker = _Asker(studio, card, options)
    pixels = cache(lambda: images.decode(studio.store.original_path(image), image.name))
    for view, points in plan:
        if cancelled():
            break
        if view.level == 0:
            embedding = segment.embedding(studio, image, card, Turn.BATCH)
        else:
            embedding = _embedded(studio, card, pixels(), view)
        while points and not cancelled():
            now, points = points[: asker.size], points[asker.size :]
            sieve.add(view, now, asker.ask(embedding, now))
            asked += len(now)
            told(asked, total, len(sieve.found()))
    if asked == total:
        asker.complain()
    objects = sieve.tidied() if options.tidy else sieve.found()
    best = sorted(objects, key=lambda p: p.score, reverse=True)[:MOST_OBJECTS]
    kept = sorted(best, key=lambda p: p.mask.area, reverse=True)
    return Found(tuple(kept), sieve.labelled, len(objects) - len(kept), asked, total, grid, alone)


def save(
    studio: Studio,
    image: ImageRecord,
    person: str,
    model_id: str,
    objects: Sequence[Proposal],
    class_name: str,
    *,
    again: bool = False,
) -> Applied:
    """Save objects as drafts, in one step that one undo takes back.

    What was labelled in the meantime is not put there twice, unless ``again``. Raises BadInput where nothing is left.
    """
    card, name = studio.registry.card(model_id), check_class_name(class_name)
    if not again:
        labelled = Labelled(studio.store.annotations(image.id), image.height, image.width)
        known = labelled.among([p.mask for p in objects])
        objects = [p for p, there in zip(objects, known, strict=True) if there is None]
    if not objects:
        raise BadInput("There is nothing new to save: all of it is labelled already.")
    drafts = [
        Annotation(
            name,
            proposal.mask,
            source="model",
            draft=True,
            model=card.id,
            model_version=card.version,
            score=float(proposal.score),
            created_by=person,
        )
        for proposal in objects
    ]
    return studio.store.apply(image.id, person, [Change(draft) for draft in drafts], verb=VERB)


# ---- where to click -----------------------------------------------------------------------------


def clickable(studio: Studio, model_id: str) -> Card:
    """Return the card of a segmenter that takes clicks. Raises BadInput that names one for any other."""
    card = studio.registry.card(model_id)
    if "segmenter" in card.roles and "point" in card.prompts:
        return card
    others = [c.title for c in studio.registry.cards("segmenter") if "point" in c.prompts]
    instead = f"Choose one that does, like {others[0]}." if others else "No model here does; see Models."
    raise BadInput(f"{card.title} takes no clicks, which finding everything is made of. {instead}")


def default_grid(studio: Studio, alone: bool) -> int:
    """Return how many points along the longer side are worth their time here."""
    if alone:
        return 12
    return 16 if studio.pool.device.name == "cpu" else 32


def crop_grid(grid: int) -> int:
    return max(2, round(grid * CROP_GRID))


def look_at(width: int, height: int, *, crops: bool) -> list[View]:
    """Return the whole image, and with ``crops`` its four overlapping quarters where they are large enough."""
    views = [View(0, 0, width, height)]
    across, down = int(np.ceil(QUARTER * width)), int(np.ceil(QUARTER * height))
    if crops and min(across, down) >= SMALLEST_CROP:
        views += [
            View(x, y, x + across, y + down, level=1) for y in (0, height - down) for x in (0, width - across)
        ]
    return views


def points_of(view: View, grid: int) -> list[Point]:
    """Return a square lattice of clicks in a view's pixels, ``grid`` of them along its longer side.

    They come scattered, so that who stops early has something from everywhere.
    """
    longer = max(view.width, view.height)
    columns, rows = (max(1, round(grid * side / longer)) for side in (view.width, view.height))
    points = [
        Point((column + 0.5) * view.width / columns, (row + 0.5) * view.height / rows)
        for row in range(rows)
        for column in range(columns)
    ]
    order = np.random.default_rng(0).permutation(len(points))
    return [points[i] for i in order]


def _check(options: Options) -> None:
    if options.grid is not None and not 1 <= options.grid <= MOST_POINTS:
        raise BadInput(f"Choose between 1 and {MOST_POINTS} points a side; got {options.grid}.")
    for name in ("smallest", "largest", "sure", "stable", "same"):
        value = getattr(options, name)
        if not 0 <= value <= 1:
            raise BadInput(f"“{name}” must lie between 0 and 1; got {value:g}.")
    if options.smallest >= options.largest:
        raise BadInput(
            f"The smallest size ({options.smallest:.2%} of the image) must be below the largest "
            f"({options.largest:.2%}), or nothing fits between."
        )


# ---- asking -------------------------------------------------------------------------------------


def _embedded(studio: Studio, card: Card, pixels: np.ndarray, view: View) -> Embedding:
    """Return what the model's encoder makes of a part of an image; nobody keeps it."""
    crop = np.ascontiguousarray(pixels[view.y0 : view.y1, view.x0 : view.x1])
    beside = studio.pool.device.name == "cpu"  # seconds, too long for one turn; see segment.embedding
    return studio.pool.run(card.id, lambda model: model.embed(crop), turn=None if beside else Turn.BATCH)


class _Asker:
    """Asks a model about points, as many at once as fit into a short turn; ``size`` is how many come next."""

    def __init__(self, studio: Studio, card: Card, options: Options) -> None:
        self._studio, self._card, self._options = studio, card, options
        self.size = 4
        self._most = MOST_AT_ONCE
        self._answered = False
        self._refusal: BadInput | None = None

    def ask(self, embedding: Embedding, points: Sequence[Point]) -> list[list[Candidate]]:
        """Return for each point the candidates that reach the marks. Raises OutOfMemory where not even one fits."""
        prompts = [Prompt(points=(point,)) for point in points]
        try:
            found, seconds = self._studio.pool.run(
                self._card.id, lambda model: self._timed(model, embedding, prompts), turn=Turn.BATCH
            )
        except OutOfMemory:
            if len(points) == 1:
                raise
            self.size = self._most = max(1, len(points) // 4)
            return [
                answer
                for start in range(0, len(points), self.size)
                for answer in self.ask(embedding, points[start : start + self.size])
            ]
        pace = min(max(TURN_SECONDS / max(seconds, 1e-6), 0.5), 2.0)
        self.size = min(max(1, int(len(points) * pace)), self._most)
        return [[c for c in answer if self._reaches(c)] for answer in found]

    def complain(self) -> None:
        """Raise what the model said where it refused each and every point."""
        if self._refusal is not None and not self._answered:
            raise self._refusal

    def _timed(
        self, model: object, embedding: Embedding, prompts: Sequence[Prompt]
    ) -> tuple[list[list[Candidate]], float]:
        started = time.perf_counter()
        if isinstance(model, BatchSegmenter):
            marks = {"floor": self._options.sure, "steady": self._options.stable}
            answers = model.segment_many(embedding, prompts, **marks)
            self._answered = True
        else:
            answers = [self._one(model, embedding, prompt) for prompt in prompts]
        return answers, time.perf_counter() - started

    def _one(self, model: object, embedding: Embedding, prompt: Prompt) -> list[Candidate]:
        try:
            answer = model.segment(embedding, prompt)
        except BadInput as error:  # nothing to be found at this point
            self._refusal = error
            return []
        self._answered = True
        return answer[
            :1
        ]  # the others are guesses at what was meant, and nothing here tells good ones from bad

    def _reaches(self, candidate: Candidate) -> bool:
        steady = candidate.stability is None or candidate.stability >= self._options.stable
        return candidate.score >= self._options.sure and steady
