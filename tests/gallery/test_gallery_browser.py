"""The Data tab in a real browser."""

from __future__ import annotations

import io
import json
import zipfile

import pytest

from studio.annotations import Annotation, Box
from studio.app import serve as asgi
from studio.project import Change
from tests.conftest import add_photograph, photograph
from tests.gallery.crowd import fill

pytestmark = pytest.mark.browser


@pytest.fixture
def open_page(studio, serve, browser):
    context = browser.new_context(viewport={"width": 1280, "height": 800}, accept_downloads=True)
    address = serve(asgi(studio))
    errors = []

    def open_():
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(address)
        page.wait_for_selector("#gallery .tile, #gallery .empty:not([hidden])", timeout=30_000)
        return page

    yield open_
    context.close()
    assert not errors


@pytest.fixture
def project(studio):
    made = studio.store.create_project("Signs", "local")
    for i in range(70):
        add_photograph(studio.store, made.id, f"sign {i:02d}.jpg", width=48, height=32, seed=i)
    return made.id


def extent(page, text):
    page.wait_for_function("t => document.querySelector('#gallery .extent')?.textContent === t", arg=text)


def chip(page, show):
    return page.locator(f"#gallery .chip[data-show={show}]")


def test_pages_filters_and_search(studio, project, open_page):
    store = studio.store
    first = store.images(project, order="name", limit=1)[0]
    store.apply(first.id, "local", [Change(Annotation("<i>car", Box(1, 1, 9, 9)))], verb="put")
    page = open_page()
    extent(page, "1–60 of 70")
    assert page.locator("#gallery .tile").count() == 60
    page.get_by_role("button", name="Next page").click()
    extent(page, "61–70 of 70")
    chip(page, "unlabelled").click()
    extent(page, "1–60 of 69")
    assert chip(page, "unlabelled").inner_text().split() == ["Unlabelled", "69"]
    chip(page, "all").click()
    page.get_by_label("Only images with this class").select_option(label="<i>car (1)")
    extent(page, "1–1 of 1")
    assert page.locator("#gallery .tile .count").inner_text() == "1"
    page.get_by_label("Only images with this class").select_option("")
    page.get_by_label("Search by name").fill("sign 6")
    extent(page, "1–10 of 10")
    page.get_by_label("Search by name").fill("no such name")
    page.get_by_role("button", name="Show all images").click()
    extent(page, "1–60 of 70")


def test_the_keyboard_chooses_marks_and_deletes(studio, project, open_page):
    store = studio.store
    page = open_page()
    page.locator("#gallery .tile").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    page.keyboard.press("Shift+ArrowRight")
    assert page.locator("#gallery .tile.chosen .name").all_inner_texts() == ["sign 01.jpg", "sign 02.jpg"]
    page.keyboard.press("d")
    page.wait_for_function("() => document.querySelectorAll('#gallery .tile.is-done').length === 2")
    assert store.count_images(project, status="done") == 2
    page.keyboard.press("Delete")
    dialog = page.get_by_role("dialog")
    assert "Delete 1 image?" in dialog.inner_text()
    page.keyboard.press("Escape")
    dialog.wait_for(state="detached")
    assert store.count_images(project) == 70
    page.keyboard.press("Escape")
    page.keyboard.press("Control+a")
    page.get_by_role("button", name="Choose all 70").click()
    page.locator("#gallery .chosen-bar b", has_text="70 chosen").wait_for()
    page.keyboard.press("Escape")
    page.locator("#gallery .tile").first.focus()
    page.keyboard.press("Space")
    page.keyboard.press("Delete")
    page.get_by_role("dialog").get_by_role("button", name="Delete 1 image").click()
    extent(page, "1–60 of 69")
    assert store.image_by_name(project, "sign 00.jpg") is None


def test_arrows_go_on_to_the_next_page(project, open_page):
    page = open_page()
    page.locator("#gallery .tile").first.focus()
    page.keyboard.press("End")
    page.keyboard.press("ArrowRight")
    extent(page, "61–70 of 70")
    page.wait_for_function("() => document.activeElement.textContent.includes('sign 60.jpg')")


def test_opening_an_image_goes_to_the_segment_tab(project, open_page):
    page = open_page()
    page.locator("#gallery .tile").nth(3).click()
    page.locator("#onelabel-tabs [role=tab][aria-selected=true]", has_text="Segment").first.wait_for()


def files(*named):
    return [{"name": name, "mimeType": "application/octet-stream", "buffer": data} for name, data in named]


def test_a_first_visit_needs_no_project_to_begin(studio, open_page):
    page = open_page()
    assert "Drop photographs here" in page.locator("#gallery .empty").inner_text()
    one = photograph(seed=1)
    chosen = files(("über (1).jpg", one), ("again.jpg", one), ("broken <b>.jpg", b"\xff\xd8\xff no"))
    page.locator("#gallery .empty [data-choose=files]").set_input_files(chosen)
    told = page.locator("#add-told .work-report")
    told.wait_for(timeout=30_000)
    assert "1 added, 1 already there, 1 refused" in told.inner_text()
    assert "broken" in told.inner_text() and told.locator("ul b").count() == 0
    extent(page, "1–1 of 1")
    assert page.locator("#gallery .tile .name").inner_text() == "über (1).jpg"
    assert page.locator("#project input").input_value() == "My photographs"
    page.wait_for_function("() => document.querySelector('#gallery .tile img').naturalWidth > 0")
    page.reload()
    extent(page, "1–1 of 1")
    assert [p.name for p in studio.store.projects("local")] == ["My photographs"]


