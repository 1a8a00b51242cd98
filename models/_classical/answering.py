"""From a prompt to masks: start from the first click, the box or a given mask, then correct by clicks."""

from __future__ import annotations

import hashlib

import numpy as np

from models._classical import boxes, corrections, proposals, ranking, refinement, weights
from models._classical.scene import Scene, Spot, State, View, Views, resized
from studio.adapters import Candidate
from studio.annotations import Box, Mask, Point, Prompt
from studio.errors import BadInput

ALTERNATIVES = 3
ALIKE = 0.75  # IoU from which two candidates are not worth showing both
FREE = 2.0  # logit of the mask's pixels
LOGITS_AREA = 800_000


def answer(scene: Scene, views: Views, prompt: Prompt, previous: np.ndarray | None) -> list[Candidate]:
    """Return candidates, best first. Raises BadInput for a prompt that does not fit the image."""
    check(scene, prompt)
    states, points, key = _start(scene, views, prompt, previous)
    for point in points:
        key = (key, point)
        if previous is not None or (found := scene.recall(key)) is None:
            found = (_corrected(scene, views, states[0], point),)
            if previous is None:
                scene.remember(key, found)
        states = found
    return [_candidate(scene, prompt, state) for state in states]


def check(scene: Scene, prompt: Prompt) -> None:
    size = f"{scene.width} × {scene.height} pixels"
    if prompt.box is None and prompt.mask is None and not prompt.points:
        words = " It does not read text." if prompt.text else ""
        raise BadInput(f"Click the object, or drag a box around it.{words}")
    if prompt.box is None and prompt.mask is None and not any(p.positive for p in prompt.points):
        raise BadInput("There is nothing to take away from yet. Click the object first.")
    for p in prompt.points:
        if not (0 <= p.x <= scene.width and 0 <= p.y <= scene.height):
            raise BadInput(f"A click at {p.x:g}, {p.y:g} lies outside the image of {size}.")
    if prompt.box is not None and prompt.box.clipped(scene.width, scene.height).area <= 0:
        corners = ", ".join(f"{v:g}" for v in prompt.box.xyxy)
        raise BadInput(f"The box {corners} covers nothing of the image of {size}.")
    if prompt.mask is not None and (prompt.mask.height, prompt.mask.width) != (scene.height, scene.width):
        given = f"{prompt.mask.width} × {prompt.mask.height} pixels"
        raise BadInput(f"The mask to correct is {given}, the image {size}.")


def _start(scene: Scene, views: Views, prompt: Prompt, previous: np.ndarray | None):
    """The states before the clicks that are left to apply, those clicks, and what names this beginning."""
    size = scene.detail.shape[:2]
    if previous is not None and prompt.points and previous.ndim == 2 and previous.size:
        logits = resized(np.asarray(previous, np.float32), size)
        spots = tuple(_spot(scene, p) for p in prompt.points[:-1])
        return (State(Mask.from_array(logits > 0), spots, 0.5),), prompt.points[-1:], None
    if prompt.mask is not None:
        name = hashlib.sha256(prompt.mask.counts.tobytes()).digest()
        soft = resized(prompt.mask.to_array().astype(np.float32), size)
        return (State(Mask.from_array(soft > 0.5), (), 0.5),), prompt.points, name
    if prompt.box is not None:
        box = prompt.box.clipped(scene.width, scene.height)
        name, make, points = box.xyxy, lambda: _boxed(scene, views, box), prompt.points
    else:
        at = next(i for i, p in enumerate(prompt.points) if p.positive)
        first, points = prompt.points[at], prompt.points[:at] + prompt.points[at + 1 :]
        name, make = (first.x, first.y), lambda: _clicked(scene, first)
    if (states := scene.recall(name)) is None:
        states = make()
        scene.remember(name, states)
    return states, points, name


def _spot(scene: Scene, point: Point, radius: float = 0.0) -> Spot:
    high, wide = scene.detail.shape[:2]
    x, y = min(point.x * scene.scale, wide - 0.01), min(point.y * high / scene.height, high - 0.01)
    return x, y, radius, 1 if point.positive else -1


# ---- beginnings ---------------------------------------------------------------------------------


