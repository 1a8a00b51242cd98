"""The Ask tab in a real browser: answers as they grow, what they point at, many images, and the table of answers."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pytest
from PIL import Image

from studio.adapters import Download
from studio.annotations import Mask
from studio.operations import jobs
from tests.ask.world import NUMBERS, studio_of_answers
from tests.browser.test_whole_way import eventually
from tests.predict.squares import SIDE, picture, squares
from tests.predict.world import card

pytestmark = pytest.mark.browser
SCALE = 6  # of the pictures of the world, so that a mouse hits what it should
READY = "#ask-findings .of-looking[data-image]:not([data-image=''])"


@pytest.fixture
def world(tmp_path: Path):
    studio, teller, disc = studio_of_answers(tmp_path / "data")
    disc.radius = 5 * SCALE
    away = Download("nobody/nothing", 1_500_000_000)
    for card_id, gated in (("far", False), ("behind", True)):
        download = Download(away.hub_id, away.bytes, gated=gated)
        studio.registry.add(card(card_id, "answerer", None, download=download, rank=300))
    yield studio, teller, disc
    jobs.runs(studio).stop_all()
    studio.close()


@pytest.fixture
def studio(world):
    return world[0]


@pytest.fixture
def teller(world):
    return world[1]


@pytest.fixture
def page(browser, serve, studio):
    from studio.app import serve as asgi

    opened = browser.new_page(viewport={"width": 1280, "height": 1000}, accept_downloads=True)
    opened.project = studio.store.create_project("squares", "local")
    opened.images = [add(studio, opened.project.id, number) for number in range(4)]
    opened.set_default_timeout(30_000)
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.goto(serve(asgi(studio)))
    open_ask(opened)
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


def open_ask(page) -> None:
    page.locator("#gallery .tile").first.wait_for()
    page.get_by_role("tab", name="Ask", exact=True).click()
    page.locator(READY).wait_for()


def step(page, number: int) -> None:
    """Go on to an image by its number."""
    for _ in range(number):
        page.locator("#ask-forth").click()
        page.wait_for_timeout(150)
    page.locator("#ask-place").get_by_text(f"{number + 1} of 4").wait_for()


def ask(page, question: str) -> None:
    """Ask, and wait for the whole answer."""
    page.locator("#ask-question textarea").fill(question)
    page.evaluate("document.querySelector('#ask-answer .card')?.classList.add('earlier')")
    page.keyboard.press("Enter")
    page.locator("#ask-answer .card:not(.earlier):not(.going) small").wait_for()
    page.locator("#ask-ask:not([disabled])").wait_for()


def said(page) -> str:
    return page.locator("#ask-answer p.said").inner_text()


def at(page, x: float, y: float) -> tuple[float, float]:
    """Return where a place of the image, in pixels of the world's small pictures, lies on the page."""
    frame, side = page.locator("#ask-findings .of-view").bounding_box(), SIDE * SCALE
    scale = min((frame["width"] - 32) / side, (frame["height"] - 32) / side, 8)
    left, top = (
        frame["x"] + (frame["width"] - side * scale) / 2,
        frame["y"] + (frame["height"] - side * scale) / 2,
    )
    return left + x * SCALE * scale, top + y * SCALE * scale


def test_an_answer_grows_word_by_word_can_be_stopped_and_asked_again(page, teller):
    step(page, 2)
    teller.seconds, words = 0.3, [f"word{n}" for n in range(100)]
    teller.answers[""] = lambda image: " ".join(words)
    page.locator("#ask-question textarea").fill("")
    page.locator("#ask-ask").click()
    card_ = page.locator("#ask-answer .card")
    page.locator("#ask-answer .card.going").get_by_text("word0 word1", exact=False).wait_for()
    page.locator("#ask-stop").click()
    card_.get_by_text("stopped").wait_for()
    stopped = said(page).split()
    assert stopped == words[: len(stopped)] and len(stopped) < 100, "what was written stays"
    teller.seconds = 0.0
    ask(page, "How many squares?")
    assert said(page) == "two"
    again = page.locator("#ask-history li")
    assert again.all_inner_texts()[0].split("\n")[0] == "How many squares?"
    teller.answers["How many squares?"] = lambda image: "two, still"
    again.first.get_by_role("button").click()
    page.locator("#ask-answer").get_by_text("two, still").wait_for()
    assert again.count() == 3
    page.locator("#ask-back").click()
    page.locator("#ask-place").get_by_text("2 of 4").wait_for()
    eventually(lambda: again.count() == 0)
    page.locator("#ask-answer").get_by_text("Ask something").wait_for()


