"""The Words tab in a real browser: phrases as chips, thresholds, keeping, many images, and what models say."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from PIL import Image

from benchmarks.demo.scenes import drawn
from studio.adapters import Detection, Place, Reading
from studio.annotations import Box, Mask
from studio.operations import jobs
from studio.registry import Registry
from studio.settings import Settings
from studio.studio import Studio
from tests.browser.test_whole_way import eventually
from tests.conftest import add_photograph
from tests.fakes import disc_card
from tests.predict.world import card

pytestmark = pytest.mark.browser
THINGS = {
    "red apple": [(0.9, (0.05, 0.1, 0.3, 0.5)), (0.35, (0.75, 0.05, 0.95, 0.3))],
    "mug": [(0.6, (0.4, 0.4, 0.7, 0.9)), (0.1, (0.0, 0.7, 0.2, 1.0))],
    "leaf": [(0.95, (0.06, 0.1, 0.3, 0.5))],
}
PASTE = """(text) => { const data = new DataTransfer();
data.setData("text", text);
document.querySelector("#words-phrases .op-field").dispatchEvent(
  new ClipboardEvent("paste", {clipboardData: data, cancelable: true, bubbles: true})); }"""
CAPTION = "a red apple and a mug on a table"


class Reader:
    """Finds THINGS by their phrases, and counts how often it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []

    def detect_text(self, images, phrases, *, floor=0.05):
        self.asked.append(tuple(phrases))
        return [
            [_on(i, p, *thing) for p in phrases for thing in THINGS.get(p, ()) if thing[0] >= floor]
            for i in images
        ]


def _on(image, phrase, score, share) -> Detection:
    height, width = image.shape[:2]
    x0, y0, x1, y1 = share
    return Detection(phrase, score, Box(x0 * width, y0 * height, x1 * width, y1 * height))


class Teller:
    tasks = ("things", "grounded caption", "caption")

    def describe(self, image, task, text=""):
        boxes = {name: _on(image, name, *THINGS[name][0]).box for name in ("red apple", "mug")}
        if task == "things":
            return Reading("red apple, mug", tuple(Place(n, b) for n, b in boxes.items()))
        if task == "caption":
            return Reading("<b>Nothing</b> much.")
        spans = {"red apple": (2, 11), "mug": (18, 21)}
        return Reading(CAPTION, tuple(Place(n, b, span=spans[n]) for n, b in boxes.items()))


@pytest.fixture
def reader() -> Reader:
    return Reader()


@pytest.fixture
def studio(tmp_path: Path, reader: Reader):
    cards = [
        card("reader", "text-detector", reader),
        card("teller", "describer", Teller(), tasks=Teller.tasks),
        disc_card(),
    ]
    made = Studio(Settings(tmp_path / "data", sample=False), registry=Registry(cards))
    yield made
    for project in made.store.projects("local"):
        for job in made.store.jobs(project.id):
            jobs.cancel(made, "local", job.id)
    jobs.runs(made).stop_all()
    made.close()


@pytest.fixture
def page(browser, serve, studio):
    from studio.app import serve as asgi

    project = studio.store.create_project("table", "local")
    opened = browser.new_page(viewport={"width": 1280, "height": 1000})
    opened.images = [
        add_photograph(studio.store, project.id, f"{n}.jpg", width=320 + n, seed=n) for n in range(3)
    ]
    for name in ("mug", "plate"):
        studio.store.add_class(project.id, name, person="local")
    yield from _open(opened, serve(asgi(studio)))


def _open(opened, address: str):
    opened.set_default_timeout(30_000)
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.address = address
    go(opened)
    yield opened
    opened.close()
    assert not errors, errors


def go(page) -> None:
    page.goto(page.address)
    page.locator("#gallery .tile").first.wait_for()
    page.get_by_role("tab", name="Words").click()
    page.locator("#words-findings .of-looking[data-image]:not([data-image=''])").wait_for()
    page.locator("#words-phrases .op-field").wait_for()
    page.locator("#words-models .token, #words-models [aria-label^='Remove']").first.wait_for()


def chips(page) -> list[str]:
    return page.locator("#words-phrases .op-chip").evaluate_all(
        "all => all.map(c => c.innerText.replace(/\\s+/g, ' ').trim())"
    )


def chip(page, phrase: str):
    return page.locator(f'#words-phrases .op-chip[data-phrase="{phrase}"] .op-name')