def click_proposals(view: View, x: float, y: float) -> tuple[np.ndarray, np.ndarray]:
    """Proposals (p, n) for a first click in a view's pixels, and their measures (p, f)."""
    regions = view.regions
    leaf = int(regions.labels[int(y), int(x)])
    kinds = (
        proposals.tree_nodes(regions, leaf),
        proposals.star_shapes(regions, view.pyramid, x, y),
        proposals.scaled_cuts(regions, x, y, leaf),
    )
    kind = np.repeat(np.arange(3), [len(k) for k in kinds])
    rows = np.stack([row for k in kinds for row in k])
    holds = rows[:, leaf]
    rows, kind = rows[holds], kind[holds]
    measures = ranking.measure(regions, rows, x, y)
    return rows, np.concatenate([measures, kind[:, None] == [[1, 2]], ranking.standing(measures)], 1)


def _clicked(scene: Scene, point: Point) -> tuple[State, ...]:
    spot = _spot(scene, point)
    view = scene.whole
    rows, measures = click_proposals(view, *view.inward(*spot[:2]))
    return _ranked(scene, view, rows, measures @ weights.CLICK, (spot,))


def box_view(scene: Scene, views: Views, box: Box) -> tuple[View, Box]:
    """The view in which a box (image pixels) is answered, and the box in its pixels."""
    high, wide = scene.detail.shape[:2]
    across, down = wide / scene.width, high / scene.height
    corners = (box.x0 * across, box.y0 * down, box.x1 * across, box.y1 * down)
    view = views.around(scene, corners, 0.35)
    return view, Box(*view.inward(*corners[:2]), *view.inward(*corners[2:]))


def _boxed(scene: Scene, views: Views, box: Box) -> tuple[State, ...]:
    view, inner = box_view(scene, views, box)
    rows = boxes.propose(view.regions, view.pyramid, inner)
    measures = boxes.measure(view.regions, rows, inner)
    return _ranked(scene, view, rows, measures @ weights.BOX, ())


def _ranked(
    scene: Scene, view: View, rows: np.ndarray, value: np.ndarray, spots: tuple[Spot, ...]
) -> tuple[State, ...]:
    """The best proposals that differ, best first, their scores falling with the value."""
    area = view.regions.area
    picked: list[int] = []
    for at in np.argsort(-value, kind="stable"):
        alike = [float(area[rows[at] & rows[p]].sum() / area[rows[at] | rows[p]].sum()) for p in picked]
        if all(a < ALIKE for a in alike):
            picked.append(int(at))
        if len(picked) == ALTERNATIVES:
            break
    states = []
    for at in picked:
        mask = np.zeros(scene.detail.shape[:2], bool)
        inside = rows[at][view.regions.labels]
        view.put(refinement.snap(inside, view.lab), mask, np.ones(view.size, bool))
        _fix(mask, spots)
        states.append(State(Mask.from_array(mask), spots, weights.certainty(value, at)))
    return tuple(states)


# ---- corrections --------------------------------------------------------------------------------


def correction_view(scene: Scene, views: Views, mask: Mask, spot: Spot) -> View:
    """A view that shows an object and a click with room for what the click may add."""
    box = mask.box or Box(spot[0], spot[1], spot[0], spot[1])
    around = (min(box.x0, spot[0]), min(box.y0, spot[1]), max(box.x1, spot[0]), max(box.y1, spot[1]))
    return views.around(scene, around, 0.5)


def correct(view: View, mask: np.ndarray, spots: tuple[Spot, ...], spot: Spot):
    """Proposals to correct a mask (view's size) at a new spot, or None where only pixels are wrong there."""
    regions = view.regions
    row = np.bincount(regions.labels[mask], minlength=regions.count) > 0.5 * regions.area
    kept = np.zeros(regions.count, bool)
    for x, y, _, sign in spots:
        x0, y0, x1, y1 = view.window
        if sign != spot[3] and x0 <= x < x1 and y0 <= y < y1:
            u, v = view.inward(x, y)
            kept[regions.labels[int(v), int(u)]] = True
    x, y = view.inward(*spot[:2])
    reach = _reach(mask, x, y)
    found = corrections.propose(regions, view.pyramid, row, x, y, spot[3] > 0, kept, reach)
    return found


