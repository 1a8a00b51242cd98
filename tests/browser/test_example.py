"""The By example tab in a real browser: pointing things out, finding what is like them, keeping it, many images."""

from __future__ import annotations

import io
import re
import time
from pathlib import Path

import pytest
from PIL import Image

from studio.annotations import Annotation
from studio.operations import jobs
from studio.project import Change
from tests.browser.test_whole_way import eventually
from tests.examples.world import SIDE, Colours, box_at, picture, reds, studio_of_colours

pytestmark = pytest.mark.browser
SCALE = 4  # of the pictures of the world, so that a mouse hits what it should


@pytest.fixture
def world(tmp_path: Path):
    studio, models = studio_of_colours(tmp_path / "data")
    models.disc.radius = 10 * SCALE
    yield studio, models
    for project in studio.store.projects("local"):
        for job in studio.store.jobs(project.id):
            jobs.cancel(studio, "local", job.id)
    jobs.runs(studio).stop_all()
    studio.close()


@pytest.fixture
def studio(world):
    return world[0]


@pytest.fixture
def page(browser, serve, studio):
    from studio.app import serve as asgi

    project = studio.store.create_project("colours", "local")
    opened = browser.new_page(viewport={"width": 1280, "height": 1000})
    opened.images = [add(studio, project.id, number) for number in range(4)]
    opened.project = project
    opened.set_default_timeout(30_000)
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.address = serve(asgi(studio))
    opened.goto(opened.address)
    open_example(opened)
    yield opened
    opened.close()
    assert not errors, errors


def add(studio, project_id: str, number: int):
    image, out = Image.fromarray(picture(number)), io.BytesIO()
    image.resize((SIDE * SCALE, SIDE * SCALE), Image.Resampling.NEAREST).save(out, "PNG")
    data, side = out.getvalue(), SIDE * SCALE
    record, _ = studio.store.add_image(
        project_id, f"{number}.png", data, width=side, height=side, display=None, thumbnail=data, person="local"
    )  # fmt: skip
    return record


def open_example(page) -> None:
    page.locator("#gallery .tile").first.wait_for()
    page.get_by_role("tab", name="By example").click()
    page.locator("#example-findings .of-looking[data-image]:not([data-image=''])").wait_for()
    page.locator("#example-models .token, #example-models [aria-label='Remove Matcher']").first.wait_for()
    page.locator("#example-strip p, #example-strip li").first.wait_for()


def at(page, x: float, y: float) -> tuple[float, float]:
    """Return where a place of the image, in pixels of the world's small pictures, lies on the page."""
    frame, side = page.locator("#example-findings .of-view").bounding_box(), SIDE * SCALE
    scale = min((frame["width"] - 32) / side, (frame["height"] - 32) / side, 8)
    left, top = (
        frame["x"] + (frame["width"] - side * scale) / 2,
        frame["y"] + (frame["height"] - side * scale) / 2,
    )
    return left + x * SCALE * scale, top + y * SCALE * scale


def draw(page, spot: int) -> None:
    """Drag a box around the square at a spot."""
    box = box_at(spot)
    page.mouse.move(*at(page, box.x0, box.y0))
    page.mouse.down()
    page.mouse.move(*at(page, box.x0 + 8, box.y0 + 9), steps=3)
    page.mouse.move(*at(page, box.x1, box.y1), steps=3)
    page.mouse.up()
    page.locator("#example-findings .of-looking:not([data-region=''])").wait_for()


def examples(page, likes: int, unlikes: int = 0) -> None:
    """Wait until there are so many examples, and no box is left that waits to be taken."""
    page.wait_for_function(
        "([likes, unlikes]) => document.querySelectorAll('#example-strip li.like').length === likes"
        " && document.querySelectorAll('#example-strip li.unlike').length === unlikes"
        " && document.querySelector('#example-findings .of-looking').dataset.region === ''",
        arg=[likes, unlikes],
    )


def name_it(page, name: str) -> None:
    """Write a class, and wait until what follows from it is remembered."""
    field = page.locator("#example-class input")
    field.fill(name)
    field.press("Enter")
    page.wait_for_timeout(300)


def find(page) -> None:
    """Press Find and wait for its report, not for the one that an earlier look left there."""
    page.evaluate("document.querySelector('#example-told .work-report')?.classList.add('earlier')")
    page.locator("#example-find").click()
    told = page.locator("#example-told .work-report:not(.earlier)")
    told.get_by_text(re.compile(r"findings? in \d")).wait_for()


def sure(page) -> list[str]:
    return page.locator("#example-findings .of-list [data-n]").all_inner_texts()


def labels(studio, image) -> list[tuple]:
    found = [
        (a.class_name, a.draft, *(round(v / SCALE) for v in a.shape.xyxy))
        for a in studio.store.annotations(image.id)
    ]
    return sorted(found)


def red_things(number: int) -> list[tuple]:
    return [("red thing", True, *map(round, box)) for box in reds(number)]


