"""Still lifes drawn by a program, with exact truth: every outline, alpha and keypoint is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np

from studio.annotations import Box, Keypoints
from studio.errors import BadInput
from studio.scenes.bodies import Body
from studio.scenes.grounds import GROUNDS
from studio.scenes.kinds import COLOURS, DRAW, HALF_LENGTH, HALF_WIDTH
from studio.scenes.light import STYLES, Light, draw_light, falloff, photograph, shade, shadow
from studio.scenes.words import CLASSES, Question, caption, phrase, questions

KEYPOINTS = ("stem", "tip")
MARGIN = 1.14  # half-lengths from the middle of a thing to where nothing of it is
TRIES = 60
LEAST_VISIBLE = 0.55
FINE = ("feather",)  # what has parts finer than a pixel
FINER = 2  # times as fine is it drawn
ROUGH = 60  # the shorter side of the small picture on which places are tried


@dataclass(frozen=True)
class Thing:
    """One thing in a scene. Arrays have the scene's height and width.

    ``mask`` is what can be seen of it and ``amodal`` all of it that lies within the picture. ``alpha`` is the
    share it has in each pixel, float32 0 to 1, what lies over it taken off. ``visible`` is the share of its
    whole area that can be seen. A keypoint is 0 where the thing has none or it lies outside, 1 hidden, 2 seen.
    """

    name: str
    colour: str
    box: Box
    mask: np.ndarray
    amodal: np.ndarray
    alpha: np.ndarray
    keypoints: Keypoints
    visible: float

    @property
    def phrase(self) -> str:
        return phrase(self.name, self.colour)


@dataclass(frozen=True)
class Scene:
    """A picture, uint8 RGB of shape (height, width, 3), and the things in it from back to front."""

    seed: int
    image: np.ndarray
    things: tuple[Thing, ...]
    background: str

    @property
    def caption(self) -> str:
        return caption([(t.name, t.colour) for t in self.things], GROUNDS[self.background][1])

    def questions(self) -> tuple[Question, ...]:
        return questions([(t.name, t.colour) for t in self.things], np.random.default_rng((self.seed, 2)))


@dataclass
class _Plan:
    """A thing chosen but not yet drawn: where it lies (pixels), how large and how far turned."""

    name: str
    colour: str
    seed: int
    scale: float
    turned: float
    x: float = 0.0
    y: float = 0.0
    rough: np.ndarray | None = field(default=None, repr=False)  # what can be seen of it, on the small picture
    area: float = 0.0  # of all of it, on the small picture


def still_life(
    seed: int,
    width: int = 640,
    height: int = 480,
    *,
    count: int | None = None,
    classes: Sequence[str] = CLASSES,
    weights: Mapping[str, float] | None = None,
    style: str = "daylight",
    background: str | None = None,
    size: float = 1.0,
) -> Scene:
    """Draw a scene; the same arguments give the same picture.

    ``count`` is how many things are tried (by default 2 to 9, where they find room), ``classes`` what they
    are drawn from, ``weights`` how often each, 1 where not said; ``size`` scales them. Raises BadInput for a
    picture under 32 pixels, and for an unknown class, style or background.
    """
    _check(width, height, classes, style, background)
    rng = np.random.default_rng((seed, 1))
    how = STYLES[style]
    light = draw_light(rng, how)
    chosen = str(rng.choice(list(GROUNDS))) if background is None else background
    wanted = int(rng.integers(2, 10)) if count is None else count
    plans = _place(
        _choose(rng, wanted, classes, weights or {}, min(width, height) * size), width, height, rng
    )
    unit = np.float32(1 / min(width, height))
    x, y = np.meshgrid(np.arange(width, dtype=np.float32) * unit, np.arange(height, dtype=np.float32) * unit)
    ground_rng = np.random.default_rng((seed, 3))
    canvas = GROUNDS[chosen][0](x, y, ground_rng).astype(np.float32)
    canvas *= falloff(x, y, light, ground_rng)[..., None] * np.asarray(light.colour, np.float32) ** 0.5
    drawn = [_draw(plan, canvas, light) for plan in plans]
    return Scene(seed, photograph(canvas, light, how, rng), _truth(plans, drawn, width, height), chosen)


def _check(width: int, height: int, classes: Sequence[str], style: str, background: str | None) -> None:
    if min(width, height) < 32:
        raise BadInput(f"A scene is at least 32 pixels wide and high; {width} × {height} was asked for.")
    for what, value, known in (
        *(("class", name, CLASSES) for name in classes),
        ("style", style, STYLES),
        ("background", background or "paper", GROUNDS),
    ):
        if value not in known:
            raise BadInput(f"There is no {what} “{value}” in the scenes. There are: {', '.join(known)}.")
    if not classes:
        raise BadInput("A scene needs at least one class to draw from.")


def _choose(
    rng: np.random.Generator, count: int, classes: Sequence[str], weights: Mapping[str, float], side: float
) -> list[_Plan]:
    chances = np.array([weights.get(name, 1.0) for name in classes], np.float64)
    chances /= chances.sum()
    nearness = {1: 1.35, 2: 1.28, 3: 1.2, 4: 1.12, 5: 1.05, 6: 1.0, 7: 0.96}.get(count, 0.92)
    plans: list[_Plan] = []
    for _ in range(count):
        again = plans and rng.random() < 0.3  # things come in groups, as in a kitchen
        if again:
            name = plans[int(rng.integers(len(plans)))].name
        else:
            name = str(classes[int(rng.choice(len(classes), p=chances))])
        colour = str(rng.choice(COLOURS[name]))
        scale = rng.uniform(*HALF_LENGTH[name]) * nearness * side
        plans.append(
            _Plan(name, colour, int(rng.integers(2**31)), float(scale), float(rng.uniform(-3.14, 3.14)))
        )
    # Tall things lie under nothing: flat ones first.
    flat = {"leaf": 0, "feather": 1, "spoon": 1}
    return sorted(plans, key=lambda plan: flat.get(plan.name, 2) + rng.uniform(-0.8, 0.8))


def _place(plans: list[_Plan], width: int, height: int, rng: np.random.Generator) -> list[_Plan]:
    """Find each a place where all keep enough in sight; one that finds none is left out."""
    smaller = min(width, height) / ROUGH
    low_w, low_h = round(width / smaller), round(height / smaller)
    placed: list[_Plan] = []
    for plan in plans:
        best: tuple[float, float, float, np.ndarray, float] | None = None
        touching = rng.uniform(0.02, 0.35) if rng.random() < 0.4 else 0.0  # some are to cover others in part
        for _ in range(TRIES):
            x, y = rng.uniform(0.02, 0.98) * width, rng.uniform(0.02, 0.98) * height
            plan.x, plan.y = float(x), float(y)
            rough, whole = _rough(plan, low_w, low_h, smaller)
            inside = rough.sum() / max(whole, 1)
            if inside < 0.6 or rough.sum() < 4:
                continue
            if not all((other.rough & ~rough).sum() >= LEAST_VISIBLE * other.area for other in placed):
                continue
            covered = max((float((rough & o.rough).sum()) for o in placed), default=0.0) / max(rough.sum(), 1)
            cost = abs(covered - touching) * 3.0 + 1.5 * (1 - inside) + 0.05 * float(rng.random())
            if best is None or cost < best[0]:
                best = (cost, float(x), float(y), rough, whole)
            if cost < 0.06:
                break
        if best is None:
            continue
        _, plan.x, plan.y, plan.rough, plan.area = best
        for other in placed:
            other.rough = other.rough & ~plan.rough
        placed.append(plan)
    if not placed and plans:  # an odd size or scale: the first lies in the middle, whatever can be seen of it
        plans[0].x, plans[0].y = width / 2, height / 2
        placed = plans[:1]
    return placed


def _rough(plan: _Plan, width: int, height: int, smaller: float) -> tuple[np.ndarray, float]:
    """Return the outline on the small picture, and its area had it lain wholly inside."""
    left, top, across, down = _extent(
        replace(plan, x=plan.x / smaller, y=plan.y / smaller, scale=plan.scale / smaller)
    )
    ys, xs = np.mgrid[top : top + down, left : left + across].astype(np.float32)
    solid = _body(plan, (xs + 0.5) * np.float32(smaller), (ys + 0.5) * np.float32(smaller)).edge > 0
    picture = np.zeros((height, width), bool)
    place, part = _overlap(left, top, solid.shape, picture.shape)
    picture[place] = solid[part]
    return picture, float(solid.sum())


def _body(plan: _Plan, xs: np.ndarray, ys: np.ndarray) -> Body:
    cos, sin = np.float32(np.cos(plan.turned)), np.float32(np.sin(plan.turned))
    dx, dy = (
        (xs - np.float32(plan.x)) / np.float32(plan.scale),
        (ys - np.float32(plan.y)) / np.float32(plan.scale),
    )
    return DRAW[plan.name](
        dx * cos + dy * sin, dy * cos - dx * sin, np.random.default_rng(plan.seed), plan.colour
    )


@dataclass
class _Drawn:
    """A thing's cover on its square, and where that lies; keypoints in pixels of the picture."""

    cover: np.ndarray
    left: int
    top: int
    points: tuple[tuple[float, float] | None, ...]
    fine: bool


