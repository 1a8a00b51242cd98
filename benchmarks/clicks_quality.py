"""How good a segmenter's masks are for the clicks and boxes a person gives.

Standard protocol (as in RITM's evaluation): the first click lies in the middle of the object, each next one
in the middle of the largest error, the point of largest distance transform within the missing or the surplus
part, image borders counting as edges. NoC@q is the number of clicks until IoU reaches q %, at most 20. The
jitter form draws each click at random from that error region, at no less than half the middle's depth.

Each set's objects are a seeded sample, spread over its images. Plain cv2.grabCut with the same box (five
iterations) is the yardstick.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.common import parser, save, table
from studio.annotations import Box, Mask, Point, Prompt

SETS = ("coco6", "facade", "fruits_nuts", "nuclei")
MOST_CLICKS = 20
GOALS = (80, 85, 90)
LEAST_AREA = 64  # pixels; what is smaller is a speck whose IoU says little
OBJECTS = {False: 30, True: 8}  # a set, by --quick


@dataclass(frozen=True)
class Thing:
    """One annotated object: its picture's file and how to read its mask, bool (height, width)."""

    picture: Path
    mask: Callable[[], np.ndarray]


def read_picture(path: Path) -> np.ndarray:
    """Read an image as uint8 RGB, upright."""
    from PIL import Image, ImageOps

    with Image.open(path) as opened:
        return np.asarray(ImageOps.exif_transpose(opened).convert("RGB"))


def things(folder: Path) -> list[list[Thing]]:
    """List a set's objects picture by picture: COCO's instances.json, or one PNG an object."""
    if not (folder / "instances.json").exists():
        return [_pngs(f) for f in sorted(folder.iterdir()) if (f / "masks").is_dir()]
    import contextlib
    import io

    from pycocotools.coco import COCO

    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(folder / "instances.json"))
    found = []
    for image_id in sorted(coco.imgs):
        picture = folder / "images" / coco.imgs[image_id]["file_name"]
        marks = [a for a in coco.imgToAnns[image_id] if not a.get("iscrowd") and a["area"] >= LEAST_AREA]
        found.append([Thing(picture, lambda a=a: coco.annToMask(a) > 0) for a in marks])
    return found


def _pngs(folder: Path) -> list[Thing]:
    from PIL import Image

    def reader(path: Path) -> Callable[[], np.ndarray]:
        return lambda: np.asarray(Image.open(path).convert("L")) > 0

    picture = next((folder / "images").iterdir())
    files = sorted((folder / "masks").iterdir())
    return [Thing(picture, read) for read in map(reader, files) if read().sum() >= LEAST_AREA]


def sample(pictures: list[list[Thing]], most: int, seed: int) -> list[Thing]:
    """Draw objects picture by picture in turn, at random within each, until there are enough."""
    rng = np.random.default_rng(seed)
    decks = [[deck[i] for i in rng.permutation(len(deck))] for deck in pictures if deck]
    order = rng.permutation(len(decks))
    dealt = [decks[i][r] for r in range(max(map(len, decks), default=0)) for i in order if r < len(decks[i])]
    return sorted(dealt[:most], key=lambda thing: str(thing.picture))


def iou(a: np.ndarray, b: np.ndarray) -> float:
    union = np.count_nonzero(a | b)
    return np.count_nonzero(a & b) / union if union else 1.0


def next_click(
    truth: np.ndarray, mask: np.ndarray, clicked: np.ndarray, rng: np.random.Generator | None
) -> Point | None:
    """Return the click of the protocol, or None where nothing is left to click; ``rng`` jitters it."""
    import cv2

    depths = []
    for wrong in (truth & ~mask, mask & ~truth):
        padded = np.pad(wrong, 1).astype(np.uint8)
        depths.append(cv2.distanceTransform(padded, cv2.DIST_L2, 0)[1:-1, 1:-1] * ~clicked)
    positive = bool(depths[0].max() > depths[1].max())
    depth = depths[0] if positive else depths[1]
    if depth.max() <= 0:
        return None
    y, x = np.unravel_index(depth.argmax(), depth.shape)
    if rng is not None:
        _, labels = cv2.connectedComponents((depth > 0).astype(np.uint8))
        ys, xs = np.nonzero((labels == labels[y, x]) & (depth >= depth[y, x] / 2))
        pick = rng.integers(len(ys))
        y, x = ys[pick], xs[pick]
    clicked[y, x] = True
    return Point(x + 0.5, y + 0.5, positive)


def click_ious(model, embedding, truth: np.ndarray, rng: np.random.Generator | None, spent: list[float]):
    """Return the IoU after each click until 90 % is reached, but never fewer than five clicks."""
    mask, clicked = np.zeros_like(truth), np.zeros_like(truth)
    points: tuple[Point, ...] = ()
    previous, ious = None, []
    while len(ious) < MOST_CLICKS and (len(ious) < 5 or max(ious) < max(GOALS) / 100):
        click = next_click(truth, mask, clicked, rng)
        if click is None:
            ious += [ious[-1]] * (5 - len(ious))
            break
        points += (click,)
        started = time.perf_counter()
        best = model.segment(embedding, Prompt(points), previous)[0]
        spent.append(time.perf_counter() - started)
        mask, previous = best.mask.to_array(), best.state
        ious.append(iou(mask, truth))
    return ious


