"""An embedder that sees colours alone, and a project of pictures of one colour each."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from studio.errors import BadInput
from studio.operations import jobs
from studio.operations.filtering import embedding
from tests.fakes import disc_card

COLOURS = {
    "red": (220, 30, 30),
    "green": (30, 190, 40),
    "blue": (40, 60, 220),
    "yellow": (230, 220, 40),
}


class ColourEmbedder:
    """Places a picture by its mean colour, and a sentence by the colours it names; counts what it is asked."""

    scale = 3.0

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds, self.seen = seconds, 0
        self.spoil: float | None = None  # what a vector is multiplied by

    def embed_images(self, images: Sequence[np.ndarray]) -> np.ndarray:
        self.seen += len(images)
        time.sleep(self.seconds * len(images))
        for image in images:
            if image.shape[1] == 13:
                raise BadInput("This picture is 13 pixels wide, which brings bad luck.")
        return self._unit([np.append(image.reshape(-1, 3).mean(0) - 90, 40) for image in images])

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        known = [[np.array(c) for name, c in COLOURS.items() if name in text] for text in texts]
        return self._unit(
            [np.append((sum(each) / len(each) if each else np.zeros(3)) - 90, 40) for each in known]
        )

    def _unit(self, found: list[np.ndarray]) -> np.ndarray:
        vectors = np.array(found, np.float32).reshape(-1, 4)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors if self.spoil is None else vectors * self.spoil


class ReadyingColours(ColourEmbedder):
    """The same, with images readied apart."""

    side = 8

    def prepare(self, image: np.ndarray) -> np.ndarray:
        return image

    def embed_prepared(self, prepared: Sequence[np.ndarray]) -> np.ndarray:
        return self.embed_images(prepared)


def colour_card(embedder: ColourEmbedder, card_id: str = "colours", **changes):
    facts = dict(title="Colours", roles=("embedder",), prompts=("text",), load=lambda *_: embedder)
    return disc_card(card_id=card_id, **{**facts, **changes})


def painted(colour: tuple[int, int, int], width: int = 32, height: int = 24, seed: int = 0) -> bytes:
    noise = np.random.default_rng(seed).integers(-12, 12, (height, width, 3))
    out = io.BytesIO()
    Image.fromarray(np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)).save(out, "PNG")
    return out.getvalue()


def add(studio, project_id: str, name: str, data: bytes, person: str = "local"):
    with Image.open(io.BytesIO(data)) as image:
        width, height = image.size
    thumb = io.BytesIO()
    Image.open(io.BytesIO(data)).convert("RGB").save(thumb, "JPEG")
    record, _ = studio.store.add_image(
        project_id,
        name,
        data,
        width=width,
        height=height,
        display=None,
        thumbnail=thumb.getvalue(),
        person=person,
    )
    return record


@pytest.fixture
def colours() -> ReadyingColours:
    return ReadyingColours()


@pytest.fixture
def studio(tmp_path: Path, colours: ReadyingColours) -> Iterator:
    from studio.registry import Registry
    from studio.settings import Settings
    from studio.studio import Studio

    settings = Settings(tmp_path / "data", sample=False)
    made = Studio(settings, registry=Registry([colour_card(colours)]))
    yield made
    jobs.runs(made).stop_all()
    made.close()


@pytest.fixture
def project(studio):
    """Three pictures of each colour: red 0, red 1, red 2, green 0 …"""
    made = studio.store.create_project("colours", "local")
    for number, (name, colour) in enumerate(COLOURS.items()):
        for copy in range(3):
            add(studio, made.id, f"{name} {copy}.png", painted(colour, seed=10 * number + copy))
    return made


def embed(studio, project_id: str, person: str = "local", model: str = "colours"):
    """Embed a project and wait; return the job as it then stands."""
    job = embedding.begin(studio, person, project_id, model)
    if job is None:
        return None
    jobs.runs(studio).get(job.id).wait(30)
    return studio.store.job(job.id)


@pytest.fixture
def embedded(studio, project):
    assert embed(studio, project.id).state == "done"
    return project


def names(studio, ids: Sequence[str]) -> list[str]:
    return [studio.store.image(i).name for i in ids]
