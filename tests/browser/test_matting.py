"""The Matting tab in a real browser: from a click to an alpha, back again, many images, and files."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from studio.annotations import Alpha, Mask
from studio.cutouts import foreground_of
from studio.operations import jobs
from studio.operations.matting.matte import matte
from tests.browser.test_whole_way import eventually
from tests.matting.pictures import add, put_mask, soft_disc, studio_in

pytestmark = pytest.mark.browser
HEIGHT, WIDTH = 240, 320


@pytest.fixture(scope="module", autouse=True)
def compiled(tmp_path_factory) -> None:
    """Make a matte beforehand: in a new environment pymatting compiles itself first, which takes up to a minute."""
    made = studio_in(tmp_path_factory.mktemp("compiled"))
    project = made.store.create_project("fruit", "local")
    picture, alpha = soft_disc()
    image = add(made, project.id, picture)
    mask = put_mask(made, image, alpha > 0.5)
    matter = made.default_model("matter").id
    matte(made, image, "local", matter, annotation_id=mask.id, revision=mask.revision)
    foreground_of(picture, alpha)
    made.close()


@pytest.fixture
def studio(tmp_path: Path):
    made = studio_in(tmp_path / "data")
    yield made
    for project in made.store.projects("local"):
        for job in made.store.jobs(project.id):
            jobs.cancel(made, "local", job.id)
    jobs.runs(made).stop_all()
    made.close()


@pytest.fixture
def page(browser, serve, studio):
    from studio.app import serve as asgi

    project = studio.store.create_project("fruit", "local")
    opened = browser.new_page(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    opened.images = [
        add(studio, project.id, soft_disc(HEIGHT, WIDTH, seed=n)[0], f"{n}.png") for n in range(3)
    ]
    opened.set_default_timeout(30_000)
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.goto(serve(asgi(studio)))
    yield opened
    opened.close()
    assert not errors, errors


def open_matting(page) -> None:
    page.locator("#gallery .tile").first.wait_for()
    page.get_by_role("tab", name="Matting").click()
    holds(page, "globalThis.__matting?.stage.picture && __matting.stage.model && __matting.visible()")


def holds(page, what: str) -> None:
    page.wait_for_function(what)


def at(page, x: float, y: float) -> tuple[float, float]:
    """Return where an image's pixel stands on the page."""
    return page.evaluate(
        "([x, y]) => { const r = __matting.host.getBoundingClientRect(), [sx, sy] = __matting.view.toScreen(x, y);"
        " return [r.left + sx, r.top + sy]; }",
        [x, y],
    )


def drag(page, *places: tuple[float, float], button: str = "left") -> None:
    page.mouse.move(*at(page, *places[0]))
    page.mouse.down(button=button)
    for place in places[1:]:
        page.mouse.move(*at(page, *place), steps=4)
    page.mouse.up(button=button)


def cut_out(page, *, by_keys: bool = False) -> None:
    """Click the disc, go on to its band, and have its alpha made."""
    if by_keys:
        page.locator("#matting-stage .ol-view").focus()
        for key in ("k", "ArrowLeft", "Space"):
            page.keyboard.press(key)
    else:
        page.mouse.click(*at(page, WIDTH / 2, HEIGHT / 2))
    holds(page, "__matting.object && !__matting.wire.pending")
    page.keyboard.press("Enter")
    holds(page, "__matting.step === 'band' && __matting.matte.figures")
    page.keyboard.press("m")
    shown(page)


def shown(page) -> None:
    holds(page, "__matting.step === 'alpha' && __matting.matte.cutout && !__matting.task.running")


def pixel(page, x: float, y: float) -> list[int]:
    """Return what the matting layer shows at a pixel of the image, red, green, blue and how much of it."""
    page.wait_for_timeout(80)  # a frame
    return page.evaluate(
        "([x, y]) => { const m = __matting, [sx, sy] = m.view.toScreen(x + .5, y + .5), k = m.view.dpr;"
        " return [...m.matte.ctx.getImageData(Math.round(sx * k), Math.round(sy * k), 1, 1).data]; }",
        [x, y],
    )