def _corrected(scene: Scene, views: Views, state: State, point: Point) -> State:
    spot = _spot(scene, point)
    mask = state.pixels()
    if mask[int(spot[1]), int(spot[0])] == point.positive:
        return State(state.mask, (*state.spots, spot), state.score)
    view = correction_view(scene, views, state.mask, spot)
    before = view.shrunk(mask)
    found = correct(view, before, state.spots, spot)
    if found is None:
        spot = _spot(scene, point, min(_reach(mask, *spot[:2]), 12.0))
    else:
        vector = weights.ADD if point.positive else weights.TAKE
        part = found.parts[int((found.measures @ vector).argmax())][view.regions.labels]
        held = mask.copy()
        _apply(view, mask, before, part, point.positive)
    spots = (*state.spots, spot)
    _fix(mask, spots)
    if found is not None and not point.positive:
        mask = without_orphans(held, mask, spots, (int(spot[1]), int(spot[0])))
    return State(Mask.from_array(mask), spots, state.score)


def _apply(view: View, mask: np.ndarray, before: np.ndarray, part: np.ndarray, positive: bool) -> None:
    """Add a part to a detail mask or take it away, and snap the outline near it and nowhere else."""
    import cv2

    after = before | part if positive else before & ~part
    near = cv2.dilate(part.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    view.put(refinement.snap(after, view.lab), mask, near)


def _reach(mask: np.ndarray, x: float, y: float) -> float:
    """Distance of a point to the mask's outline, in pixels; to the picture's edge where there is none."""
    import cv2

    same = np.pad(mask == mask[int(y), int(x)], 1).astype(np.uint8)
    return float(cv2.distanceTransform(same, cv2.DIST_L2, 3)[int(y) + 1, int(x) + 1])


def without_orphans(before: np.ndarray, after: np.ndarray, spots: tuple[Spot, ...], at: tuple[int, int]):
    """Drop the scraps that taking a part away at ``at`` (row, column) has cut off from the object.

    Of the connected piece that was clicked, what holds a positive spot stays, else what is large.
    """
    import cv2

    _, old = cv2.connectedComponents(before.astype(np.uint8), connectivity=4)
    rest = after & (old == old[at])
    count, label, stats, _ = cv2.connectedComponentsWithStats(rest.astype(np.uint8), connectivity=4)
    if count <= 2:
        return after
    held = {int(label[int(v), int(u)]) for u, v, _, sign in spots if sign > 0} - {0}
    if not held:
        held = {k for k in range(1, count) if stats[k, 4] >= 0.2 * stats[1:, 4].max()}
    return after & ~(rest & ~np.isin(label, list(held)))


def _fix(mask: np.ndarray, spots: tuple[Spot, ...]) -> None:
    """Hold a mask to its clicks, the later ones counting more; changes it in place."""
    for x, y, radius, sign in spots:
        x0, y0 = max(int(x - radius), 0), max(int(y - radius), 0)
        part = mask[y0 : int(y + radius) + 1, x0 : int(x + radius) + 1]
        ys, xs = np.ogrid[y0 : y0 + part.shape[0], x0 : x0 + part.shape[1]]
        part[(xs - int(x)) ** 2 + (ys - int(y)) ** 2 <= radius**2] = sign > 0


# ---- answers ------------------------------------------------------------------------------------


def _candidate(scene: Scene, prompt: Prompt, state: State) -> Candidate:
    mask = state.pixels()
    if mask.shape == (scene.height, scene.width):
        full = mask
    else:
        full = resized(mask.astype(np.float32), (scene.height, scene.width)) > 0.5
        if prompt.mask is not None:
            full = _spliced(scene, prompt.mask.to_array(), mask, full)
    for p in prompt.points:
        full[min(int(p.y), scene.height - 1), min(int(p.x), scene.width - 1)] = p.positive
    logits = np.where(mask, FREE, -FREE).astype(np.float32)
    if logits.size > LOGITS_AREA:
        shrink = (LOGITS_AREA / logits.size) ** 0.5
        logits = resized(logits, tuple(max(1, round(n * shrink)) for n in logits.shape))
    return Candidate(Mask.from_array(full), min(max(state.score, 0.0), 1.0), logits)


def _spliced(scene: Scene, given: np.ndarray, mask: np.ndarray, full: np.ndarray) -> np.ndarray:
    """The given mask, but for where its reduced form was corrected: nothing else of it may move."""
    import cv2

    was = resized(given.astype(np.float32), mask.shape) > 0.5
    near = cv2.dilate((was != mask).astype(np.uint8), np.ones((5, 5), np.uint8))
    changed = cv2.resize(near, (scene.width, scene.height), interpolation=cv2.INTER_NEAREST) > 0
    return np.where(changed, full, given)
