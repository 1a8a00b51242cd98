"""The whole way in a real browser: photographs in, clicks, a correction, reload, annotations out."""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from tests.conftest import photograph

pytestmark = pytest.mark.browser


@pytest.fixture
def page(browser, studio, serve):
    from studio.app import serve as asgi

    address = serve(asgi(studio))
    opened = browser.new_page(viewport={"width": 1400, "height": 950}, accept_downloads=True)
    opened.set_default_timeout(30_000)
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.address = address
    opened.goto(address)
    yield opened
    opened.close()
    assert not errors, errors


def upload(page, *files: tuple[str, bytes]) -> None:
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose photographs").click()
    payload = [{"name": n, "mimeType": "image/jpeg", "buffer": data} for n, data in files]
    chooser.value.set_files(payload)


def open_segment(page) -> None:
    page.get_by_role("tab", name="Segment").click()
    page.wait_for_function("window.__onelabel?.stage.image && window.__onelabel.stage.picture")


def at(page, x: float, y: float) -> tuple[float, float]:
    """Return where an image's pixel stands on the page."""
    canvas = page.locator("#canvas canvas").first.bounding_box()
    sx, sy = page.evaluate(
        "([x, y]) => { const p = window.__onelabel.app.view.toScreen(x, y); "
        "return Array.isArray(p) ? p : [p.x, p.y]; }",
        [x, y],
    )
    return canvas["x"] + sx, canvas["y"] + sy


def click(page, x: float, y: float, button: str = "left") -> None:
    known = page.evaluate("window.__onelabel.latencies.length")
    page.mouse.click(*at(page, x, y), button=button)
    page.wait_for_function("n => window.__onelabel.latencies.length > n", arg=known)


def objects(studio) -> list:
    (project,) = studio.store.projects("local")
    (image, *_) = studio.store.images(project.id)
    return studio.store.annotations(image.id)


def eventually(holds: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)


def test_from_upload_to_an_export_that_coco_reads(page, studio, disc, tmp_path: Path):
    upload(page, ("apple.jpg", photograph(320, 240)), ("broken.jpg", b"\xff\xd8 not a picture"))
    page.get_by_text("1 added").wait_for()
    page.get_by_text("broken.jpg").first.wait_for()
    page.get_by_placeholder("New class").fill("apple")
    page.get_by_placeholder("New class").press("Enter")

    open_segment(page)
    click(page, 150, 120)
    before = objects(studio)[0].shape.area
    click(page, 185, 120, button="right")
    (mask,) = objects(studio)
    assert mask.shape.area < before
    assert mask.class_name == "apple" and mask.draft
    assert [p.positive for p in mask.prompt.points] == [True, False]
    page.keyboard.press("Enter")
    eventually(lambda: not objects(studio)[0].draft)
    (accepted,) = objects(studio)

    page.goto(page.address)
    open_segment(page)
    page.wait_for_function("window.__onelabel.stage.objects.size === 1")
    (again,) = objects(studio)
    assert again == accepted
    assert len(disc.embeds) == 1, "opening an image again must not encode it again"

    page.get_by_role("tab", name="Data").click()
    page.get_by_role("button", name="Export annotations").click()
    page.locator("#export-begin").click()
    page.locator("#export-ready").wait_for()
    with page.expect_download() as download:
        page.locator("#export-ready").click()
    target = tmp_path / "out.zip"
    download.value.save_as(target)
    with zipfile.ZipFile(io.BytesIO(target.read_bytes())) as archive:
        (name,) = [n for n in archive.namelist() if n.endswith(".json")]
        data = json.loads(archive.read(name))
    (tmp_path / "coco.json").write_text(json.dumps(data))
    read = COCO(str(tmp_path / "coco.json"))
    (only,) = read.anns.values()
    assert read.cats[only["category_id"]]["name"] == "apple"
    decoded = coco_mask.decode(read.annToRLE(only)).astype(bool)
    assert np.array_equal(decoded, accepted.shape.to_array())


def test_undo_and_redo_survive_a_reload(page, studio):
    upload(page, ("apple.jpg", photograph(320, 240)))
    page.get_by_text("1 added").wait_for()
    open_segment(page)
    click(page, 150, 120)
    click(page, 200, 120)
    assert len(objects(studio)[0].prompt.points) == 2
    page.goto(page.address)
    open_segment(page)
    page.wait_for_function("window.__onelabel.stage.objects.size === 1")
    page.locator("#canvas [role=application]").focus()
    page.keyboard.press("z")
    page.wait_for_function("[...window.__onelabel.stage.objects.values()][0]?.prompt?.points.length === 1")
    eventually(lambda: len(objects(studio)[0].prompt.points) == 1)
    page.keyboard.press("y")
    page.wait_for_function("[...window.__onelabel.stage.objects.values()][0]?.prompt?.points.length === 2")


def test_every_browser_has_its_own_projects_where_the_studio_is_shared(browser, tmp_path, disc, serve):
    from studio.app import serve as asgi
    from studio.registry import Registry
    from studio.settings import Settings
    from studio.studio import Studio
    from tests.fakes import disc_card

    studio = Studio(
        Settings(tmp_path / "shared", people="each", sample=False), registry=Registry([disc_card(disc)])
    )
    address = serve(asgi(studio))
    pages = []
    for _ in range(2):
        context = browser.new_context()
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.goto(address)
        pages.append(page)
    upload(pages[0], ("mine.jpg", photograph(seed=1)))
    pages[0].get_by_text("1 added").wait_for()
    pages[1].reload()
    pages[1].get_by_role("button", name="Choose photographs").wait_for()
    assert pages[1].get_by_text("mine.jpg").count() == 0
    (image,) = [
        r.id
        for person in {p for p in _people(studio)}
        for project in studio.store.projects(person)
        for r in studio.store.images(project.id)
    ]
    assert pages[0].request.get(f"{address}/media/image/{image}").status == 200
    assert pages[1].request.get(f"{address}/media/image/{image}").status == 404
    studio.close()


def _people(studio) -> set[str]:
    from sqlalchemy import create_engine, text

    engine = create_engine(f"sqlite:///{studio.settings.data / 'studio.db'}")
    with engine.connect() as c:
        return {row[0] for row in c.execute(text("select owner from projects"))}