def _draw(plan: _Plan, canvas: np.ndarray, light: Light) -> _Drawn:
    """Draw a thing over the canvas, shadow first, and return what it covers."""
    left, top, across, down = _extent(plan)
    finer = FINER if plan.name in FINE else 1
    ys, xs = np.mgrid[: down * finer, : across * finer].astype(np.float32)
    body = _body(plan, left + (xs + 0.5) / finer, top + (ys + 0.5) / finer)
    if body.cover is None:
        cover = np.clip(body.edge * plan.scale / 1.2 + 0.5, 0, 1).astype(np.float32)
    else:
        cover = np.clip(body.cover, 0, 1).astype(np.float32)
    seen = shade(body, light, plan.scale * finer).astype(np.float32)
    if finer > 1:
        seen, cover = _coarser(seen, cover, (across, down))
    room = int(plan.scale * (0.12 + 0.45 * body.thickness)) + 4  # for the shadow around it
    dark = shadow(np.pad(cover, room), light, plan.scale, body.thickness)[..., None]
    place, part = _overlap(left - room, top - room, dark.shape[:2], canvas.shape[:2])
    canvas[place] *= 1 - dark[part]
    place, part = _overlap(left, top, cover.shape, canvas.shape[:2])
    canvas[place] += (seen[part] - canvas[place]) * cover[part][..., None]
    cos, sin = np.cos(plan.turned), np.sin(plan.turned)
    points = tuple(
        None
        if p is None
        else (
            plan.x + plan.scale * (p[0] * cos - p[1] * sin),
            plan.y + plan.scale * (p[0] * sin + p[1] * cos),
        )
        for p in (body.stem, body.tip)
    )
    return _Drawn(cover, left, top, points, plan.name in FINE)


