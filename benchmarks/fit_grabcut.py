"""Fit the weights by which the no-download segmenter ranks its proposals, and print them.

Plays labelling sessions on the annotated sets: a first click or a box, then four corrections, half of the
sessions with jittered clicks, some following the present weights and some near the best proposal. Then
maximises the expected IoU of a softmax over the proposals, every set weighing the same, and prints what a set
loses when it is left out of the fit. ``--out FILE`` keeps the sessions. Needs torch, scipy and pycocotools.
"""

from __future__ import annotations

import pickle
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.clicks_quality import SETS, next_click, read_picture, sample, things
from benchmarks.common import parser
from models._classical import answering, boxes, refinement, weights
from models._classical.scene import Scene, View, Views, encode, resized
from studio.annotations import Box, Mask

STEPS = 4
OBJECTS = 60  # a set


@dataclass
class Choices:
    """For each choice among proposals: the set it is from, their measures (p, f) and their IoU (p,)."""

    sets: list[str] = field(default_factory=list)
    measures: list[np.ndarray] = field(default_factory=list)
    ious: list[np.ndarray] = field(default_factory=list)

    def add(self, name: str, measures: np.ndarray, ious: np.ndarray) -> None:
        self.sets.append(name)
        self.measures.append(measures)
        self.ious.append(ious)


def labelled(data: Path, seed: int) -> Iterator[tuple[str, np.ndarray, list[np.ndarray]]]:
    """Yield set, picture and masks: the instance sets, and connected regions of the label maps."""
    for name in SETS:
        if (data / f"inst_{name}").is_dir():
            by_picture = defaultdict(list)
            for thing in sample(things(data / f"inst_{name}"), OBJECTS, seed):
                by_picture[thing.picture].append(thing.mask())
            yield from ((name, read_picture(p), masks) for p, masks in by_picture.items())
    rng = np.random.default_rng(seed)
    for _ in range(40):
        picture, masks = drawn_scene(rng)
        yield "drawn", picture, masks[-2:]
    for name, picture, labels in _label_maps(data):
        pieces = _pieces(labels)
        yield name, picture, [pieces[i] for i in rng.permutation(len(pieces))[:4]]


def drawn_scene(rng: np.random.Generator) -> tuple[np.ndarray, list[np.ndarray]]:
    """Discs, boxes and polygons of plain colours with blur and noise: what is plain must be found plainly."""
    import cv2

    height, width = (int(v) for v in rng.integers(160, 640, 2))
    image = np.full((height, width, 3), rng.uniform(0, 255, 3))
    image += np.linspace(0, rng.uniform(-60, 60), width)[None, :, None]
    labels = np.zeros((height, width), np.uint8)
    for value in range(1, int(rng.integers(2, 7))):
        middle = rng.uniform(0.15, 0.85, 2) * [width, height]
        size = rng.uniform(0.05, 0.25) * min(height, width)
        corners = [3, 4, 4, 6, 24][rng.integers(5)]
        angles = 2 * np.pi * (np.arange(corners) + rng.uniform()) / corners
        shape = middle + np.stack([np.cos(angles), rng.uniform(0.5, 1) * np.sin(angles)], 1) * size
        cv2.fillPoly(labels, [np.round(shape).astype(np.int32)], value)
        image[labels == value] = rng.uniform(0, 255, 3)
    image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 2))
    image += rng.normal(0, rng.uniform(0, 12), image.shape)
    masks = [labels == v for v in range(1, labels.max() + 1)]
    return np.clip(image, 0, 255).astype(np.uint8), [m for m in masks if m.sum() >= 100]


def _label_maps(data: Path) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    from PIL import Image
    from scipy.io import loadmat

    for path in sorted((data / "region_bsds").rglob("*.mat")):
        labels = loadmat(path)["groundTruth"][0, 0]["Segmentation"][0, 0].astype(np.int32)
        yield "bsds", read_picture(data / "region_bsds" / "images" / f"{path.stem}.jpg"), labels
    for name, images, maps in (("sem_camvid", "images", "labels"), ("sem_membrane", "image", "label")):
        for path in sorted((data / name / images).glob("*.png")):
            found = next((data / name / maps).glob(f"{path.stem}*.png"), None)
            if found is not None:
                yield name, read_picture(path), np.asarray(Image.open(found)).astype(np.int32)


def _pieces(labels: np.ndarray) -> list[np.ndarray]:
    import cv2

    pieces = []
    for value in np.unique(labels):
        same = (labels == value).astype(np.uint8)
        _, piece, stats, _ = cv2.connectedComponentsWithStats(same, connectivity=4)
        sizes = stats[1:, 4]
        pieces += [piece == k + 1 for k in np.flatnonzero((sizes > 600) & (sizes < 0.7 * labels.size))]
    return pieces