def test_only_a_part_is_asked_about_and_what_cannot_be_read_is_text(page, teller):
    step(page, 3)
    page.mouse.move(*at(page, 1, 1))
    page.mouse.down()
    page.mouse.move(*at(page, 40, 12), steps=3)
    page.mouse.move(*at(page, 63, 15), steps=3)
    page.mouse.up()
    page.locator("#ask-findings .of-looking:not([data-region=''])").wait_for()
    ask(page, "How many squares?")
    assert said(page) == "one" and teller.asked[-1][1][0] < 20 * SCALE
    page.locator("#ask-answer").get_by_text("(of a part)").wait_for()
    teller.answers["?"] = lambda image: "!! <script>window.hacked = 1</script> <loc_1>"
    ask(page, "?")
    assert said(page).startswith("!! <script>") and page.evaluate("window.hacked") is None


def test_what_is_pointed_at_is_linked_to_its_words_cut_out_and_kept(page, studio):
    step(page, 3)
    ask(page, "Where?")
    lines, marks = page.locator("#ask-findings .of-list [data-n]"), page.locator("#ask-answer mark")
    assert lines.count() == marks.count() == 3
    marks.nth(1).hover()
    page.locator("#ask-findings .of-list .of-hovered[data-n='1']").wait_for()
    lines.nth(2).hover()
    page.locator("#ask-answer mark.lit[data-n='2']").wait_for()
    lines.nth(0).click()  # taken out
    page.locator("#ask-findings").get_by_role("button", name="Keep 2").click()
    page.get_by_text("2 drafts saved on 3.png").wait_for()
    assert [a.class_name for a in studio.store.annotations(page.images[3].id)] == ["square"] * 2
    page.locator("#ask-kept").get_by_role("button", name="Undo").click()
    page.get_by_text("Taken back on 3.png").wait_for()

    page.locator("#ask-masks input").click()
    page.get_by_role("option", name="Disc").click()
    eventually(lambda: page.locator("#ask-masks input").input_value() == "Disc")
    ask(page, "Point to the squares")
    page.locator("#ask-class input").fill("tile")
    page.keyboard.press("Enter")
    page.wait_for_timeout(300)
    page.locator("#ask-findings").get_by_role("button", name="Keep 3").click()
    page.get_by_text("3 drafts saved on 3.png").wait_for()
    kept = studio.store.annotations(page.images[3].id)
    assert [(a.class_name, a.model, a.draft) for a in kept] == [("tile", "teller+disc", True)] * 3
    for found, real in zip(kept, squares(picture(3)), strict=True):
        assert isinstance(found.shape, Mask)
        middle = (found.shape.box.x0 + found.shape.box.x1) / 2
        assert abs(middle / SCALE - (real.box.x0 + 5)) < 1


def test_many_images_into_a_column_a_table_to_correct_a_filter_files_and_undo(page, studio):
    page.get_by_role("tab", name="Many images").locator("visible=true").click()
    page.locator("#ask-many-question textarea").fill("How many squares?")
    page.locator("#ask-run").click()
    page.get_by_text("Say which column the answers go into").wait_for()
    page.locator("#ask-column input").fill("squares")
    page.keyboard.press("Enter")
    page.wait_for_timeout(300)
    page.locator("#ask-preview").click()
    table = page.locator("#ask-preview-table")
    table.get_by_text("These are all the images. Nothing has been written yet.").wait_for()
    assert table.locator("tbody b").all_inner_texts() == list(NUMBERS) and not studio.store.columns(
        page.project.id
    )
    page.locator("#ask-run").click()
    job = page.locator("#ask-jobs li.job")
    job.get_by_text("Done", exact=True).wait_for()
    job.get_by_role("button", name="Report").click()
    job.get_by_text("4 answers written, on 4 images of 4.").wait_for()

    page.get_by_role("tab", name="Answers").click()
    fields = page.locator("#ask-table tbody textarea")
    fields.nth(3).wait_for()
    assert [field.input_value() for field in fields.all()] == list(NUMBERS)
    fields.nth(1).fill("1, I looked")
    fields.nth(1).press("Enter")
    page.locator("#ask-table tbody tr.own").wait_for()
    (column,) = studio.store.columns(page.project.id)
    assert (
        studio.store.cells(page.project.id, [page.images[1].id])[page.images[1].id][column.id].model is None
    )
    page.locator("#ask-table th[data-order=value] button").click()
    page.locator("#ask-table th[data-order=value][aria-sort=ascending]").wait_for()
    eventually(lambda: fields.nth(0).input_value() == "1, I looked")
    page.locator("#ask-table").get_by_role("radio", name=re.compile("^two")).click()
    eventually(lambda: fields.count() == 1)
    with page.expect_download() as download:
        page.locator("#ask-table").get_by_role("link", name="CSV", exact=True).click()
    with open(download.value.path(), encoding="utf-8-sig", newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["squares"] for line in lines] == ["none", "1, I looked", "two", "three"]
    with page.expect_download() as download:
        page.locator("#ask-table").get_by_role("link", name="JSONL").click()
    first = json.loads(Path(download.value.path()).read_text("utf-8").splitlines()[0])
    assert first["answers"]["squares"]["model"] == "teller"

    page.get_by_role("tab", name="Data").click()
    page.get_by_label("Only images with this answer").select_option(label="squares: three (1)")
    eventually(lambda: page.locator("#gallery .tile").count() == 1)
    page.get_by_label("Only images with this answer").select_option(label="squares: answered (4)")
    eventually(lambda: page.locator("#gallery .tile").count() == 4)

    page.get_by_role("tab", name="Ask", exact=True).click()
    page.get_by_role("tab", name="Many images").locator("visible=true").click()
    job.get_by_role("button", name="Undo").click()
    page.get_by_role("button", name="Take it back").click()
    job.get_by_text("Taken back on 3 images").wait_for()
    page.get_by_role("tab", name="Answers").click()
    page.locator("#ask-table").get_by_role("radio", name="All").click()
    eventually(lambda: [f.input_value() for f in fields.all()] == ["1, I looked", "", "", ""])
    page.locator("#ask-table").get_by_role("button", name="Open 1.png in Segment").click()
    page.wait_for_function("window.__onelabel?.stage?.image?.name === '1.png'")