def only(studio, image):
    (annotation,) = studio.store.annotations(image.id)
    return annotation


def share(page) -> float:
    holds(page, "!__matting.asking.busy")
    return page.evaluate("__matting.unknownShare")


def test_from_a_click_over_the_band_to_an_alpha_that_is_accepted(page, studio):
    open_matting(page)
    image = page.images[0]
    page.mouse.click(*at(page, WIDTH / 2, HEIGHT / 2))
    page.get_by_role("button", name="Band Enter").click()
    holds(page, "__matting.matte.figures")
    narrow = share(page)
    page.get_by_role("slider", name="Width of the unknown band").fill("80")
    eventually(lambda: share(page) > narrow)
    wide = share(page)
    page.keyboard.press("g")  # what is painted now is background, so less is left to be worked out
    drag(page, (WIDTH / 2 + 40, HEIGHT / 2 - 80), (WIDTH / 2 + 90, HEIGHT / 2))
    eventually(lambda: share(page) != wide)
    painted = share(page)
    page.keyboard.press("z")
    eventually(lambda: share(page) == wide)
    page.keyboard.press("y")
    eventually(lambda: share(page) == painted)
    assert isinstance(only(studio, image).shape, Mask)
    page.get_by_role("button", name="Make the alpha M").click()
    shown(page)
    made = only(studio, image)
    assert isinstance(made.shape, Alpha) and made.draft and made.model == "disc+shared-matting"
    levels = np.array(Image.open(studio.store.alpha_path(image.id, made.shape.trimap_digest)))
    assert abs((levels == 128).mean() - painted) < 1e-4
    assert len(made.prompt.points) == 1
    page.keyboard.press("Enter")
    holds(page, "__matting.step === 'point' && !__matting.wire.pending")
    assert not only(studio, image).draft and isinstance(only(studio, image).shape, Alpha)


def test_the_alpha_is_seen_over_whatever_lies_behind_and_compared_with_the_picture(page, studio):
    open_matting(page)
    cut_out(page)
    page.keyboard.press("c")  # all of it after, nothing before
    middle = pixel(page, WIDTH / 2, HEIGHT / 2)
    assert middle[0] > 150 and middle[2] < 90  # the orange disc
    page.get_by_role("button", name="Colour", exact=True).click()
    page.locator(".om-colour").fill("#0000ff")
    assert pixel(page, 3, 3)[:3] == [0, 0, 255]
    assert np.abs(np.subtract(pixel(page, WIDTH / 2, HEIGHT / 2), middle)).max() <= 2
    page.get_by_role("button", name="Alpha", exact=True).locator("visible=true").last.click()
    assert pixel(page, 3, 3)[:3] == [0, 0, 0] and pixel(page, WIDTH / 2, HEIGHT / 2)[:3] == [255, 255, 255]
    page.get_by_role("button", name="Picture", exact=True).click()
    page.locator(".om-thumb").nth(2).click()
    holds(page, "__matting.ground.picture")
    behind = np.array(Image.open(studio.store.original_path(page.images[2])).convert("RGB"))
    assert np.abs(np.subtract(pixel(page, 9, 9)[:3], behind[9, 9].astype(int))).max() < 24
    page.keyboard.press("c")
    holds(page, "__matting.comparing")
    line = page.evaluate("__matting.matte.line()")
    frame = page.locator("#matting-stage .ol-view").bounding_box()
    page.mouse.move(frame["x"] + line, frame["y"] + frame["height"] / 2)
    page.mouse.down()
    page.mouse.move(frame["x"] + frame["width"] - 4, frame["y"] + frame["height"] / 2, steps=5)
    page.mouse.up()
    assert pixel(page, WIDTH / 2, HEIGHT / 2)[3] == 0  # before: the picture beneath is seen
    assert page.evaluate("__matting.split") > 0.95