def row_ious(view: View, rows: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """IoU (p,) of rows over a view's superpixels; what of the truth lies outside the view is missed."""
    x0, y0, x1, y1 = view.window
    part = truth[y0:y1, x0:x1].astype(np.float32)
    outside = (truth.sum() - part.sum()) * view.regions.labels.size / part.size
    inside = np.bincount(view.regions.labels.ravel(), resized(part, view.size).ravel(), view.regions.count)
    shared = rows @ inside
    return shared / (outside + inside.sum() + rows @ view.regions.area - shared)


def play(scene: Scene, views: Views, truth: np.ndarray, name: str, rng, kinds: dict[str, Choices]) -> None:
    """Play one session on one object and note each choice among proposals."""
    view, inner = answering.box_view(scene, views, _drawn(truth, rng))
    rows = boxes.propose(view.regions, view.pyramid, inner)
    kinds["BOX"].add(name, boxes.measure(view.regions, rows, inner), row_ious(view, rows, truth))
    jitter = rng if rng.random() < 0.5 else None
    follow = rng.random() < 0.6  # the weights; else near the best proposal, for states of every quality

    def choose(measures: np.ndarray, ious: np.ndarray, vector: np.ndarray) -> int:
        return int((measures @ vector if follow else 10 * ious + rng.gumbel(size=len(ious))).argmax())

    clicked = np.zeros_like(truth)
    spot = answering._spot(scene, next_click(truth, np.zeros_like(truth), clicked, jitter))
    rows, measures = answering.click_proposals(scene.whole, *scene.whole.inward(*spot[:2]))
    ious = row_ious(scene.whole, rows, truth)
    kinds["CLICK"].add(name, measures, ious)
    best = rows[choose(measures, ious, weights.CLICK)][scene.whole.regions.labels]
    mask, spots = np.zeros_like(truth), (spot,)
    scene.whole.put(refinement.snap(best, scene.whole.lab), mask, np.ones(scene.whole.size, bool))
    for _ in range(STEPS):
        point = next_click(truth, mask, clicked, jitter)
        if point is None:
            return
        spot = answering._spot(scene, point)
        view = answering.correction_view(scene, views, Mask.from_array(mask), spot)
        before = view.shrunk(mask)
        found = answering.correct(view, before, spots, spot)
        if found is not None:
            ious = row_ious(view, found.results, truth)
            kind = "ADD" if point.positive else "TAKE"
            kinds[kind].add(name, found.measures, ious)
            part = found.parts[choose(found.measures, ious, getattr(weights, kind))][view.regions.labels]
            held = mask.copy()
            answering._apply(view, mask, before, part, point.positive)
            if not point.positive:
                mask = answering.without_orphans(held, mask, (*spots, spot), (int(spot[1]), int(spot[0])))
        spots = (*spots, spot)
        answering._fix(mask, spots)


def _drawn(truth: np.ndarray, rng: np.random.Generator) -> Box:
    """The object's box, as drawn by hand in half of the cases: off by about 3 % of its sides."""
    box = Mask.from_array(truth).box
    if rng.random() < 0.5:
        return box
    off = np.clip(rng.normal(0, 0.03, 4), -0.08, 0.08) * np.array([box.width, box.height] * 2)
    x0, y0, x1, y1 = np.asarray(box.xyxy) + off
    return Box(x0, y0, max(x1, x0 + 1), max(y1, y0 + 1)).clipped(truth.shape[1], truth.shape[0])


def fit(choices: Choices, left_out: str | None = None, epochs: int = 250) -> np.ndarray:
    """Weights (f,) that maximise the expected IoU of a softmax over the proposals."""
    import torch

    use = [i for i, name in enumerate(choices.sets) if name != left_out]
    together = np.concatenate([choices.measures[i] for i in use])
    mean, spread = together.mean(0), together.std(0) + 1e-3
    most = max(len(choices.ious[i]) for i in use)
    inputs = np.zeros((len(use), most, len(mean)), np.float32)
    values, there = np.zeros((len(use), most), np.float32), np.zeros((len(use), most), bool)
    for row, i in enumerate(use):
        count = len(choices.ious[i])
        inputs[row, :count] = (choices.measures[i] - mean) / spread
        values[row, :count], there[row, :count] = choices.ious[i], True
    share = np.array([1 / choices.sets.count(choices.sets[i]) for i in use], np.float32)
    x, y, mask, share = (torch.tensor(a) for a in (inputs, values, there, share / share.sum()))
    vector = torch.zeros(len(mean), requires_grad=True)
    optimiser = torch.optim.AdamW([vector], lr=0.02, weight_decay=0.1)
    for _ in range(epochs):
        expected = ((x @ vector).masked_fill(~mask, -1e9).softmax(1) * y).sum(1)
        optimiser.zero_grad()
        (-(expected * share).sum()).backward()
        optimiser.step()
    return vector.detach().numpy() / spread


def reached(choices: Choices, vector: np.ndarray, name: str) -> float:
    rows = [i for i, other in enumerate(choices.sets) if other == name]
    return float(np.mean([choices.ious[i][(choices.measures[i] @ vector).argmax()] for i in rows]))


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--out", type=Path, help="keep the played sessions in this file")
    args = arguments.parse_args()
    rng = np.random.default_rng(args.seed)
    kinds = {kind: Choices() for kind in ("CLICK", "BOX", "ADD", "TAKE")}
    for name, picture, masks in labelled(args.data, args.seed):
        scene, views = encode(picture), Views()
        for truth in masks:
            play(scene, views, truth, name, rng, kinds)
    if args.out:
        args.out.write_bytes(pickle.dumps(kinds))
    for kind, choices in kinds.items():
        vector = fit(choices)
        for name in dict.fromkeys(choices.sets):
            alone = reached(choices, fit(choices, left_out=name), name)
            top = np.mean([i.max() for i, s in zip(choices.ious, choices.sets, strict=True) if s == name])
            own = reached(choices, vector, name)
            print(f"# {kind} {name}: IoU {own:.3f}, left out {alone:.3f}, best {top:.3f}")
        print(f"{kind} = np.array({np.round(vector, 3).tolist()})", flush=True)


if __name__ == "__main__":
    main()
