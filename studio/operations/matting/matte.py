"""One image: the trimap of an object, its matte, and what a brush does to that. A matte is saved when it is made."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import cv2
import numpy as np

from studio.adapters import Card, SteadyMatter
from studio.annotations import Alpha, Annotation, Mask, Prompt
from studio.errors import BadInput, Cancelled
from studio.gate import Turn
from studio.geometry import shape_mask
from studio.operations.label import check_class_name
from studio.operations.matting import salient
from studio.operations.matting.looking import edge_of, picture_of, see_through
from studio.operations.matting.stored import Bits, alpha_named, alpha_of, kept, models_of, trimap_stored
from studio.operations.matting.trimaps import (
    ADAPTED,
    BACKGROUND,
    FOREGROUND,
    UNKNOWN,
    Band,
    Stroke,
    check_mask,
    painted,
    trimap_of,
)
from studio.operations.predict import Recipe, options_of
from studio.project import Change, ImageRecord
from studio.studio import Studio

VERB, ALONE_VERB, REFINE_VERB = "matte", "matte alone", "refine matte"
_SURE = 0.02  # an alpha this near to 0 or 1 is sure, where a model gave it without a trimap
_ROOM = 3  # pixels of unknown that are left around what is not sure

_CANNOT = {
    "matter": "makes no matte from a trimap",
    "cutter": "makes no matte from nothing but the image",
    "segmenter": "answers no clicks",
    "text-detector": "reads no words",
}

Told = Callable[[float], None]
Asked = Callable[[], bool]


@dataclass(frozen=True)
class Matted:
    """A matte as it was saved. ``notes`` are sentences for the person, ``conflicts`` what somebody else changed."""

    annotation: Annotation
    version: int
    conflicts: tuple[str, ...]
    seconds: float
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Touch:
    """Pixels painted in an alpha: it moves towards ``to`` by ``strength``, both 0 to 1.

    ``softness`` is how many pixels the stroke takes to fade in from its edge.
    """

    mask: Mask
    to: float
    strength: float = 1.0
    softness: float = 0.0

    def __post_init__(self) -> None:
        if not (0 <= self.to <= 1 and 0 <= self.strength <= 1 and 0 <= self.softness <= 500):
            raise BadInput("A stroke moves an alpha towards 0 to 1, by 0 to 1, over 0 to 500 pixels.")


def trimap(
    studio: Studio,
    image: ImageRecord,
    annotation_id: str,
    band: Band = ADAPTED,
    strokes: Sequence[Stroke] = (),
    *,
    kept: bool = False,
) -> np.ndarray:
    """Return the trimap of an object, uint8 (h, w): from its mask, polygon or box, of an alpha from where it is a half.

    With ``kept`` an alpha's own trimap is what the strokes are painted into. Raises BadInput where the object has no
    area, or is everything, and NeedsDownload where what is to find see-through things is not here.
    """
    before = _object(studio, image, annotation_id)
    return _trimap(studio, image, before, None, band, strokes, kept)[0]


def matte(
    studio: Studio,
    image: ImageRecord,
    person: str,
    matter_id: str,
    *,
    annotation_id: str,
    revision: int,
    band: Band = ADAPTED,
    strokes: Sequence[Stroke] = (),
    kept: bool = False,
    options: Mapping[str, Any] | None = None,
    beside: bool = False,
    bits: Bits = 8,
    told: Told = lambda share: None,
    cancelled: Asked = lambda: False,
) -> Matted:
    """Make the matte of an object and save it in the object's place, as one step of history.

    With ``beside`` the object stays as it is, and the matte is one more. ``told`` is given the share that is done.
    Raises Cancelled where ``cancelled`` says so, before anything is saved; BadInput as ``trimap`` does and where the
    model cannot work on this trimap; NeedsDownload.
    """
    card = checked(studio, matter_id, "matter")
    before = _object(studio, image, annotation_id)
    started = time.perf_counter()
    pixels = picture_of(studio, image)
    levels, notes = _trimap(studio, image, before, pixels, band, strokes, kept)
    told(0.05)
    alpha = matted(studio, card, pixels, levels, options, lambda s: told(0.05 + 0.9 * s), cancelled)
    told(0.95)
    if cancelled():
        raise Cancelled("Stopped. The object is as it was.")
    made = replace(before, id=new_id(), revision=0) if beside else replace(before, revision=revision)
    model, version = models_of(studio, before, card)
    made = replace(made, model=model, model_version=version, score=None)
    return _saved(studio, image, person, made, alpha, levels, bits, VERB, started, notes)


def alone(
    studio: Studio,
    image: ImageRecord,
    person: str,
    cutter_id: str = "",
    *,
    class_name: str,
    options: Mapping[str, Any] | None = None,
    bits: Bits = 8,
    told: Told = lambda share: None,
    cancelled: Asked = lambda: False,
) -> Matted:
    """Cut out what stands out in an image, without a prompt, and save it as a draft.

    Without a ``cutter_id`` nothing is downloaded: the segmenter's most salient proposal is matted, which is a guess.
    Raises BadInput where nothing stands out.
    """
    class_name = check_class_name(class_name)
    started = time.perf_counter()
    pixels = picture_of(studio, image)
    draft, levels, alpha, notes = stand_out(
        studio, image.project_id, pixels, cutter_id, options, told=told, cancelled=cancelled
    )
    if cancelled():
        raise Cancelled("Stopped. Nothing was saved.")
    made = replace(draft, class_name=class_name)
    return _saved(studio, image, person, made, alpha, levels, bits, ALONE_VERB, started, notes)


def refine(
    studio: Studio,
    image: ImageRecord,
    person: str,
    *,
    annotation_id: str,
    revision: int,
    touches: Sequence[Touch],
) -> Matted:
    """Paint in an object's alpha. Only pixels that its trimap leaves unknown change, whatever else is painted over."""
    started = time.perf_counter()
    before, shape = alpha_named(studio, image, annotation_id)
    alpha = alpha_of(studio, image, shape)
    levels = trimap_stored(studio, image, shape)
    if levels is None:
        levels = around(alpha)
    band = (levels != BACKGROUND) & (levels != FOREGROUND)
    changed = alpha.copy()
    for touch in touches:
        if (touch.mask.height, touch.mask.width) != alpha.shape:
            raise BadInput(
                f"A stroke is painted on {touch.mask.width} × {touch.mask.height} pixels, but the matte has "
                f"{alpha.shape[1]} × {alpha.shape[0]}."
            )
        weight = _weight(touch)
        changed[band] += (weight * (touch.to - changed))[band]
    notes = (
        []
        if (changed != alpha).any()
        else ["Nothing was painted inside of the band, so nothing has changed."]
    )
    # From now on it is a person's, which no job replaces.
    made = replace(before, revision=revision, source="person")
    bits = _bits_of(studio, image, shape)
    return _saved(studio, image, person, made, changed, levels, bits, REFINE_VERB, started, notes)


