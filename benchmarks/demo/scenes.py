"""The drawn scenes that demo models learn from and are measured on, drawn once and kept in a cache."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from studio.annotations import Box, Keypoints
from studio.scenes import CLASSES, Scene, still_life
from studio.scenes.grounds import GROUNDS

Split = Literal["train", "check", "test"]

# What is tried out is compared on “check”, so that nothing is ever chosen by the scenes it is measured on.
FIRST_SEED: dict[Split, int] = {"train": 1_000_000, "check": 8_000_000, "test": 9_000_000}
SINGLES = 500_000  # added to the seed where a scene holds a single thing
MOST: dict[Split, int] = {"train": 6000, "check": 1000, "test": 1000}


@dataclass(frozen=True)
class DrawnThing:
    """``box`` is of what can be seen; ``visible`` is the share of the whole that can."""

    name: str
    colour: str
    phrase: str
    box: Box
    keypoints: Keypoints
    visible: float


@dataclass(frozen=True)
class Drawn:
    """A scene as it is kept: the picture as JPEG of the highest quality, its truth as PNG."""

    seed: int
    single: bool
    things: tuple[DrawnThing, ...]
    caption: str
    questions: tuple[tuple[str, str], ...]
    picture: bytes
    labels: bytes

    @property
    def image(self) -> np.ndarray:
        """uint8 RGB of shape (height, width, 3), decoded anew at each access."""
        return cv2.imdecode(np.frombuffer(self.picture, np.uint8), cv2.IMREAD_COLOR)[..., ::-1].copy()

    @property
    def owner(self) -> np.ndarray:
        """uint8 of shape (height, width): 0 background, i + 1 what can be seen of ``things[i]``."""
        return cv2.imdecode(np.frombuffer(self.labels, np.uint8), cv2.IMREAD_GRAYSCALE)

    def scene(self) -> Scene:
        """Draw the scene again, with the alphas and whole outlines that are not kept."""
        return still_life(self.seed, count=1 if self.single else None)


def drawn(split: Split, count: int, *, singles: bool = False, folder: Path | None = None) -> list[Drawn]:
    """Return the first scenes of a split, of 640 × 480; those not in the cache are drawn first.

    ``singles`` are scenes of a single thing. The seeds of the splits never meet. Raises ValueError where more
    are asked for than a split holds.
    """
    if count > MOST[split]:
        raise ValueError(f"The {split} scenes are {MOST[split]}; {count} were asked for.")
    folder = (folder or default_cache()) / _generation()
    folder.mkdir(parents=True, exist_ok=True)
    first = FIRST_SEED[split] + (SINGLES if singles else 0)
    seeds = range(first, first + count)
    missing = [seed for seed in seeds if not (folder / f"{seed}.json").exists()]
    _draw_all(missing, singles, folder)
    return [_read(seed, singles, folder) for seed in seeds]


def default_cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("STUDIO_SCENES", Path(base) / "onelabel-studio" / "scenes"))


@cache
def _generation() -> str:
    """Return a name that changes with what is drawn, so that no stale picture is used."""
    drawn_now = hashlib.sha256()
    for number, name in enumerate((*CLASSES, *CLASSES)):
        ground = list(GROUNDS)[number % len(GROUNDS)]
        drawn_now.update(still_life(number, 160, 120, classes=[name], background=ground).image.tobytes())
    return drawn_now.hexdigest()[:12]


def _draw_all(seeds: Sequence[int], single: bool, folder: Path) -> None:
    if len(seeds) < 20:
        for seed in seeds:
            _keep(seed, single, folder)
        return
    # Not forked: OpenCV's threads do not survive that, and the workers would wait for them for ever.
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as workers:
        list(workers.map(partial(_keep, single=single, folder=folder), seeds, chunksize=8))


def _keep(seed: int, single: bool, folder: Path) -> None:
    cv2.setNumThreads(1)
    scene = still_life(seed, count=1 if single else None)
    owner = np.zeros(scene.image.shape[:2], np.uint8)
    for number, thing in enumerate(scene.things, 1):
        owner[thing.mask] = number
    facts = {
        "things": [
            [t.name, t.colour, t.phrase, t.box.xyxy, t.keypoints.points, t.visible] for t in scene.things
        ],
        "caption": scene.caption,
        "questions": [[q.text, q.answer] for q in scene.questions()],
    }
    picture = cv2.imencode(".jpg", scene.image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 97])[1]
    _write(folder / f"{seed}.jpg", picture.tobytes())
    _write(folder / f"{seed}.png", cv2.imencode(".png", owner)[1].tobytes())
    _write(folder / f"{seed}.json", json.dumps(facts).encode())  # last: it says that the others are there


def _write(path: Path, data: bytes) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    temporary.write_bytes(data)
    temporary.replace(path)


def _read(seed: int, single: bool, folder: Path) -> Drawn:
    facts = json.loads((folder / f"{seed}.json").read_text("utf-8"))
    things = tuple(
        DrawnThing(name, colour, phrase, Box(*box), Keypoints(tuple(map(tuple, points))), visible)
        for name, colour, phrase, box, points, visible in facts["things"]
    )
    return Drawn(
        seed,
        single,
        things,
        facts["caption"],
        tuple((text, answer) for text, answer in facts["questions"]),
        (folder / f"{seed}.jpg").read_bytes(),
        (folder / f"{seed}.png").read_bytes(),
    )
