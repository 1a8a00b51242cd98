"""The Predict tab in a real browser: one image, a region, many images, and the jobs."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from studio.annotations import Annotation, Box
from studio.operations import jobs
from studio.project import Change
from tests.browser.test_whole_way import eventually
from tests.conftest import add_photograph
from tests.fakes import BoxDetector, box_card, disc_card

pytestmark = pytest.mark.browser


@dataclass(frozen=True)
class Knobs:
    side: int = field(
        default=640, metadata={"help": "How large it looks.", "min": 320, "max": 1280, "step": 32}
    )
    tidy: bool = field(default=False, metadata={"help": "Tidy up."})
    speed: Literal["slow", "fast"] = "slow"


@pytest.fixture
def detector() -> BoxDetector:
    return BoxDetector()


@pytest.fixture
def loaded() -> list:
    """The options that the detector was loaded with, each time."""
    return []


@pytest.fixture
def studio(tmp_path: Path, detector: BoxDetector, loaded: list):
    from studio.registry import Registry
    from studio.settings import Settings
    from studio.studio import Studio

    def load(folder, device, options):
        loaded.append(options)
        return detector

    cards = [
        box_card(detector, load=load, options=Knobs),
        box_card(BoxDetector(), "second", title="Second", rank=5),
    ]
    made = Studio(
        Settings(tmp_path / "data", sample=False), registry=Registry([*cards, disc_card(card_id="disc")])
    )
    yield made
    for job in made.store.jobs(made.store.projects("local")[0].id):
        jobs.cancel(made, "local", job.id)
    jobs.runs(made).stop_all()
    made.close()


@pytest.fixture
def page(browser, serve, studio):
    from studio.app import serve as asgi

    project = studio.store.create_project("fruit", "local")
    opened = browser.new_page(viewport={"width": 1280, "height": 900})
    opened.images = [
        add_photograph(studio.store, project.id, f"{n}.jpg", width=320 + n, seed=n) for n in range(6)
    ]
    opened.set_default_timeout(30_000)
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.asked = []
    opened.on("request", lambda request: opened.asked.append(request.url))
    opened.address = serve(asgi(studio))
    opened.goto(opened.address)
    open_predict(opened)
    yield opened
    opened.close()
    assert not errors, errors


def open_predict(page) -> None:
    page.locator("#gallery .tile").first.wait_for()
    page.get_by_role("tab", name="Predict").click()
    page.locator(".of-looking[data-image]:not([data-image=''])").wait_for()
    page.locator("#predict-models .token, #predict-models [aria-label='Remove Boxer']").first.wait_for()


def find(page) -> None:
    """Press Find and wait for its report, not for the one that an earlier look left there."""
    page.evaluate("document.querySelector('#predict-told .work-report')?.classList.add('earlier')")
    page.locator("#predict-find").click()
    told = page.locator("#predict-told .work-report:not(.earlier)")
    told.get_by_text(re.compile(r"findings? in \d")).wait_for()


def fill(field, text: str) -> None:
    """Fill a field whose accordion was opened just now: what is put there before it is alive is lost again."""

    def stays() -> bool:
        if field.input_value() != text:
            field.fill(text)
            return False
        field.page.wait_for_timeout(500)
        return field.input_value() == text

    eventually(stays)


def many(page) -> None:
    page.get_by_role("tab", name="Many images").click()
    page.locator("#predict-jobs .jobs").wait_for()


def listed(page) -> list[str]:
    return page.locator(".of-list [data-n]").all_inner_texts()


def drafts(studio, image) -> list[tuple[str, bool]]:
    return sorted((a.class_name, a.draft) for a in studio.store.annotations(image.id))


def at(page, x: float, y: float) -> tuple[float, float]:
    """Return where a place of the image, in shares of its sides, lies on the page, while it fits its frame."""
    frame = page.locator(".of-view").bounding_box()
    image = page.images[0]
    scale = min((frame["width"] - 32) / image.width, (frame["height"] - 32) / image.height, 8)
    left = frame["x"] + (frame["width"] - image.width * scale) / 2
    top = frame["y"] + (frame["height"] - image.height * scale) / 2
    return left + x * image.width * scale, top + y * image.height * scale


def test_what_is_found_is_sifted_in_the_page_kept_and_taken_back(page, studio, detector):
    find(page)
    assert listed(page) == ["apple\n0.90", "pear\n0.60", "apple\n0.35"]
    assert page.locator(".of-class").all_inner_texts() == ["apple\n2", "pear\n1"]
    asked, looks = len(page.asked), len(detector.asked)

    slider = page.get_by_label("How sure, at least").and_(page.locator(".of-looking input"))
    slider.focus()
    for _ in range(25):
        page.keyboard.press("ArrowLeft")
    assert slider.input_value() == "0.05" and len(listed(page)) == 4
    for _ in range(4):
        page.keyboard.press("PageUp")
    page.wait_for_timeout(300)
    assert page.locator("#predict-sure input[type=number]").input_value() == slider.input_value()
    slider.fill("0.3")
    assert len(listed(page)) == 3

    page.mouse.click(*at(page, 0.55, 0.65))  # the pear
    page.get_by_role("button", name="Keep 2").wait_for()
    page.locator(".of-list [data-n='2']").focus()
    page.keyboard.press("Space")
    keep = page.get_by_role("button", name="Keep 1")
    keep.wait_for()
    page.wait_for_timeout(300)
    assert (len(page.asked), len(detector.asked)) == (asked, looks), "nobody is asked while a person sifts"

    keep.click()
    page.get_by_text("1 draft saved on 0.jpg").wait_for()
    assert drafts(studio, page.images[0]) == [("apple", True)]
    page.locator("#predict-kept").get_by_role("button", name="Undo").click()
    page.get_by_text("Taken back on 0.jpg").wait_for()
    assert drafts(studio, page.images[0]) == []


def test_what_is_there_already_is_not_saved_twice_and_the_drafts_wait_in_segment(page, studio):
    find(page)
    page.get_by_role("button", name="Keep 3").click()
    page.get_by_text("3 drafts saved").wait_for()
    page.get_by_role("button", name="Keep 3").click()
    page.get_by_text("All 3 are labelled on 0.jpg already").wait_for()
    page.locator(".of-class", has_text="apple").click()
    page.get_by_role("button", name="Keep 1").click()
    page.get_by_text("All 1 are labelled").wait_for()
    find(page)
    page.locator(".of-looking input.ol-range").fill("0.05")
    page.get_by_role("button", name="Keep 4").click()
    page.get_by_text("1 draft saved on 0.jpg. 3 of the 4 were there already.").wait_for()
    assert len(drafts(studio, page.images[0])) == 4
    page.get_by_role("button", name="Open in Segment").click()
    page.wait_for_function("window.__onelabel?.stage.list().length === 4")


def test_image_after_image_is_labelled_by_enter_alone_and_the_drafts_are_looked_through(page, studio):
    find(page)
    for number in (0, 1):
        page.locator(".of-view:focus").wait_for()
        page.keyboard.press("Enter")
        page.locator("#predict-onward:focus").wait_for()
        assert len(drafts(studio, page.images[number])) == 3
        page.keyboard.press("Enter")
        page.locator("#predict-place").get_by_text(f"{number + 2} of 6").wait_for()
        page.locator("#predict-told .work-report").get_by_text(re.compile(r"findings? in \d")).wait_for()
    page.goto(page.address)
    open_predict(page)
    many(page)
    page.get_by_role("button", name="Look through the drafts of 2 images").click()
    page.wait_for_function(
        "id => window.__onelabel?.stage?.image?.id === id", arg=page.images[0].id, timeout=30_000
    )


def test_a_region_alone_is_looked_at(page, detector):
    page.mouse.move(*at(page, 0.5, 0.0))
    page.mouse.down()
    page.mouse.move(*at(page, 0.7, 0.3), steps=3)
    page.mouse.move(*at(page, 1.0, 0.5), steps=3)
    page.mouse.up()
    page.get_by_text(re.compile("pixels will be looked at")).wait_for()
    find(page)
    height, width = detector.asked[-1]
    assert abs(width - 160) <= 2 and abs(height - 120) <= 2
    shown = page.evaluate("JSON.parse(document.querySelector('.of-looking').dataset.region)")
    assert shown == pytest.approx([160, 0, 320, 120], abs=2)
    page.get_by_role("button", name="Whole image", exact=True).click()
    find(page)
    assert detector.asked[-1] == (240, 320)
    page.locator(".of-view").focus()
    for key in ("+", "+", "r"):
        page.keyboard.press(key)
    find(page)
    assert 0 < detector.asked[-1][1] < 320, "what is in sight is a region that needs no mouse"


def test_images_are_gone_through_and_found_by_name(page):
    page.locator("#predict-forth").click()
    page.get_by_text("2 of 6").wait_for()
    assert page.locator("#predict-image input").input_value() == "1.jpg"
    page.locator("#predict-back").click()
    page.get_by_text("1 of 6").wait_for()
    field = page.locator("#predict-image input")
    field.fill("4")
    field.press("Enter")
    page.get_by_text("5 of 6").wait_for()
    page.locator(f".of-looking[data-image='{page.images[4].id}']").wait_for()


def test_classes_are_named_left_out_and_remembered(page, studio, detector):
    page.locator("#predict-classes > button").click()
    table = page.locator("#predict-class-table")
    table.get_by_label("apple in this project").fill("Malus")
    table.get_by_label("Use pear").uncheck()
    find(page)
    assert page.locator(".of-class").all_inner_texts() == ["Malus\n2"]
    page.get_by_role("button", name="Keep 2").click()
    page.get_by_text("2 drafts saved").wait_for()
    assert [c.name for c in studio.store.classes(page.images[0].project_id)] == ["Malus"]

    page.goto(page.address)
    open_predict(page)
    find(page)
    assert page.locator(".of-class").all_inner_texts() == ["Malus\n2"], "remembered though never opened"
    page.locator("#predict-classes > button").click()
    assert table.get_by_label("apple in this project").input_value() == "Malus"
    assert not table.get_by_label("Use pear").is_checked()
    page.get_by_text("Leave them out").click()
    page.wait_for_function("!document.querySelector('[aria-label=\"Use plum\"]').checked")
    assert table.get_by_label("apple in this project").input_value() == "Malus"


def test_options_made_from_the_card_reach_the_model(page, loaded):
    page.locator("#predict-options > button").click()
    form = page.locator("#predict-option-form")
    form.get_by_label("Side").fill("960")
    form.get_by_label("Tidy").check()
    form.get_by_label("Speed").select_option("fast")
    page.locator("#predict-options > button").click()  # folded away, they still hold
    find(page)
    assert loaded == [Knobs(960, True, "fast")]


def test_several_models_show_how_they_go_together(page, studio):
    fusion = page.locator("#predict-fusion")
    assert not fusion.is_visible()
    page.locator("#predict-models input").click()
    page.get_by_role("option", name="Second").click()
    fusion.wait_for()
    page.keyboard.press("Escape")
    fusion.locator("> button").click()
    fill(fusion.get_by_label("Weights"), "1, 2, 3")
    page.locator("#predict-find").click()
    page.get_by_text("There are 2 models and 3 weights").wait_for()
    fill(fusion.get_by_label("Weights"), "1, 2")
    find(page)
    assert listed(page) == ["apple\n0.90", "pear\n0.60", "apple\n0.35"], "two that agree stay one"


def test_a_preview_changes_nothing_and_says_what_would_come(page, studio):
    there = Annotation("apple", Box(0.05 * 320, 24, 96, 120))
    studio.store.apply(page.images[0].id, "local", [Change(there)], verb="draw")
    many(page)
    page.locator("#predict-preview").click()
    table = page.locator("#predict-preview-table")
    table.get_by_text("These are all the images. Nothing has been changed yet.").wait_for()
    assert table.locator("tfoot td").all_inner_texts() == ["6 images", "17", "1", "0"]
    assert [len(drafts(studio, image)) for image in page.images] == [1, 0, 0, 0, 0, 0]
    page.locator("#predict-policy input").click()
    page.get_by_role("option", name="Replace everything, people's labels too").click()
    page.get_by_text("Every label on these images is deleted first, people's work too").wait_for()
    page.get_by_role("button", name="Run, replacing all labels").wait_for()
    page.locator("#predict-preview").click()
    table.locator("tfoot").get_by_text("18").wait_for()
    assert table.locator("tfoot td").all_inner_texts() == ["6 images", "18", "0", "1"]


def test_a_job_is_paused_goes_on_reports_and_is_taken_back(page, studio, detector):
    detector.seconds, detector.refuse = 0.6, frozenset({322})
    many(page)
    page.locator("#predict-count").get_by_text("6 images").wait_for()
    page.locator("#predict-run").click()
    job = page.locator("#predict-jobs li.job")
    job.get_by_text(re.compile(r"[1-9] of 6 images")).wait_for()
    job.get_by_role("button", name="Pause").click()
    job.get_by_text("Paused").wait_for()
    (stored,) = studio.store.jobs(page.images[0].project_id)
    stood = stored.done + stored.failed
    assert stored.state == "paused" and 0 < stood < 6
    page.locator("#predict-drafts").wait_for()  # the last thing that the end of a job brings
    page.wait_for_timeout(500)
    asked = len(page.asked)
    page.wait_for_timeout(2500)
    assert len(page.asked) == asked, "nothing is asked while no job runs"

    page.goto(page.address)
    open_predict(page)
    many(page)
    job.get_by_text("Paused").wait_for()
    job.get_by_role("button", name="Go on").click()
    job.get_by_text("6 of 6 images, 1 failed").wait_for()
    job.get_by_text("Done").wait_for()
    assert [len(drafts(studio, image)) for image in page.images] == [3, 3, 0, 3, 3, 3]

    job.get_by_role("button", name="Report").click()
    job.get_by_text("15 drafts added, on 5 images of 6.").wait_for()
    job.get_by_text("An image 322 pixels wide is more than this model can bear.").wait_for()
    assert job.get_by_role("button", name="Try the failed ones again").is_visible()

    job.get_by_role("button", name="Undo").click()
    page.get_by_role("button", name="Take it back").click()
    job.get_by_text("Taken back on 5 images").wait_for()
    assert not any(drafts(studio, image) for image in page.images)
    job.get_by_role("button", name="Remove").click()
    page.locator("dialog").get_by_role("button", name="Remove").click()
    page.get_by_text("No job yet").wait_for()
    assert studio.store.jobs(page.images[0].project_id) == []


def test_only_the_images_asked_for_are_predicted(page, studio):
    studio.store.set_status(page.images[1].id, "done", "local")
    many(page)
    page.locator("#predict-which input").click()
    page.get_by_role("option", name="Still to do").click()
    page.locator("#predict-count").get_by_text("5 images").wait_for()
    page.locator("#predict-run").click()
    eventually(lambda: len(drafts(studio, page.images[5])) == 3)
    page.locator("#predict-jobs").get_by_text("Done").wait_for()
    assert drafts(studio, page.images[1]) == []
    page.locator("#predict-which input").click()
    page.get_by_role("option", name="Those chosen in Data").click()
    page.locator("#predict-count").get_by_text("0 images").wait_for()
    page.locator("#predict-run").click()
    page.get_by_text("No image is chosen. Choose some in Data").wait_for()