# ---- what they are made of -------------------------------------------------------------------------


def checked(studio: Studio, model_id: str, role: str) -> Card:
    """Return a model's card. Raises BadInput where it has not got the role, NeedsDownload where it is not here."""
    card = studio.registry.card(model_id)
    if role not in card.roles:
        raise BadInput(f"{card.title} {_CANNOT[role]}. Choose another model.")
    if studio.hub.state(card) == "absent":
        raise studio.hub.absent(card, studio.registry.instead_of(card))
    return card


def matted(
    studio: Studio,
    card: Card,
    pixels: np.ndarray,
    levels: np.ndarray,
    options: Mapping[str, Any] | None = None,
    told: Told = lambda share: None,
    cancelled: Asked = lambda: False,
    turn: Turn = Turn.CLICK,
) -> np.ndarray:
    """Return a model's alpha, float32 (h, w), exactly 0 and 1 where the trimap is sure."""

    def work(model: Any) -> np.ndarray:
        if not isinstance(model, SteadyMatter):
            return model.matte(pixels, levels)
        for step in model.matte_in_steps(pixels, levels):
            if isinstance(step, np.ndarray):
                return step
            told(step)
            if cancelled():
                raise Cancelled("Stopped. The object is as it was.")
        raise RuntimeError(f"{card.id} ended without an alpha")

    alpha = studio.pool.run(card.id, work, turn=_turn(studio, turn), options=matter_options(card, options))
    alpha = np.clip(np.nan_to_num(alpha), 0, 1).astype(np.float32)
    alpha[levels == FOREGROUND], alpha[levels == BACKGROUND] = 1, 0
    return alpha


def stand_out(
    studio: Studio,
    project_id: str,
    pixels: np.ndarray,
    cutter_id: str = "",
    options: Mapping[str, Any] | None = None,
    *,
    told: Told = lambda share: None,
    cancelled: Asked = lambda: False,
    turn: Turn = Turn.CLICK,
    mask_only: bool = False,
) -> tuple[Annotation, np.ndarray, np.ndarray, list[str]]:
    """Return what stands out in an image, as ``alone`` has it: a draft with its mask, trimap, alpha, and notes.

    With ``mask_only`` trimap and alpha may be no more than the mask.
    """
    if cutter_id:
        card = checked(studio, cutter_id, "cutter")
        alpha = studio.pool.run(
            card.id,
            lambda model: model.cut(pixels),
            turn=_turn(studio, turn),
            options=matter_options(card, options),
        )
        told(0.9)
        alpha = np.clip(np.nan_to_num(alpha), 0, 1).astype(np.float32)
        mask = Mask.from_array(alpha >= 0.5)
        if not mask.area:
            raise BadInput(f"{card.title} finds nothing that stands out here. Click the object instead.")
        return _draft(mask, None, card.id, card.version), around(alpha), alpha, []
    segmenter = studio.default_model("segmenter", project_id)
    matter = studio.default_model("matter", project_id)
    for card in (segmenter, matter):
        checked(studio, card.id, card.roles[0])
    mask, prompt = studio.pool.run(
        segmenter.id, partial(salient.most_salient, pixels=pixels), turn=_turn(studio, turn)
    )
    told(0.3)
    levels = trimap_of(pixels, mask.to_array())
    alpha = (
        mask.to_array().astype(np.float32)
        if mask_only
        else matted(studio, matter, pixels, levels, None, lambda s: told(0.3 + 0.65 * s), cancelled, turn)
    )
    model, version = f"{segmenter.id}+{matter.id}", f"{segmenter.version}+{matter.version}"
    note = (
        f"What stands out was guessed by {segmenter.title} from colours and edges. A downloaded model for this "
        "knows people and things."
    )
    return _draft(mask, prompt, model, version), levels, alpha, [note]