def type_in(page, text: str) -> None:
    field = page.locator("#words-phrases .op-field")
    field.fill(text)
    field.press("Enter")


def find(page, patience: int = 30_000) -> None:
    page.evaluate("document.querySelector('#words-told .work-report')?.classList.add('earlier')")
    page.locator("#words-find").click()
    page.locator("#words-told .work-report:not(.earlier)").get_by_text(re.compile(r"in \d")).wait_for(
        timeout=patience
    )


def listed(page) -> list[str]:
    return page.locator("#words-findings .of-list [data-n]").all_inner_texts()


def labels(studio, image) -> list[tuple[str, str, bool]]:
    return sorted((a.class_name, type(a.shape).__name__, a.draft) for a in studio.store.annotations(image.id))


def test_phrases_are_found_sifted_each_by_its_threshold_and_kept(page, studio, reader):
    type_in(page, "red apple=fruit, mug,")
    assert chips(page) == ["red apple → fruit ✕", "mug ✕"]
    find(page)
    assert listed(page) == ["red apple\n0.90", "mug\n0.60", "red apple\n0.35"]
    eventually(lambda: chips(page) == ["red apple → fruit 2 ✕", "mug 1 ✕"])

    beside = page.get_by_label("How sure of red apple, at least")
    beside.first.fill("0.5")
    eventually(lambda: chips(page) == ["red apple → fruit 1 ✕", "mug 1 ✕"])
    chip(page, "mug").click()
    page.locator("#words-phrases").get_by_label("How sure of mug, at least").fill("0.05")
    eventually(lambda: listed(page) == ["red apple\n0.90", "mug\n0.60", "mug\n0.10"])
    page.locator("#words-phrases").get_by_role("button", name="as all").click()
    eventually(lambda: listed(page) == ["red apple\n0.90", "mug\n0.60"])
    assert len(reader.asked) == 1, "a threshold that moves asks nobody"

    page.get_by_role("button", name="Keep 2").click()
    page.get_by_text("2 drafts saved on 0.jpg").wait_for()
    assert labels(studio, page.images[0]) == [("fruit", "Box", True), ("mug", "Box", True)]
    assert {a.prompt.text for a in studio.store.annotations(page.images[0].id)} == {"red apple", "mug"}
    page.locator("#words-kept").get_by_role("button", name="Undo").click()
    page.get_by_text("Taken back on 0.jpg").wait_for()
    assert not labels(studio, page.images[0])

    go(page)
    eventually(lambda: chips(page) == ["red apple → fruit ✕", "mug ✕"])
    page.locator("#words-forth").click()
    page.get_by_text("2 of 3").wait_for()
    find(page)
    assert listed(page) == ["red apple\n0.90", "mug\n0.60"], "phrases and their thresholds are remembered"


def test_chips_come_from_classes_and_pastes_are_changed_and_may_be_not_meant(page, reader):
    page.get_by_role("button", name="All classes as phrases").click()
    assert chips(page) == ["mug ✕", "plate ✕"]
    page.locator("#words-phrases .op-field").focus()
    page.evaluate(PASTE, "red apple\nmug; -leaf")
    assert chips(page) == ["mug ✕", "plate ✕", "red apple ✕", "not leaf ✕"]
    page.get_by_label("Take “plate” away").click()
    find(page)
    assert listed(page) == ["mug\n0.60", "red apple\n0.35"], "what is a leaf rather is no apple"

    chip(page, "leaf").click()
    page.get_by_label("Not meant").uncheck()
    page.locator("#words-phrases").get_by_label("Class").fill("green")
    page.locator("#words-phrases").get_by_label("Class").press("Tab")
    eventually(lambda: chips(page)[2] == "leaf → green ✕")
    page.locator("#words-phrases .op-field").fill("a jug")  # left standing there, it counts
    find(page)
    assert set(reader.asked[-1]) == {"mug", "red apple", "leaf", "a jug"}
    assert "leaf\n0.95" in listed(page)


def test_without_a_phrase_a_caption_is_grounded_and_its_words_light_up_what_they_mean(page, studio, reader):
    page.locator("#words-masks input").click()
    page.get_by_role("option", name="Disc").click()
    find(page)
    assert reader.asked == [("red apple", "mug")]
    said = page.locator("#words-said")
    assert said.locator("p").inner_text() == CAPTION
    said.locator("mark", has_text="mug").hover()
    line = page.locator("#words-findings .of-list [data-n]", has_text="mug")
    eventually(lambda: "of-hovered" in (line.get_attribute("class") or ""))
    line.hover()
    eventually(lambda: "lit" in (said.locator("mark", has_text="mug").get_attribute("class") or ""))
    page.get_by_role("button", name="Keep 3").click()
    page.get_by_text("3 drafts saved").wait_for()
    assert labels(studio, page.images[0])[0] == ("mug", "Mask", True)


