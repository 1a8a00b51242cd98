"""The sample project: drawn still lifes, and photographs that come inside installed packages."""

from __future__ import annotations

import importlib.resources
import io
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from PIL import Image

from studio import images
from studio.annotations import Annotation, Mask
from studio.errors import StudioError
from studio.project import Change, Project
from studio.scenes import CLASSES, Scene, still_life
from studio.studio import SAMPLE, Studio

NAME = "Sample: still lifes"
FIRST_SEED = 7_000_000  # far from those that any model learns from
SCENES = 16
LABELLED = 2  # come with their true outlines, so that a first look shows what labels are

# Package, path inside it, and what it shows.
PHOTOGRAPHS = (
    ("skimage", "data/coffee.png", "coffee"),
    ("skimage", "data/chelsea.png", "cat"),
    ("skimage", "data/astronaut.png", "astronaut"),
    ("gradio", "media_assets/images/lion.jpg", "lion"),
    ("gradio", "media_assets/images/cheetah1.jpg", "cheetah"),
)

_drawing = threading.Lock()


@dataclass(frozen=True)
class _Sample:
    name: str
    data: bytes
    truth: tuple[tuple[str, Mask], ...] = ()


def sample_project(studio: Studio, person: str) -> Project:
    """Make a person's sample project. Takes some seconds the first time, when its scenes are drawn."""
    store = studio.store
    made = store.create_project(NAME, person)
    store.set_setting(made.id, SAMPLE, True, person=person)
    for name in CLASSES:
        store.add_class(made.id, name)
    for sample in _samples():
        derived = images.derive(sample.data, sample.name)
        record, _ = store.add_image(
            made.id,
            sample.name,
            sample.data,
            width=derived.width,
            height=derived.height,
            display=derived.display,
            thumbnail=derived.thumbnail,
            person=person,
        )
        if sample.truth:
            labels = [Annotation(name, mask, source="import") for name, mask in sample.truth]
            store.apply(record.id, person, [Change(label) for label in labels], verb="sample")
            store.set_status(record.id, "done", person)
    return store.project(made.id)


def _samples() -> Iterator[_Sample]:
    yield from drawn_scenes()
    for package, inside, what in PHOTOGRAPHS:
        try:
            data = importlib.resources.files(package).joinpath(inside).read_bytes()
            images.derive(data, inside)
        except (OSError, ModuleNotFoundError, StudioError):  # another version of the package may lack it
            continue
        ending = inside.rpartition(".")[2]
        origin = {"skimage": "scikit-image"}.get(package, package)
        yield _Sample(f"photograph, {what} ({origin}).{ending}", data)


def drawn_scenes() -> tuple[_Sample, ...]:
    """Return the drawn scenes, the same ones each time; ask early, so that the first page does not wait."""
    with _drawing:  # two visitors at once would draw the same twice
        return _draw()


@cache
def _draw() -> tuple[_Sample, ...]:
    samples = []
    for number in range(SCENES):
        scene = still_life(FIRST_SEED + number)
        truth = _labels(scene) if number < LABELLED else ()
        samples.append(_Sample(f"drawn scene {number + 1:02}.jpg", _jpeg(scene), truth))
    return tuple(samples)


def _jpeg(scene: Scene) -> bytes:
    out = io.BytesIO()
    Image.fromarray(scene.image).save(out, "JPEG", quality=95, subsampling=0)
    return out.getvalue()


def _labels(scene: Scene) -> tuple[tuple[str, Mask], ...]:
    return tuple((thing.name, Mask.from_array(thing.mask)) for thing in scene.things)
