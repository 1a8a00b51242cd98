"""On drawn scenes that the demo models never saw, an example finds what is like it through the tab's own operation."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from benchmarks.demo.metrics import average_precision
from benchmarks.demo.scenes import drawn
from studio.geometry import box_iou
from studio.operations import _matching, jobs
from studio.operations.examples import Exemplar, first_threshold
from studio.operations.predict import Recipe
from studio.scenes import PHRASES, still_life
from studio.settings import Settings
from studio.studio import Studio

SCENES, SEARCHED = 24, 10  # scenes of the project, and those of them an example is looked for in


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    made = Studio(Settings(tmp_path_factory.mktemp("quality"), sample=False))
    yield made
    made.close()


def add(studio, project_id: str, name: str, image: np.ndarray):
    out = io.BytesIO()
    Image.fromarray(image).save(out, "PNG")
    height, width = image.shape[:2]
    data = out.getvalue()
    return studio.store.add_image(
        project_id, name, data, width=width, height=height, display=None, thumbnail=data, person="ann"
    )[0]


def test_one_example_finds_what_is_like_it_on_other_scenes(studio):
    project = studio.store.create_project("Scenes", "ann")
    scenes = drawn("test", SCENES)
    records = [add(studio, project.id, f"{n}.png", s.image) for n, s in enumerate(scenes)]
    shares = []
    for phrase in PHRASES:
        places = [
            (n, t) for n, s in enumerate(scenes) for t in s.things if t.phrase == phrase and t.visible > 0.8
        ]
        if not places:
            continue
        source, thing = places[0]
        others = [n for n in range(SCENES) if n != source]
        here = [n for n in others if any(t.phrase == phrase for t in scenes[n].things)][: SEARCHED // 2]
        away = [n for n in others if all(t.phrase != phrase for t in scenes[n].things)]
        if not here:
            continue
        wanted = sorted([*here, *away[: SEARCHED - len(here)]])
        shown = (Exemplar(records[source].id, thing.box),)
        recipe = Recipe(("demo-owlv2",), examples=shown, example_class=phrase)
        found = [jobs.look(studio, records[n], recipe).detections for n in wanted]
        figures = average_precision([scenes[n] for n in wanted], found, PHRASES, named="phrase")
        shares.append(figures[f"ap50_{phrase}"])
    assert len(shares) >= 15
    assert float(np.mean(shares)) >= 0.80


def test_an_embedder_finds_a_plain_object_on_another_image(studio, monkeypatch):
    monkeypatch.setattr(_matching, "WINDOWS", 150)  # enough for so small a picture
    monkeypatch.setattr(_matching, "REFINED", 5)
    project = studio.store.create_project("Oranges", "ann")
    plain = dict(width=320, height=240, background="linen")
    one = still_life(1, count=1, classes=("orange",), **plain)
    two = still_life(4, count=2, classes=("orange", "spoon"), **plain)
    none = still_life(3, count=2, classes=("orange", "spoon"), **plain)
    assert not any(t.name == "orange" for t in none.things)
    shown, there, away = (
        add(studio, project.id, f"{n}.png", s.image) for n, s in enumerate((one, two, none))
    )
    example = Exemplar(shown.id, one.things[0].box)
    recipe = Recipe(("demo-clip",), examples=(example,), example_class="orange")
    recipe = replace(recipe, threshold=first_threshold([studio.registry.card("demo-clip")]))
    sure = [d for d in jobs.look(studio, there, recipe).detections if d.score >= recipe.threshold]
    overlaps = box_iou([d.box for d in sure], [t.box for t in two.things])
    assert len(sure) == 2 and (overlaps.max(0) >= 0.5).all()
    assert not [d for d in jobs.look(studio, away, recipe).detections if d.score >= recipe.threshold]