def test_a_box_like_this_find_and_keep_as_a_class(page, studio, world):
    page.locator("#example-find").click()
    page.get_by_text("Draw a box around one thing in the picture first").wait_for()
    draw(page, 0)
    page.get_by_role("button", name="Like this", exact=True).click()
    examples(page, 1)
    page.locator("#example-find").click()
    page.get_by_text("Say which class the things have").wait_for()
    name_it(page, "red thing")
    find(page)
    assert sure(page) == ["red thing\n0.90"] * 2
    page.locator("#example-findings").get_by_role("button", name="Keep 2").click()
    page.get_by_text("2 drafts saved on 0.png").wait_for()
    assert labels(studio, page.images[0]) == red_things(0)

    page.locator("#example-forth").click()
    page.get_by_text("2 of 4").wait_for()
    find(page)
    assert sure(page) == ["red thing\n0.90"], "examples stay when one goes on"
    assert world[1].matcher.encoded == [1]

    page.goto(page.address)
    open_example(page)
    examples(page, 1)
    page.wait_for_function("document.querySelector('#example-class input').value === 'red thing'")
    find(page)
    page.get_by_label("Take example 1 away").click()
    examples(page, 0)
    page.locator("#example-strip").get_by_text("No example yet").wait_for()


def test_what_was_found_wrongly_becomes_a_negative_example(page):
    draw(page, 0)
    name_it(page, "thing")
    find(page)  # the box counts as an example where nobody has said what it is
    examples(page, 1)
    assert len(sure(page)) == 2
    slider = page.locator("#example-findings .of-panel input.ol-range").first
    slider.fill("0.1")
    page.wait_for_function("document.querySelectorAll('#example-findings .of-list [data-n]').length === 3")
    page.mouse.click(*at(page, 70, 20))  # the green one, found though less surely
    page.get_by_role("button", name="Not like the one taken out").click()
    examples(page, 1, 1)
    find(page)
    assert len(sure(page)) == 2, "what is like the negative example is left out"

    page.get_by_role("button", name="More like those kept").click()
    examples(page, 2, 1)  # one of the two was an example already
    page.locator("#example-strip li.unlike button.turn").click()
    examples(page, 3)
    find(page)
    assert len(sure(page)) == 3
    page.get_by_role("button", name="Take all away").click()
    examples(page, 0)


def test_examples_come_from_labels_from_a_class_and_from_a_click(page, studio):
    red = [Annotation("red thing", scaled(box_at(spot))) for spot in (0, 2)]
    studio.store.apply(page.images[0].id, "local", [Change(a) for a in red], verb="draw")
    more = Annotation("red thing", scaled(box_at(1)))
    studio.store.apply(page.images[1].id, "local", [Change(more)], verb="draw")
    page.locator("#example-labelled > button").click()
    there = page.locator("#example-offered li")
    there.nth(1).wait_for()
    there.first.get_by_text("like", exact=True).click()
    examples(page, 1)
    page.wait_for_function("document.querySelector('#example-class input').value === 'red thing'")
    page.get_by_role("button", name="Take all away").click()
    examples(page, 0)

    page.locator("#example-of-class input").click()
    page.get_by_role("option", name="red thing").click()
    page.locator("#example-take").click()
    examples(page, 3)
    page.get_by_role("button", name="Take all away").click()
    examples(page, 0)

    page.mouse.click(*at(page, 44, 50))
    page.locator("#example-trouble").get_by_text("choose a model under “Masks by”").wait_for()
    page.locator("#example-masks input").click()
    page.get_by_role("option", name="Disc").click()
    page.locator("#example-masks").get_by_text("Masks by").wait_for()
    eventually(lambda: page.locator("#example-masks input").input_value() == "Disc")
    page.mouse.click(*at(page, 44, 50))
    page.locator("#example-findings .of-looking:not([data-region=''])").wait_for()
    page.get_by_role("button", name="Not like this").click()
    examples(page, 0, 1)
    page.locator("#example-find").click()
    page.get_by_text("at least one example of what to look for").wait_for()


def test_a_look_that_takes_long_tells_how_far_it_is_and_stops(page, studio):
    class Slow(Colours):
        def embed_images(self, images):
            time.sleep(0.3)
            return super().embed_images(images)

    with studio.pool.use("colours") as model:
        model.__class__ = Slow
    page.locator("#example-models input").click()
    page.get_by_role("option", name="Colours, by comparing").click()
    page.keyboard.press("Escape")
    draw(page, 0)
    name_it(page, "thing")
    page.locator("#example-find").click()
    page.locator("#example-told").get_by_text("pieces of the image compared").wait_for()
    page.locator("#example-stop").click()
    page.get_by_text("Stopped. Nothing was changed.").wait_for()
    page.locator("#example-find:not([disabled])").wait_for()
    assert not page.locator("#example-stop").is_visible()


def test_many_images_are_labelled_by_example_and_taken_back(page, studio):
    draw(page, 0)
    page.get_by_role("button", name="Like this", exact=True).click()
    examples(page, 1)
    name_it(page, "red thing")
    page.get_by_role("tab", name="Many images").click()
    page.locator("#example-count").get_by_text("4 images").wait_for()
    page.locator("#example-preview").click()
    table = page.locator("#example-preview-table")
    table.get_by_text("These are all the images. Nothing has been changed yet.").wait_for()
    assert table.locator("tfoot td").all_inner_texts() == ["4 images", "6", "0", "0"]
    page.locator("#example-run").click()
    job = page.locator("#example-jobs li.job")
    job.get_by_text("Like examples of red thing").wait_for()
    job.get_by_text("Done").wait_for()
    assert [labels(studio, image) for image in page.images] == [red_things(n) for n in range(4)]
    job.get_by_role("button", name="Undo").click()
    page.get_by_role("button", name="Take it back").click()
    job.get_by_text("Taken back on 3 images").wait_for()
    assert not any(labels(studio, image) for image in page.images)


def scaled(box):
    return type(box)(*(SCALE * v for v in box.xyxy))
