"""The Filter tab in a real browser: the demo CLIP looks at the drawn scenes, which are then searched and sorted."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from studio.annotations import Label
from studio.gallery.filter.works import works
from studio.operations import jobs
from studio.operations.samples import sample_project
from tests.browser.test_whole_way import eventually

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def embedded(tmp_path_factory):
    """A studio with the sample project and the demo CLIP, for all tests of this file."""
    from studio.registry import Registry
    from studio.settings import Settings
    from studio.studio import Studio

    card = Registry.discover().card("demo-clip")
    studio = Studio(Settings(tmp_path_factory.mktemp("filter") / "data"), registry=Registry([card]))
    studio.project = sample_project(studio, "local").id
    yield studio
    jobs.runs(studio).stop_all()
    studio.close()


@pytest.fixture
def page(browser, serve, embedded):
    from studio.app import serve as asgi

    opened = browser.new_page(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    opened.set_default_timeout(30_000)
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.address = serve(asgi(embedded))
    opened.goto(opened.address)
    opened.locator("#gallery .tile").first.wait_for()
    opened.get_by_role("tab", name="Filter").click()
    opened.locator("#filter-page .filter").wait_for()
    yield opened
    opened.close()
    assert not errors, errors


TILE = "#filter-page .reel .tile:not([hidden])"


def ready(page) -> None:
    """See that all images are ready, getting them so where they are not."""
    done = page.locator("#filter-page .ready[data-state=ready]")
    page.locator("#filter-page .empty:not([hidden]) button.act").or_(done).first.wait_for()
    if not done.is_visible():
        page.locator("#filter-page .empty button.act").click()
    done.wait_for(timeout=60_000)
    page.locator(TILE).first.wait_for()


def search(page, phrase: str) -> None:
    page.get_by_label("What to look for", exact=True).fill(phrase)
    page.keyboard.press("Enter")
    page.locator("#filter-page .card:not(.away) .histogram").wait_for()
    page.locator("#filter-page .term .text").first.wait_for()


def names(page, count: int) -> list[str]:
    """Return the names of the first pictures, once they are known."""
    places = [page.locator(f"{TILE}[data-place='{i}'] .name") for i in range(count)]
    eventually(lambda: all(place.inner_text() for place in places))
    return [place.inner_text() for place in places]


def kept(page) -> int:
    return int(page.locator("#filter-page [data-shown=kept] .n").inner_text())


def test_a_search_before_anything_is_ready_runs_by_itself_then(page, embedded):
    page.get_by_label("What to look for", exact=True).fill("a banana")
    page.keyboard.press("Enter")
    empty = page.locator("#filter-page .empty")
    page.locator("#filter-page .empty", has_text="Almost there").wait_for()
    assert "21 images once" in empty.inner_text() or "each of the" in empty.inner_text()
    empty.locator("button.act").click()
    page.locator("#filter-page .ready[data-state=ready]").wait_for(timeout=60_000)
    page.locator("#filter-page .card:not(.away) .histogram").wait_for()
    scores = [float(t) for t in page.locator(f"{TILE} .caption b").all_inner_texts()]
    assert len(scores) > 10 and 0 < kept(page) < len(scores)

    # The threshold is moved by its line: the server is not asked again.
    asked: list[str] = []
    page.on(
        "request", lambda request: asked.append(request.post_data or "") if request.method == "POST" else None
    )
    line = page.get_by_role("slider", name="Threshold")
    box = line.bounding_box()
    before = kept(page)
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + 8, box["y"] + 40, steps=6)
    page.mouse.up()
    eventually(lambda: kept(page) > max(before, 18))
    line.focus()
    page.keyboard.press("End")
    eventually(lambda: kept(page) == 0)
    for number in (1, 2, 3):
        page.keyboard.press("ArrowLeft")
        eventually(lambda number=number: kept(page) == number)
    assert not [each for each in asked if '"op":"names"' not in each and '"op":"state"' not in each]
    page.locator("#filter-page [data-shown=kept]").click()
    eventually(lambda: page.locator(TILE).count() == 3)


def test_phrases_pictures_and_marks(page):
    ready(page)
    search(page, "a banana -plum")
    assert page.locator("#filter-page .term .text").all_inner_texts() == ["a banana", "plum"]
    assert page.locator("#filter-page .term[data-exclude]").count() == 1
    page.get_by_role("button", name="plum: left out").click()
    page.get_by_role("button", name="plum: looked for").wait_for()

    first = page.locator(f"{TILE}[data-place='0']")
    page.locator("#filter-page .reel").focus()
    page.keyboard.press("Home")
    for key in "yyynn":
        page.keyboard.press(key)
    assert page.locator(f"{TILE}[data-mark=yes]").count() == 3
    page.locator("#filter-page summary", has_text="Help with the threshold").click()
    page.get_by_role("button", name="Set the threshold").click()
    advice = page.locator("#filter-page .advice")
    advice.wait_for()
    assert "Precision" in advice.inner_text() and "Right among the kept" in advice.inner_text()

    name = names(page, 1)[0]
    page.locator("#filter-page .reel").focus()
    page.keyboard.press("Home")
    page.keyboard.press("Space")
    large = page.locator("#filter-page dialog.large")
    large.wait_for()
    assert name in large.inner_text()
    page.keyboard.press("m")
    page.locator("#filter-page .term img").wait_for()
    eventually(lambda: first.locator(".caption b").inner_text() == "1.000")
    assert names(page, 1) == [name]


def test_what_is_kept_is_tagged_hidden_saved_and_exported(page, embedded):
    store, project = embedded.store, embedded.project
    ready(page)
    search(page, "a banana")
    page.get_by_label("At most this many of them, the best").fill("3")
    page.locator("#filter-page .keep .head", has_text="With the 3 kept").wait_for()
    best = names(page, 3)

    page.get_by_role("button", name="Tag …").click()
    page.get_by_label("Tag", exact=True).fill("yellow")
    page.get_by_role("button", name="Tag them").click()
    page.locator("#filter-page .toast", has_text="3 images tagged “yellow”").wait_for()
    tagged = store.annotations(store.image_by_name(project, best[0]).id)
    assert any(
        a.class_name == "yellow" and a.draft and isinstance(a.shape, Label) and a.score for a in tagged
    )
    page.locator("#filter-page .toast button", has_text="Undo").click()
    page.locator("#filter-page .toast", has_text="Taken back").wait_for()
    tagged = store.annotations(store.image_by_name(project, best[0]).id)
    assert not any(a.class_name == "yellow" for a in tagged)

    with page.expect_download() as download:
        page.locator("#filter-page .keep").get_by_role("button", name="CSV").click()
    rows = list(csv.reader(io.StringIO(Path(download.value.path()).read_text("utf-8"))))
    assert [row[1] for row in rows[1:]] == best

    page.get_by_role("button", name="Save as view").click()
    page.get_by_label("Name of the view").fill("bananas")
    page.keyboard.press("Enter")
    page.locator("#filter-page .toast", has_text="Saved as “bananas”").wait_for()

    page.locator("#filter-page .keep").get_by_role("button", name="Hide").click()
    page.locator("#filter-page .toast", has_text="3 images hidden").wait_for()
    eventually(lambda: not set(names(page, 3)) & set(best))
    page.locator("#filter-page .reel").focus()
    page.keyboard.press("z")
    eventually(lambda: names(page, 3) == best)
    assert store.count_images(project, hidden=True) == 0

    page.get_by_role("button", name="Clear the search").click()
    page.get_by_label("Saved views").select_option("bananas")
    page.locator("#filter-page .keep .head", has_text="With the 3 kept").wait_for()

    page.locator("#filter-page .keep").get_by_role("button", name="Choose", exact=True).click()
    chosen = page.evaluate("document.querySelector('#gallery [data-chosen]').dataset.chosen.split(' ')")
    assert set(chosen) == {store.image_by_name(project, name).id for name in best}


def test_classes_are_sorted_corrected_and_compared(page, embedded):
    store, project = embedded.store, embedded.project
    ready(page)
    page.get_by_role("tab", name="Classes").click()
    page.get_by_label("Classes, with commas between them").fill("banana, cup, feather")
    page.keyboard.press("Enter")
    page.locator(f"{TILE} .badge", has_text="banana").first.wait_for()
    name = names(page, 1)[0]
    image = store.image_by_name(project, name)
    page.locator("#filter-page .reel").focus()
    page.keyboard.press("Home")
    page.keyboard.press("2")
    page.locator("#filter-page .toast", has_text="“cup”").wait_for()
    mine = [a for a in store.annotations(image.id) if isinstance(a.shape, Label) and not a.draft]
    assert [a.class_name for a in mine] == ["cup"]
    page.locator("#filter-page summary", has_text="Against people").click()
    page.locator("#filter-page .confusion", has_text="of 1 tagged by people").wait_for()
    page.locator("#filter-page .matrix button:enabled").first.click()
    eventually(lambda: page.locator(TILE).count() == 1)
    page.locator("#filter-page .toast button", has_text="Undo").click()
    eventually(lambda: not any(a.class_name == "cup" and not a.draft for a in store.annotations(image.id)))


def test_duplicates_outliers_and_the_map(page):
    ready(page)
    page.get_by_role("tab", name="Near-duplicates").click()
    page.get_by_role("button", name="Find near-duplicates").last.click()
    page.locator("#filter-page .empty", has_text="Nothing is that alike").wait_for(timeout=60_000)

    page.get_by_role("tab", name="Outliers").click()
    page.get_by_role("button", name="Find outliers").last.click()
    page.locator(f"{TILE} .caption b").first.wait_for()
    page.locator("#filter-page .keep .head", has_text="With the 1 kept").wait_for()

    page.get_by_role("tab", name="Map").click()
    page.get_by_label("How the map is drawn").select_option("pca")
    page.get_by_role("button", name="Draw the map").last.click()
    canvas = page.locator("#filter-page .map canvas")
    canvas.wait_for(timeout=60_000)
    box = canvas.bounding_box()
    corners = [(0.01, 0.01), (0.99, 0.01), (0.99, 0.99), (0.01, 0.99), (0.01, 0.02)]
    page.mouse.move(box["x"] + corners[0][0] * box["width"], box["y"] + corners[0][1] * box["height"])
    page.mouse.down()
    for x, y in corners[1:]:
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=3)
    page.mouse.up()
    page.locator("#filter-page .keep .head", has_text="With the 21 chosen").wait_for()
    page.get_by_role("button", name="Chosen as a list").click()
    page.locator(TILE).first.wait_for()


def test_a_narrow_page_does_not_scroll_sideways(page):
    page.set_viewport_size({"width": 390, "height": 844})
    ready(page)
    search(page, "a pear")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_work_is_another_persons_to_nobody(embedded):
    from studio.errors import NotFound

    token = works(embedded).begin("somebody", lambda told, cancelled: {})
    with pytest.raises(NotFound):
        works(embedded).get(token, "else")