def noc(ious: list[float], goal: int) -> int:
    """Count the clicks until the goal (in %) is reached, 20 where it never is."""
    return next((i + 1 for i, value in enumerate(ious) if value >= goal / 100), MOST_CLICKS)


def plain_grabcut(image: np.ndarray, box: Box) -> np.ndarray:
    """cv2.grabCut as its tutorial has it: the box, five iterations."""
    import cv2

    mask = np.zeros(image.shape[:2], np.uint8)
    rect = (int(box.x0), int(box.y0), int(box.width), int(box.height))
    cv2.setRNGSeed(0)
    try:
        models = np.zeros((1, 65)), np.zeros((1, 65))
        cv2.grabCut(image[..., ::-1].copy(), mask, rect, *models, 5, cv2.GC_INIT_WITH_RECT)
    except cv2.error:  # a box over the whole image leaves it no background to learn from
        mask[rect[1] : rect[1] + rect[3], rect[0] : rect[0] + rect[2]] = cv2.GC_FGD
    return (mask == cv2.GC_FGD) | (mask == cv2.GC_PR_FGD)


@contextmanager
def opened(card_id: str) -> Iterator[object]:
    """Give the adapter of a card, through the pool."""
    from studio.hub import Hub
    from studio.pool import Pool
    from studio.registry import Registry

    registry = Registry.discover()
    with Pool(registry, Hub()).use(card_id) as model:
        yield model


def measure_card(card: str, model, name: str, objects: list[Thing], seed: int, figures: dict) -> list[object]:
    runs: dict[str, list[list[float]]] = {"": [], "_jitter": []}
    boxes, encode, click = [], [], []
    picture, embedding = None, None
    for number, thing in enumerate(objects):
        if thing.picture != picture:
            picture = thing.picture
            started = time.perf_counter()
            embedding = model.embed(read_picture(picture))
            encode.append(time.perf_counter() - started)
        truth = thing.mask()
        rng = np.random.default_rng((seed, number))
        runs[""].append(click_ious(model, embedding, truth, None, click))
        runs["_jitter"].append(click_ious(model, embedding, truth, rng, click))
        box = Mask.from_array(truth).box
        boxes.append(iou(model.segment(embedding, Prompt(box=box))[0].mask.to_array(), truth))
    key = f"{card}_{name}"
    for form, rows in runs.items():
        for count in (1, 3, 5):
            figures[f"{key}_iou{count}{form}"] = float(np.mean([row[count - 1] for row in rows]))
        for goal in GOALS:
            figures[f"{key}_noc{goal}{form}"] = float(np.mean([noc(row, goal) for row in rows]))
    figures[f"{key}_box_iou"] = float(np.mean(boxes))
    figures[f"{key}_encode_ms"] = float(np.median(encode) * 1000)
    figures[f"{key}_click_ms"] = float(np.median(click) * 1000)
    return [f"{card} {name}", len(objects), *_columns(figures, key)]


COLUMNS = (
    *(f"iou{count}{form}" for form in ("", "_jitter") for count in (1, 3, 5)),
    *(f"noc{goal}" for goal in GOALS),
    "noc85_jitter",
    "box_iou",
)


def _columns(figures: dict, key: str) -> list[object]:
    times = [round(figures[f"{key}_{what}_ms"]) for what in ("encode", "click")]
    return [*(figures[f"{key}_{column}"] for column in COLUMNS), *times]


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--card", action="append", help="card id, may be given more than once (grabcut)")
    arguments.add_argument("--set", action="append", choices=SETS, help="only these sets")
    arguments.add_argument("--objects", type=int, help="objects a set (30, with --quick 8)")
    args = arguments.parse_args()
    figures: dict[str, float | int | None] = {}
    chosen: dict[str, list[Thing]] = {}
    for name in args.set or SETS:
        folder = args.data / f"inst_{name}"
        if not folder.is_dir():
            print(f"skipped {name}: there is no {folder}")
            continue
        chosen[name] = sample(things(folder), args.objects or OBJECTS[args.quick], args.seed)
    rows: list[list[object]] = []
    for card in args.card or ["grabcut"]:
        with opened(card) as model:
            rows += [measure_card(card, model, name, chosen[name], args.seed, figures) for name in chosen]
    for name, objects in chosen.items():
        values = []
        for thing in objects:
            truth = thing.mask()
            values.append(iou(plain_grabcut(read_picture(thing.picture), Mask.from_array(truth).box), truth))
        figures[f"cv2_{name}_box_iou"] = float(np.mean(values))
        blank = [None] * (len(COLUMNS) - 1)
        rows.append([f"cv2.grabCut {name}", len(objects), *blank, figures[f"cv2_{name}_box_iou"], None, None])
    if rows:
        short = [c.replace("_jitter", "~").replace("box_iou", "box") for c in COLUMNS]
        print(table(["card, set", "objects", *short, "encode ms", "click ms"], rows))
        print("~: jittered clicks")
    save(figures, args.json)


if __name__ == "__main__":
    main()
