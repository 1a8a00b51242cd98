"""What predictions are worth on the drawn scenes, with the demo checkpoints: composites, ensembles, tiles.

Everything goes through the operation that the page, the command line and the jobs use.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.demo.metrics import average_precision
from benchmarks.demo.scenes import Drawn, DrawnThing, drawn
from studio.annotations import Box
from studio.operations.predict import Recipe, find
from studio.operations.tiling import Tiling
from studio.scenes import CLASSES
from studio.settings import Settings
from studio.studio import Studio

SCENES = {"guided": 40, "ensemble": 100, "tiles": 6}  # of the last, pictures of 4 × 4 scenes
DETECTORS = ("demo-yolo-detect", "demo-dfine")
SEGMENTER = "demo-sam2"
ACROSS = 4  # scenes side by side in a large picture, and one above the other
SMALL = (32 * ACROSS) ** 2  # pixels; when the picture is made as small as one scene, what COCO calls small
BARS = {"guided_mask_ap50": 0.90, "ensemble_ap_minus_best": 0.0, "tiling_small_ap_gain": 0.1}


@dataclass(frozen=True)
class Large:
    """Scenes put together into one picture, with what is in them."""

    image: np.ndarray
    things: tuple[DrawnThing, ...]


def guided(studio: Studio, count: int) -> dict[str, float]:
    """Boxes of a detector, and a segmenter's masks of them."""
    scenes = drawn("test", count)
    recipe = Recipe(DETECTORS[:1], segmenter=SEGMENTER)
    masks = average_precision(scenes, _found(studio, recipe, scenes), CLASSES, masks=True)
    return {"guided_mask_ap50": masks["ap50"], "guided_mask_ap": masks["ap"]}


def ensemble(studio: Studio, count: int) -> dict[str, float]:
    """Two detectors, each alone and both fused."""
    scenes = drawn("test", count)
    alone = [average_precision(scenes, _found(studio, Recipe((m,)), scenes), CLASSES) for m in DETECTORS]
    fused = average_precision(scenes, _found(studio, Recipe(DETECTORS), scenes), CLASSES)
    best = max(figures["ap"] for figures in alone)
    members = {f"{m.removeprefix('demo-')}_ap": f["ap"] for m, f in zip(DETECTORS, alone, strict=True)}
    return {**members, "ensemble_ap": fused["ap"], "ensemble_ap_minus_best": fused["ap"] - best}


def tiles(studio: Studio, count: int) -> dict[str, float]:
    """Small things in large pictures: looked at as a whole, and in tiles as large as a scene."""
    large = _large(drawn("test", count * ACROSS**2))
    whole = Recipe(DETECTORS[:1])
    tiled = replace(whole, tiling=Tiling(640, 160))
    figures = [
        average_precision(large, _found(studio, recipe, large), CLASSES, largest=SMALL)
        for recipe in (whole, tiled)
    ]
    return {
        "whole_small_ap": figures[0]["ap"],
        "tiling_small_ap": figures[1]["ap"],
        "tiling_small_ap_gain": figures[1]["ap"] - figures[0]["ap"],
    }


def _found(studio: Studio, recipe: Recipe, scenes: Sequence[Drawn | Large]) -> list[list]:
    return [find(studio, recipe, [scene.image], floor=0.02)[0] for scene in scenes]


def _large(scenes: Sequence[Drawn]) -> list[Large]:
    made = []
    for start in range(0, len(scenes), ACROSS**2):
        rows, things = [], []
        for row in range(ACROSS):
            part = scenes[start + row * ACROSS : start + (row + 1) * ACROSS]
            pictures = [scene.image for scene in part]
            height, width = pictures[0].shape[:2]
            rows.append(np.concatenate(pictures, 1))
            for column, scene in enumerate(part):
                things += [_moved(t, column * width, row * height) for t in scene.things]
        made.append(Large(np.concatenate(rows, 0), tuple(things)))
    return made


def _moved(thing: DrawnThing, right: int, down: int) -> DrawnThing:
    x0, y0, x1, y1 = thing.box.xyxy
    return replace(thing, box=Box(x0 + right, y0 + down, x1 + right, y1 + down))


def figures(*, quick: bool = False) -> dict[str, float]:
    """Return all figures; ``quick`` takes a quarter of the scenes."""
    with tempfile.TemporaryDirectory() as folder:
        studio = Studio(Settings(Path(folder)))
        found: dict[str, float] = {}
        for part in (guided, ensemble, tiles):
            count = SCENES[part.__name__]
            found |= part(studio, max(2, count // 4) if quick else count)
        studio.close()
    return found