def test_refining_stays_in_the_band_and_every_step_is_undone_and_done_again(page, studio):
    open_matting(page)
    image = page.images[0]
    cut_out(page)
    first = only(studio, image).shape
    page.keyboard.press("s")  # less
    drag(page, (10, HEIGHT / 2), (WIDTH - 10, HEIGHT / 2))
    eventually(lambda: only(studio, image).shape.digest != first.digest)
    refined = only(studio, image).shape
    was, now, levels = (
        np.array(Image.open(studio.store.alpha_path(image.id, digest))).astype(int)
        for digest in (first.digest, refined.digest, first.trimap_digest)
    )
    assert refined.trimap_digest == first.trimap_digest
    assert ((was != now) <= (levels == 128)).all() and now.sum() < was.sum()
    holds(page, "!__matting.wire.pending")
    page.keyboard.press("z")
    eventually(lambda: only(studio, image).shape.digest == first.digest)
    page.keyboard.press("z")
    holds(page, "__matting.step === 'band'")
    eventually(lambda: isinstance(only(studio, image).shape, Mask))
    page.keyboard.press("y")
    eventually(lambda: isinstance(only(studio, image).shape, Alpha))
    page.reload()
    page.get_by_role("tab", name="Matting").click()  # it is there again, to be looked at and gone on with
    holds(page, "globalThis.__matting?.stage.picture && __matting.visible()")
    page.locator("#matting-stage .ol-option").first.click()
    page.get_by_role("button", name="See the alpha Enter").click()
    shown(page)
    page.keyboard.press("Escape")
    holds(page, "__matting.step === 'band' && __matting.matte.figures")
    page.keyboard.press("Delete")
    eventually(lambda: not studio.store.annotations(image.id))
    holds(page, "__matting.step === 'point'")


def test_a_cut_out_is_downloaded_as_it_is_shown_and_as_its_alpha(page, studio):
    open_matting(page)
    cut_out(page, by_keys=True)

    def fetched(title: str) -> Image.Image:
        page.get_by_label("What to download").select_option(label=title)
        with page.expect_download() as download:
            page.get_by_role("button", name="Download", exact=True).locator("visible=true").click()
        page.get_by_role("button", name="Download", exact=True).locator("visible=true").wait_for()
        return Image.open(io.BytesIO(Path(download.value.path()).read_bytes()))

    assert fetched("Cut-out, PNG").mode == "RGBA"
    assert fetched("Alpha, PNG of 16 bits").mode.startswith("I")
    page.get_by_label("What to download").select_option(label="As it is shown here, PNG")
    page.get_by_role("button", name="Download", exact=True).locator("visible=true").click()
    page.get_by_text("Choose a colour or a picture to be shown on first").wait_for()
    page.keyboard.press("v")
    page.locator(".om-colour").fill("#00ff00")
    assert fetched("As it is shown here, PNG").convert("RGB").getpixel((2, 2)) == (0, 255, 0)


def test_an_alpha_in_segment_is_drawn_named_and_corrected_without_being_lost(page, studio):
    open_matting(page)
    image = page.images[0]
    cut_out(page)
    page.keyboard.press("Enter")
    digest = only(studio, image).shape.digest
    page.get_by_role("tab", name="Segment").click()
    holds(page, "window.__onelabel?.stage.image && window.__onelabel.stage.picture")
    page.locator("#canvas .ol-badge.ol-matte").wait_for()
    assert page.evaluate("__onelabel.stage.list()[0].figure.area") > 1000
    page.locator("#canvas .ol-option").first.click()
    page.get_by_role("button", name="Add a class").locator("visible=true").click()
    page.get_by_label("Name of the new class").locator("visible=true").fill("orange")
    page.keyboard.press("Enter")
    holds(page, "__onelabel.stage.classes.find((c) => c.name === 'orange')?.hotkey === '2'")
    page.keyboard.press("2")
    eventually(lambda: only(studio, image).class_name == "orange")
    assert only(studio, image).shape.digest == digest
    page.locator("#canvas .ol-option").first.dblclick()
    page.get_by_text("A click makes a mask of this alpha").wait_for()
    page.evaluate("__onelabel.app.labelling.click(40, 40, true)")
    eventually(lambda: isinstance(only(studio, image).shape, Mask))
    page.locator("#canvas .ol-view").focus()
    page.keyboard.press("z")
    eventually(lambda: getattr(only(studio, image).shape, "digest", "") == digest)