def test_answers_become_tags(page, studio):
    page.get_by_role("tab", name="Many images").locator("visible=true").click()
    page.locator("#ask-many-question textarea").fill("Any?")
    page.locator("#ask-into").get_by_text("A tag").click()
    page.locator("#ask-template :is(input, textarea)").fill("full: {answer}")
    page.locator("#ask-choices :is(input, textarea)").fill("yes, no")
    page.locator("#ask-run").click()
    page.locator("#ask-jobs li.job").get_by_text("Done", exact=True).wait_for()
    tags = [[a.class_name for a in studio.store.annotations(i.id)] for i in page.images]
    assert tags == [["full: no"], *[["full: yes"]] * 3]


def test_a_model_that_is_not_here_says_so_and_how_to_get_it(page):
    def choose(title: str) -> None:
        page.locator("#ask-model input").click()
        page.get_by_role("option", name=title).click()

    choose("Far")
    page.locator("#ask-fetching").get_by_role("button", name="Download 1.5 GB").wait_for()
    page.locator("#ask-question textarea").fill("Any?")
    page.locator("#ask-ask").click()
    page.locator("#ask-told [role=alert]").get_by_text("Far").wait_for()
    choose("Behind")
    page.locator("#ask-gated").get_by_text("Your access token").wait_for()


def test_the_demo_answers_about_drawn_scenes_offline(browser, serve, tmp_path, monkeypatch):
    """The whole way with a real network: no download, the sample's scenes, all of them into a column and back."""
    from studio.app import serve as asgi
    from studio.operations.samples import sample_project
    from studio.settings import Settings
    from studio.studio import Studio

    made = Studio(Settings(tmp_path / "data", sample=False))
    monkeypatch.setattr(made.hub, "reachable", lambda *_, **__: False)
    project = sample_project(made, "local").id
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    page.set_default_timeout(60_000)
    try:
        page.goto(serve(asgi(made)))
        open_ask(page)
        eventually(lambda: page.locator("#ask-model input").input_value() == "Demo Florence-2")
        page.locator("#ask-image input").fill("drawn scene 01")
        page.keyboard.press("Enter")
        page.locator("#ask-place").get_by_text(re.compile("^1 of ")).wait_for()
        ask(page, "how many mugs are there?")
        assert said(page) == "three"
        ask(page, "")
        assert "mugs" in said(page) and "spoon" in said(page)
        page.get_by_role("tab", name="Many images").locator("visible=true").click()
        page.locator("#ask-many-question textarea").fill("how many mugs are there?")
        page.locator("#ask-column input").fill("mugs")
        page.keyboard.press("Enter")
        page.wait_for_timeout(300)
        page.locator("#ask-run").click()
        job = page.locator("#ask-jobs li.job")
        job.get_by_text("Done", exact=True).wait_for()
        page.get_by_role("tab", name="Data").click()
        page.get_by_label("Only images with this answer").select_option(index=3)  # the commonest answer
        count = made.store.column_values(made.store.columns(project)[0].id)[0][0][1]
        eventually(lambda: page.locator("#gallery .tile").count() == count)
        page.get_by_role("tab", name="Ask", exact=True).click()
        job.get_by_role("button", name="Undo").click()
        page.get_by_role("button", name="Take it back").click()
        job.get_by_text("Taken back on").wait_for()
        assert made.store.columns(project)[0].answers == 0
    finally:
        page.close()
        jobs.runs(made).stop_all()
        made.close()