def test_files_dropped_on_the_gallery_are_added(project, open_page):
    page = open_page()
    page.evaluate(
        """bytes => {
          const transfer = new DataTransfer();
          transfer.items.add(new File([new Uint8Array(bytes)], 'dropped.jpg', {type: 'image/jpeg'}));
          const options = {dataTransfer: transfer, bubbles: true, cancelable: true};
          const gallery = document.querySelector('.gallery');
          for (const kind of ['dragenter', 'dragover', 'drop']) {
            gallery.dispatchEvent(new DragEvent(kind, options));
          }
        }""",
        list(photograph(seed=500)),
    )
    extent(page, "1–60 of 71")


def test_projects_are_created_renamed_and_deleted(studio, project, open_page):
    page = open_page()
    page.locator("#project-new").click()
    page.locator("#project-name textarea, #project-name input").fill("Second")
    page.locator("#project-save").click()
    page.locator("#gallery .empty:not([hidden])").wait_for()
    page.locator("#project-rename").click()
    page.wait_for_function(
        "() => document.querySelector('#project-name textarea, #project-name input')?.value"
    )
    page.locator("#project-name textarea, #project-name input").fill("Renamed <b>")
    page.locator("#project-save").click()
    page.wait_for_function("() => document.querySelector('#project input')?.value === 'Renamed <b>'")
    page.locator("#project-delete").click()
    page.locator(
        "#project-deleting", has_text="Delete Renamed <b> with 0 images and 0 annotations"
    ).wait_for()
    page.locator("#project-really").click()
    extent(page, "1–60 of 70")
    assert [p.name for p in studio.store.projects("local")] == ["Signs"]


def test_classes_are_edited_in_place(studio, project, open_page):
    page = open_page()
    for name in ("car", "tree"):
        page.get_by_label("Name of the new class").fill(name)
        page.keyboard.press("Enter")
        page.locator(f"#classes [aria-label='Delete {name}']").wait_for()
    page.locator("#classes .handle").nth(1).focus()
    page.keyboard.press("ArrowUp")
    page.locator("#classes [aria-label='Move tree, number 1 of 2']").wait_for()
    page.get_by_label("Name of class 1").fill("oak")
    page.keyboard.press("Enter")
    page.locator("#classes [aria-label='Delete oak']").wait_for()
    assert [c.name for c in studio.store.classes(project)] == ["oak", "car"]
    page.locator("#classes [aria-label='Delete oak']").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete class").click()
    page.locator("#classes [aria-label='Delete oak']").wait_for(state="detached")
    assert [c.name for c in studio.store.classes(project)] == ["car"]


def coco(name):
    picture = {"id": 1, "file_name": name, "width": 48, "height": 32}
    absent = {"id": 2, "file_name": "absent.jpg", "width": 9, "height": 9}
    box = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [2, 2, 10, 8], "area": 80, "iscrowd": 0}
    lost = box | {"id": 2, "image_id": 2}
    data = {
        "images": [picture, absent],
        "annotations": [box, lost],
        "categories": [{"id": 1, "name": "sign"}],
    }
    return json.dumps(data).encode()


def test_annotations_come_in_go_back_and_go_out(studio, project, open_page):
    store = studio.store
    page = open_page()
    page.locator("#panel-import > button").click()
    sent = files(("labels.json", coco("sign 05.jpg")))
    page.locator("#import-files [data-choose=files]").set_input_files(sent)
    page.locator("#import-begin").click()
    told = page.locator("#import-told .work-report")
    told.wait_for(timeout=30_000)
    assert "1 annotation on 1 image came in" in told.inner_text() and "absent.jpg" in told.inner_text()
    page.wait_for_function("() => document.querySelectorAll('#gallery .tile')[5].innerText.includes('1')")
    assert store.counts(project) == {"sign": 1}

    page.locator("#panel-export > button").click()
    page.locator("#export-begin").click()
    with page.expect_download(timeout=30_000) as download:
        page.locator("#export-ready").click()
    assert download.value.suggested_filename == "Signs-coco.zip"
    with zipfile.ZipFile(io.BytesIO(download.value.path().read_bytes())) as packed:
        exported = json.loads(packed.read(next(n for n in packed.namelist() if n.endswith(".json"))))
    assert len(exported["images"]) == 70 and exported["annotations"][0]["bbox"] == [2, 2, 10, 8]

    page.locator("#import-back").click()
    page.locator("#import-told", has_text="Taken back on 1 image").wait_for()
    assert sum(store.counts(project).values()) == 0


def test_of_ten_thousand_images_the_page_holds_one_page(studio, open_page):
    project = studio.store.create_project("Crowd", "local").id
    fill(studio.store, project, 10_000)
    page = open_page()
    extent(page, "1–60 of 10,000")
    for start in ("61", "121", "181"):
        page.locator('#gallery [aria-label="Next page"]').click()
        extent(page, f"{start}–{int(start) + 59} of 10,000")
        assert page.locator("#gallery .tile").count() == 60


def test_a_page_at_rest_asks_nothing_of_the_server(project, open_page):
    page = open_page()
    page.locator("#panel-export > button").click()
    page.locator("#export-begin").click()
    page.locator("#export-ready").wait_for(timeout=30_000)
    page.wait_for_timeout(1000)
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(2000)
    assert [url for url in asked if "queue/join" in url or "component_server" in url] == []