def test_many_images_become_drafts_that_are_reviewed_by_keyboard_and_given_out(page, studio):
    for image in page.images[:2]:
        put_mask(studio, image, soft_disc(HEIGHT, WIDTH)[1] > 0.5, "orange")
    open_matting(page)
    page.get_by_role("tab", name="Many images").locator("visible=true").click()
    page.get_by_role("radio", name="What is labelled").check()
    page.locator("#matting-many-preview").click()
    page.locator("#matting-many-preview-table tfoot").wait_for()
    page.locator("#matting-many-run").click()
    page.locator("#matting-many-jobs").get_by_text("3 of 3 images").wait_for()
    eventually(lambda: studio.store.jobs(studio.store.projects("local")[0].id)[0].state == "done", 30)
    alphas = [a for i in page.images for a in studio.store.annotations(i.id) if isinstance(a.shape, Alpha)]
    assert [a.draft for a in alphas] == [True, True]
    page.get_by_role("button", name="Look through the drafts of 2 images").locator("visible=true").click()
    holds(page, "__matting.review.on")
    shown_in_review = "__matting.step === 'alpha' && __matting.matte.cutout"
    holds(page, shown_in_review)
    page.keyboard.press("Enter")
    eventually(lambda: sum(a.draft for i in page.images for a in studio.store.annotations(i.id)) == 1)
    page.locator("#matting-stage").get_by_role("button", name="Next image").click()
    holds(page, f"__matting.stage.image.id === '{page.images[1].id}'")
    page.keyboard.press("i")
    holds(page, shown_in_review)
    page.keyboard.press("Delete")
    eventually(lambda: len(studio.store.annotations(page.images[1].id)) == 1)
    page.get_by_role("tab", name="Files").locator("visible=true").click()
    page.locator("#matting-export-begin").click()
    with page.expect_download() as download:
        page.get_by_role("button", name=re.compile("Download fruit-matting.zip")).click()
    names = zipfile.ZipFile(download.value.path()).namelist()
    assert "matting.json" in names and sum(n.startswith("cutouts/") for n in names) == 1


def test_what_cannot_be_done_says_so_and_changes_nothing(page, studio):
    whole = put_mask(studio, page.images[0], np.ones((HEIGHT, WIDTH), bool), "wall")
    open_matting(page)
    page.keyboard.press("m")  # nothing is chosen yet
    page.locator("#matting-stage .ol-option").first.click()
    page.keyboard.press("Enter")
    page.locator("#matting-stage .ol-toast").get_by_text("whole image").wait_for()
    holds(page, "__matting.step === 'point'")
    assert only(studio, page.images[0]) == whole
    page.get_by_text("By a word").click()
    page.locator("#matting-stage").get_by_role("button", name="Find", exact=True).click()
    page.get_by_text("Write what to look for first").wait_for()
    page.keyboard.press("?")
    page.locator("dialog.ol-legend[open]").get_by_text("make the alpha, from any step").wait_for()


def test_without_an_image_the_stage_says_what_to_do(browser, serve, studio):
    from studio.app import serve as asgi

    studio.store.create_project("empty", "local")
    opened = browser.new_page(viewport={"width": 390, "height": 844})
    opened.goto(serve(asgi(studio)))
    opened.locator(".overflow-menu > button").first.click()
    opened.locator(".overflow-dropdown button", has_text="Matting").click()
    opened.get_by_text("Add photographs in Data; then come back").wait_for()
    assert opened.evaluate("document.documentElement.scrollWidth") <= 390
    opened.close()