def around(alpha: np.ndarray) -> np.ndarray:
    """Return the trimap that an alpha implies which was made without one: unknown where it is between, and nearby."""
    between = ((alpha > _SURE) & (alpha < 1 - _SURE)).astype(np.uint8)
    edge = (alpha >= 0.5).astype(np.uint8)
    between |= cv2.morphologyEx(edge, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    room = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * _ROOM + 1, 2 * _ROOM + 1))
    unsure = cv2.dilate(between, room) > 0
    return np.where(unsure, UNKNOWN, np.where(alpha >= 0.5, FOREGROUND, BACKGROUND)).astype(np.uint8)


def new_id() -> str:
    """Return an id for one more annotation."""
    return uuid.uuid4().hex


def _object(studio: Studio, image: ImageRecord, annotation_id: str) -> Annotation:
    found = studio.store.annotation(image.id, annotation_id)
    if found is None:
        raise BadInput("The object is not on this image any more. Choose another one, or undo.")
    return found


def _trimap(
    studio: Studio,
    image: ImageRecord,
    before: Annotation,
    pixels: np.ndarray | None,
    band: Band,
    strokes: Sequence[Stroke],
    kept: bool,
) -> tuple[np.ndarray, list[str]]:
    """Return the trimap and what there is to say about it."""
    notes: list[str] = []
    levels = trimap_stored(studio, image, before.shape) if kept and isinstance(before.shape, Alpha) else None
    if levels is None:
        outline = shape_mask(before.shape, image.height, image.width)
        mask = outline.to_array()
        check_mask(mask, (image.height, image.width))
        if pixels is None:
            pixels = picture_of(studio, image)
        through = see_through(studio, image, pixels, band, _turn(studio, Turn.CLICK))
        if through is not None and not (through & mask).any():
            words = ", ".join(band.see_through)
            notes.append(f"Nothing see-through ({words}) was found on the object.")
        edge = edge_of(studio, image, pixels, outline) if band.pixels is None else None
        levels = trimap_of(pixels, mask, band, through, edge)
    return painted(levels, strokes), notes


def _saved(
    studio: Studio,
    image: ImageRecord,
    person: str,
    made: Annotation,
    alpha: np.ndarray,
    levels: np.ndarray,
    bits: Bits,
    verb: str,
    started: float,
    notes: Sequence[str],
) -> Matted:
    given = kept(alpha, levels, bits)
    change = Change(replace(made, shape=given.shape))
    applied = studio.store.apply(image.id, person, [change], verb=verb, files=given.files)
    seconds = time.perf_counter() - started
    return Matted(applied.put[0], applied.version, applied.conflicts, seconds, tuple(notes))


def _draft(mask: Mask, prompt: Prompt | None, model: str, version: str) -> Annotation:
    return Annotation(
        "object", mask, source="model", draft=True, model=model, model_version=version, prompt=prompt
    )


def _weight(touch: Touch) -> np.ndarray:
    """Return how much a stroke counts at each pixel, float32 (h, w)."""
    inside = touch.mask.to_array()
    if not touch.softness:
        return inside.astype(np.float32) * touch.strength
    depth = cv2.distanceTransform(inside.view(np.uint8), cv2.DIST_L2, 5)
    return np.minimum(1, depth / touch.softness) * touch.strength


def _bits_of(studio: Studio, image: ImageRecord, shape: Alpha) -> Bits:
    from studio.formats.pngs import png_size

    size = png_size(studio.store.alpha_path(image.id, shape.digest))
    return 16 if size is not None and size[2].startswith("I") else 8


def _turn(studio: Studio, turn: Turn) -> Turn | None:
    # On a processor a matte takes seconds, too long for one turn, and there a click may well go on beside it.
    return None if studio.pool.device.name == "cpu" else turn


def matter_options(card: Card, options: Mapping[str, Any] | None) -> Any:
    """Return a model's options with these values. Raises BadInput for one it does not have, or out of range."""
    return options_of(card, Recipe((card.id,), options={card.id: dict(options or {})}))