def test_a_model_says_what_is_there_and_its_words_are_shown_as_they_are(page, studio):
    page.get_by_text("What is there?").click()
    page.locator("#words-task").get_by_text("Whatever is there").wait_for()
    page.locator("#words-phrases .op-field").wait_for(state="hidden")
    find(page)
    assert listed(page) == ["red apple", "mug"]
    page.locator("#words-all-as").locator("input, textarea").fill("thing")
    find(page)
    page.get_by_role("button", name="Keep 2").click()
    page.get_by_text("2 drafts saved").wait_for()
    assert {name for name, *_ in labels(studio, page.images[0])} == {"thing"}
    page.locator("#words-task").get_by_text("A caption", exact=True).click()
    page.locator("#words-all-as").wait_for(state="hidden")
    page.locator("#words-find").click()
    page.get_by_text("0.jpg was described in").wait_for()
    eventually(lambda: page.locator("#words-said p").inner_text() == "<b>Nothing</b> much.")


def test_many_images_are_labelled_by_words_and_taken_back(page, studio):
    type_in(page, "red apple=fruit")
    chip(page, "red apple").click()
    page.locator("#words-phrases").get_by_label("How sure of red apple, at least").fill("0.5")
    page.get_by_role("tab", name="Many images").click()
    page.locator("#words-preview").click()
    page.locator("#words-preview-table").get_by_text("Nothing has been changed yet.").wait_for()
    page.locator("#words-run").click()
    job = page.locator("#words-jobs li.job")
    job.get_by_text("red apple: Reader").wait_for()
    job.get_by_text("Done").wait_for()
    assert [labels(studio, image) for image in page.images] == [[("fruit", "Box", True)]] * 3
    job.get_by_role("button", name="Undo").click()
    page.get_by_role("button", name="Take it back").click()
    job.get_by_text("Taken back on 3 images").wait_for()
    assert not any(labels(studio, image) for image in page.images)


@pytest.fixture
def scenes(browser, serve, tmp_path):
    """The page with the demo models alone, and drawn scenes that they know."""
    from studio.app import serve as asgi

    known = Registry.discover(folder=tmp_path, entry_points=None)
    demos = [known.card(f"demo-{name}") for name in ("grounding-dino", "florence2", "sam2")]
    made = Studio(Settings(tmp_path / "data", sample=False), registry=Registry(demos))
    project = made.store.create_project("scenes", "local")
    opened = browser.new_page(viewport={"width": 1280, "height": 1000})
    opened.scenes = drawn("test", 3)
    opened.images = [_scene(made, project.id, n, each.image) for n, each in enumerate(opened.scenes)]
    opened.studio = made
    yield from _open(opened, serve(asgi(made)))
    jobs.runs(made).stop_all()
    made.close()


def _scene(studio, project_id: str, number: int, image):
    out = io.BytesIO()
    Image.fromarray(image).save(out, "PNG")
    data, (height, width) = out.getvalue(), image.shape[:2]
    record, _ = studio.store.add_image(
        project_id, f"{number}.png", data, width=width, height=height, display=None, thumbnail=data, person="local"
    )  # fmt: skip
    return record


def test_the_demo_models_find_words_cut_them_out_and_label_the_scenes(scenes):
    page, there = scenes, [{t.name for t in each.things} for each in scenes.scenes]
    type_in(page, ", ".join(sorted(set.union(*there))))
    page.locator("#words-masks input").click()
    page.get_by_role("option", name=re.compile("SAM 2")).click()
    find(page, 120_000)  # networks that compute, on a machine that may do other things as well
    page.get_by_role("button", name=re.compile(r"Keep \d+")).click()
    page.get_by_text(re.compile(r"drafts? saved on 0.png")).wait_for()
    kept = scenes.studio.store.annotations(page.images[0].id)
    assert {a.class_name for a in kept} >= there[0] and all(isinstance(a.shape, Mask) for a in kept)
    page.get_by_role("tab", name="Many images").click()
    page.locator("#words-run").click()
    eventually(lambda: all(labels(scenes.studio, image) for image in page.images[1:]), 120)