def _extent(plan: _Plan) -> tuple[int, int, int, int]:
    """Return left, top, width and height in pixels of the upright box that holds a thing as it lies turned."""
    wide, long = (HALF_WIDTH[plan.name] + 0.06) * plan.scale, MARGIN * plan.scale
    cos, sin = abs(np.cos(plan.turned)), abs(np.sin(plan.turned))
    half_x, half_y = wide * cos + long * sin, wide * sin + long * cos
    left, top = int(np.floor(plan.x - half_x)), int(np.floor(plan.y - half_y))
    return left, top, int(np.ceil(2 * half_x)) + 2, int(np.ceil(2 * half_y)) + 2


def _overlap(left: int, top: int, size: tuple[int, int], picture: tuple[int, int]) -> tuple[Any, Any]:
    """Return where a patch of (height, width) at (left, top) lies on the picture, and which part of it does."""
    x0, y0 = min(max(left, 0), picture[1]), min(max(top, 0), picture[0])
    x1, y1 = max(min(left + size[1], picture[1]), x0), max(min(top + size[0], picture[0]), y0)
    return np.s_[y0:y1, x0:x1], np.s_[y0 - top : y1 - top, x0 - left : x1 - left]


def _coarser(seen: np.ndarray, cover: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return colours and cover on the picture's own pixels; hairs finer than one then cover a part of it."""
    weighted = cv2.resize(seen * cover[..., None], size, interpolation=cv2.INTER_AREA)
    plain = cv2.resize(seen, size, interpolation=cv2.INTER_AREA)
    share = cv2.resize(cover, size, interpolation=cv2.INTER_AREA)
    own = weighted / np.maximum(share, 1e-3)[..., None]
    return np.where(share[..., None] > 1e-2, own, plain), share


def _truth(plans: list[_Plan], drawn: list[_Drawn], width: int, height: int) -> tuple[Thing, ...]:
    """Return the things with what can be seen of each, from the covers of all."""
    things: list[Thing] = []
    over = np.ones((height, width), np.float32)  # the share that lets through what lies below
    taken = np.zeros((height, width), bool)
    for plan, made in reversed(list(zip(plans, drawn, strict=True))):
        place, part = _overlap(made.left, made.top, made.cover.shape, (height, width))
        whole = np.zeros((height, width), np.float32)
        whole[place] = made.cover[part]
        alpha = whole * over
        solid = _solid(made.cover) if made.fine else made.cover > 0.5
        amodal = np.zeros((height, width), bool)
        amodal[place] = solid[part]
        mask = amodal & ~taken
        over = over * (1 - whole)
        taken |= amodal
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        if not rows.size:
            continue
        box = Box(columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
        points = tuple(_keypoint(p, mask, amodal) for p in made.points)
        visible = float(mask.sum() / max(solid.sum(), 1))
        things.append(Thing(plan.name, plan.colour, box, mask, amodal, alpha, Keypoints(points), visible))
    return tuple(reversed(things))


def _solid(cover: np.ndarray) -> np.ndarray:
    """Return the mask a person would draw around something frayed: closed over its gaps, hairs left out."""
    return cv2.GaussianBlur(cover, (0, 0), 2.0) > 0.45


def _keypoint(
    point: tuple[float, float] | None, mask: np.ndarray, amodal: np.ndarray
) -> tuple[float, float, int]:
    height, width = mask.shape
    if point is None or not (0 <= point[0] < width and 0 <= point[1] < height):
        return 0.0, 0.0, 0
    x, y = int(point[0]), int(point[1])
    near = np.s_[max(y - 3, 0) : y + 4, max(x - 3, 0) : x + 4]
    seen = mask[near].sum() >= 0.5 * max(amodal[near].sum(), 1)
    return float(point[0]), float(point[1]), 2 if seen else 1
