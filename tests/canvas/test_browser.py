"""The canvas in a real Chromium, against a labelling server in memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from studio.annotations import shape_from_json
from tests.canvas.fake_server import FakeImage, FakeServer, disc_annotation, many_masks
from tests.canvas.harness import make_app, picture

pytestmark = pytest.mark.browser
WIDTH, HEIGHT = 640, 480


@dataclass
class Opened:
    """A page with the canvas on it, in image coordinates; ``heard`` are the events Python got."""

    page: Any
    server: FakeServer
    heard: list[tuple[str, dict]]
    faults: list[str]

    def js(self, expression: str) -> Any:
        return self.page.evaluate(
            f"() => {{ const app = window.__onelabel.app, stage = app.stage; return {expression}; }}"
        )

    def until(self, expression: str, timeout: int = 8000) -> None:
        body = f"() => {{ const app = window.__onelabel?.app, stage = app?.stage; return app && ({expression}); }}"
        self.page.wait_for_function(body, timeout=timeout)

    def at(self, x: float, y: float) -> tuple[float, float]:
        rect = "app.host.getBoundingClientRect()"
        sx, sy, left, top = self.js(f"[...app.view.toScreen({x}, {y}), {rect}.left, {rect}.top]")
        return left + sx, top + sy

    def click(self, x: float, y: float, **more: Any) -> None:
        self.page.mouse.click(*self.at(x, y), **more)

    def drag(self, *points: tuple[float, float]) -> None:
        self.page.mouse.move(*self.at(*points[0]))
        self.page.mouse.down()
        for point in points[1:]:
            self.page.mouse.move(*self.at(*point), steps=4)
        self.page.mouse.up()

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def saved(self) -> None:
        self.until("!app.wire.pending")

    def stored(self, image: str = "a") -> list[dict[str, Any]]:
        return list(self.server.images[image].annotations.values())


def new_server(**more: Any) -> FakeServer:
    images = [FakeImage(i, f"{i}.jpg", WIDTH, HEIGHT, f"picture/{i}") for i in ("a", "b", "c")]
    return FakeServer(images, **more)


@pytest.fixture
def open_page(browser: Any, serve: Callable[..., str]) -> Iterator[Callable[..., Opened]]:
    pages: list[Opened] = []

    def start(server: FakeServer | None = None, **context: Any) -> Opened:
        server = server or new_server()
        heard: list[tuple[str, dict]] = []
        pictures = {i: picture(WIDTH, HEIGHT, n) for n, i in enumerate(server.images)}
        address = serve(make_app(server, pictures, heard))
        page = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **context}).new_page()
        opened = Opened(page, server, heard, [])
        page.on("pageerror", lambda error: opened.faults.append(str(error)))
        page.goto(address)
        opened.until("stage.picture || !stage.image && app.session.turn === 0", timeout=30000)
        pages.append(opened)
        return opened

    yield start
    faults = [fault for opened in pages for fault in opened.faults]
    for opened in pages:
        opened.page.context.close()
    assert not faults, faults


def test_click_correct_accept_undo_redo(open_page):
    c = open_page()
    c.click(300, 200)
    c.until("stage.activeObject?.shape && !app.wire.pending")
    (first,) = c.stored()
    assert first["draft"] and first["class"] == "apple" and first["prompt"]["points"] == [[300, 200, 1]]
    c.click(320, 210, button="right")
    c.saved()
    assert c.stored()[0]["prompt"]["points"][1][2] == 0
    c.press("Enter")
    c.saved()
    assert not c.stored()[0]["draft"] and c.js("stage.active") is None
    c.click(100, 100)
    c.saved()
    assert len(c.stored()) == 2
    c.press("z")
    c.saved()
    assert len(c.stored()) == 1 and c.js("stage.list().length") == 1
    c.press("Control+z", "Control+z")
    c.saved()
    assert c.stored()[0]["draft"] and len(c.js("stage.activeObject.clicks.points")) == 1
    c.press("y", "Shift+Z")
    c.saved()
    assert not c.stored()[0]["draft"]
    c.until("document.querySelector('.ol-saved').textContent.startsWith('saved')")
    entry = c.js("window.__onelabel.latencies[0]")
    assert entry["t_click"] < entry["t_answer"] <= entry["t_drawn"] and entry["decode_ms"] > 0


def test_escape_puts_the_unfinished_object_aside_and_undo_brings_it_back(open_page):
    c = open_page()
    c.click(300, 200)
    c.press("Escape")
    c.saved()
    assert c.stored() == [] and c.js("stage.objects.size") == 0
    c.press("z")
    c.saved()
    assert len(c.stored()) == 1
    c.until("stage.activeObject?.clicks.points.length === 1")


def test_drag_draws_a_box_and_a_point_is_moved_and_removed(open_page):
    c = open_page()
    c.drag((100, 100), (220, 180))
    c.saved()
    assert np.allclose(c.stored()[0]["prompt"]["box"], [100, 100, 220, 180], atol=1.5)
    c.click(160, 140)
    c.saved()
    c.drag((160, 140), (180, 150))
    c.saved()
    assert np.allclose(c.stored()[0]["prompt"]["points"], [[180, 150, 1]], atol=1.5)
    c.page.wait_for_timeout(400)
    c.click(180, 150)
    c.saved()
    assert c.stored()[0]["prompt"]["points"] == []


def test_candidates_are_cycled_and_the_chosen_one_is_kept(open_page):
    c = open_page()
    c.click(300, 200)
    c.until("stage.activeObject?.candidates?.length === 3 && !app.wire.pending")
    areas = c.js(
        "stage.activeObject.candidates.map(c => c.shape.counts.filter((_, i) => i % 2).reduce((a, b) => a + b))"
    )
    c.press("Tab", "c")
    c.saved()
    assert shape_from_json(c.stored()[0]["shape"]).area == areas[2]
    assert c.page.locator(".ol-cand").count() == 3
    assert "3 of 3" in c.page.locator(".ol-strip").inner_text()
    c.press("Tab")
    c.saved()
    assert shape_from_json(c.stored()[0]["shape"]).area == areas[0]


def test_hotkeys_choose_the_class_of_the_active_object_and_of_the_next(open_page):
    c = open_page()
    c.click(300, 200)
    c.press("2")
    c.press("Enter", "3")
    c.click(100, 100)
    c.saved()
    assert sorted(a["class"] for a in c.stored()) == ["background", "leaf"]


def test_the_first_click_without_any_class_makes_one(open_page):
    c = open_page(new_server(classes=[]))
    c.click(300, 200)
    c.saved()
    c.until("stage.classes[0]?.id")
    assert c.stored()[0]["class"] == "object" and c.server.classes[0]["name"] == "object"
    c.page.get_by_role("button", name="Add a class").click()
    c.page.keyboard.type("wing")
    c.press("Enter")
    c.until("stage.classes.length === 2 && stage.classes[1].id")
    assert c.js("stage.className") == "wing"


def test_a_double_click_takes_up_a_finished_mask_and_escape_gives_it_back(open_page):
    c = open_page()
    image = c.server.images["a"]
    c.server.others_put("a", disc_annotation("old", image, 300, 200, 60, "leaf"))
    c.page.reload()
    c.until("stage.picture && stage.objects.size === 1")
    before = c.stored()[0]["shape"]
    c.page.mouse.dblclick(*c.at(300, 200))
    c.saved()
    assert c.js("stage.active") == "old" and c.js("stage.objects.size") == 1
    c.click(360, 200)
    c.saved()
    (changed,) = c.stored()
    assert (
        changed["shape"] != before and not changed["draft"] and changed["prompt"]["points"] == [[360, 200, 1]]
    )
    c.press("Escape")
    c.saved()
    assert c.stored()[0]["shape"] == before


def test_brush_and_eraser_paint_pixel_for_pixel(open_page):
    c = open_page()
    c.press("b")
    c.js("app.brushTo(20)")
    c.drag((100, 100), (200, 100))
    c.saved()
    (made,) = c.stored()
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    mask = shape_from_json(made["shape"]).to_array()
    expected = np.hypot(np.clip(x + 0.5, 100, 200) - x - 0.5, y + 0.5 - 100) <= 10
    assert (mask & expected).sum() / (mask | expected).sum() > 0.95 and not made["draft"]
    c.press("e")
    c.drag((150, 80), (150, 120))
    c.saved()
    assert not shape_from_json(c.stored()[0]["shape"]).to_array()[100, 150] and len(c.stored()) == 1
    c.press("z")
    c.saved()
    assert shape_from_json(c.stored()[0]["shape"]) == shape_from_json(made["shape"])


def test_polygon_vertices_are_put_in_moved_and_taken_out(open_page):
    c = open_page()
    c.press("p")
    for point in ((100, 100), (300, 100), (300, 300), (100, 300)):
        c.click(*point)
    c.press("Backspace")
    c.click(120, 280)
    c.press("Enter")
    c.saved()
    ring = lambda: c.stored()[0]["shape"]["rings"][0]  # noqa: E731
    assert np.allclose(ring(), [[100, 100], [300, 100], [300, 300], [120, 280]], atol=1.5)
    c.drag((200, 100), (200, 60))
    c.saved()
    assert len(ring()) == 5 and np.allclose(ring()[1], [200, 60], atol=1.5)
    c.page.keyboard.down("Alt")
    c.click(300, 300)
    c.page.keyboard.up("Alt")
    c.saved()
    assert len(ring()) == 4
    c.page.mouse.move(*c.at(200, 60))
    c.press("Delete")
    c.saved()
    assert len(ring()) == 3 and len(c.stored()) == 1


def test_a_box_is_drawn_moved_and_resized(open_page):
    c = open_page()
    c.press("r")
    c.drag((100, 100), (200, 180))
    c.drag((200, 180), (240, 220))
    c.drag((150, 150), (170, 140))
    c.saved()
    (box,) = c.stored()
    assert np.allclose(box["shape"]["xyxy"], [120, 90, 260, 210], atol=2)


def test_select_cycles_through_overlapping_objects_and_delete_removes(open_page):
    server = new_server()
    for name, radius in (("big", 120), ("small", 40)):
        server.others_put("a", disc_annotation(name, server.images["a"], 300, 240, radius, "apple"))
    c = open_page(server)
    c.press("v")
    c.click(300, 240)
    assert c.js("stage.selected") == "small"
    c.page.wait_for_timeout(400)
    c.click(300, 240)
    assert c.js("stage.selected") == "big"
    c.press("Delete")
    c.saved()
    assert [a["id"] for a in c.stored()] == ["small"]


def test_nothing_is_lost_while_the_server_is_away_or_an_answer_is_lost(open_page):
    c = open_page()
    c.server.down = True
    c.click(300, 200)
    c.until("document.querySelector('.ol-saved').dataset.state === 'offline'")
    c.press("Enter")
    assert c.js("app.wire.pending") == 2
    c.server.down = False
    c.until("!app.wire.pending", timeout=15000)
    (first,) = c.stored()
    assert not first["draft"] and first["revision"] == 2
    c.server.lose_answers = 1
    c.click(100, 100)
    c.until("!app.wire.pending", timeout=15000)
    assert len(c.stored()) == 2 and max(a["revision"] for a in c.stored()) == 2
    assert c.js("stage.list().length") == 2


def test_what_others_change_appears_and_a_conflict_is_told(open_page):
    server = new_server()
    server.others_put("a", disc_annotation("x", server.images["a"], 300, 200, 50, "apple"))
    c = open_page(server)
    server.others_put("a", disc_annotation("y", server.images["a"], 100, 200, 50, "leaf"))
    c.until("stage.objects.has('y')", timeout=9000)
    server.others_put("a", disc_annotation("x", server.images["a"], 300, 200, 70, "leaf"))
    c.js("stage.select('x')")
    c.press("3")
    c.page.get_by_text("Somebody else changed").wait_for()
    c.until("stage.objects.has('x-mine') && stage.objects.get('x').class === 'leaf'")
    assert {a["id"]: a["class"] for a in c.stored()} == {"x": "leaf", "y": "leaf", "x-mine": "background"}


def test_a_missing_model_is_offered_and_the_click_goes_on_with_another(open_page):
    server = new_server()
    server.missing = True
    c = open_page(server)
    panel = c.page.locator(".ol-need")
    panel.wait_for()
    assert "156 MB" in panel.inner_text() and "Apache-2.0" in panel.inner_text()
    c.js("app.labelling.click(300, 200, true)")
    c.saved()
    assert c.stored() == []
    panel.get_by_role("button", name="Use GrabCut now").click()
    c.until("stage.activeObject?.shape && !app.wire.pending")
    assert c.stored()[0]["model"] == "simple" and panel.is_hidden()
    c.page.wait_for_timeout(300)
    assert ("need_model", {"model": "simple", "action": "use"}) in c.heard


def test_images_are_gone_through_by_keys_and_read_ahead(open_page):
    c = open_page()
    c.until("app.session.opened.has('b')")
    c.page.wait_for_timeout(300)
    assert [(r["image"], r.get("ahead")) for r in c.server.asked if r["op"] == "prepare"] == [
        ("a", None),
        ("b", True),
    ]
    c.press("ArrowRight")
    c.until("stage.image.id === 'b' && stage.picture")
    c.press("d")
    c.until("stage.image.id === 'c'")
    c.press(",")
    c.until("stage.image.id === 'b'")
    assert c.server.images["b"].status == "done"
    c.until("document.querySelector('.ol-done').getAttribute('aria-pressed') === 'true'")
    c.page.wait_for_timeout(800)
    assert [d["image"] for name, d in c.heard if name == "opened"][-1] == "b"


def test_python_opens_an_image_and_an_echo_does_not_move_the_person_back(open_page):
    c = open_page()
    c.page.get_by_role("tab", name="Other").click()
    assert not c.js("app.visible()")
    field = c.page.locator("#image-id textarea, #image-id input")
    field.fill("c")
    field.press("Enter")
    c.until("stage.image.id === 'c'")
    c.page.get_by_role("tab", name="Segment").click()
    c.until("app.visible() && app.view.width > 100 && app.view.scale > 0.5")
    c.click(300, 200)
    c.saved()
    assert len(c.stored("c")) == 1
    c.press(",")
    c.until("stage.image.id === 'b'")
    c.js("(app.props.image = 'b', app.imageProp(), app.props.image = 'c', 0)")
    assert c.js("stage.image.id") == "b"


def test_keys_are_left_to_other_fields(open_page):
    c = open_page()
    c.page.get_by_role("tab", name="Other").click()
    c.page.locator("#else textarea, #else input").fill("")
    c.page.keyboard.type("beprz1")
    assert c.page.locator("#else textarea, #else input").input_value() == "beprz1"
    assert c.js("stage.tool") == "smart"


def test_everything_goes_by_keyboard_alone_and_is_said(open_page):
    c = open_page()
    c.page.locator(".ol-view").focus()
    c.press("k", "Shift+ArrowRight", "ArrowUp", "Space")
    c.until("stage.activeObject?.shape && !app.wire.pending")
    said = "document.querySelector('.ol-sr[role=status]').textContent"
    c.until(f"/Mask of [0-9,]+ pixels, class apple, candidate 1 of 3/.test({said})")
    c.press("ArrowRight", "x")
    c.saved()
    (x, y, added), (x2, y2, taken) = c.stored()[0]["prompt"]["points"]
    assert abs(x - 330) <= 1 and abs(y - 239) <= 1 and (x2 - x, y2 - y, added, taken) == (1, 0, 1, 0)
    c.press("a")
    c.saved()
    assert not c.stored()[0]["draft"]
    c.press("Shift+ArrowDown", "Enter", "a", "g")
    c.saved()
    assert c.js("document.activeElement.getAttribute('role')") == "option"
    c.press("End", "Home")
    assert c.js("document.activeElement.getAttribute('aria-selected')") == "true"
    c.press("Delete")
    c.saved()
    assert len(c.stored()) == 1


def test_touch_adds_takes_away_and_pinches(open_page):
    c = open_page(viewport={"width": 390, "height": 780}, has_touch=True, is_mobile=True)
    assert c.js("document.documentElement.scrollWidth") <= 390
    c.page.touchscreen.tap(*c.at(300, 200))
    c.saved()
    session = c.page.context.new_cdp_session(c.page)
    x, y = c.at(420, 260)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        fingers = [{"x": a, "y": b, "id": i} for i, (a, b) in enumerate(points)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": fingers})

    touch("touchStart", (x, y))
    c.page.wait_for_timeout(650)
    touch("touchEnd")
    c.saved()
    assert [p[2] for p in c.stored()[0]["prompt"]["points"]] == [1, 0]
    before = c.js("app.view.scale")
    touch("touchStart", (x, y))
    touch("touchStart", (x, y), (x + 40, y))
    touch("touchMove", (x - 30, y), (x + 70, y))
    touch("touchEnd")
    assert c.js("app.view.scale") > before * 1.5 and len(c.stored()[0]["prompt"]["points"]) == 2


def test_hostile_names_are_shown_as_text(open_page):
    server = new_server(classes=["<img src=x onerror=window.hit=1>", "${alert(1)}{{b}}"])
    server.images["a"].name = "<svg onload=window.hit=1>.jpg"
    server.others_put(
        "a", disc_annotation("x", server.images["a"], 300, 200, 50, "<img src=x onerror=window.hit=1>")
    )
    c = open_page(server)
    c.js("stage.select('x')")
    c.page.locator(".ol-select").click()
    assert (
        c.page.locator(".ol-stage img, .ol-stage svg[onload]").count() == 0 and c.js("window.hit ?? 0") == 0
    )
    assert "<svg onload" in c.page.locator(".ol-file").inner_text()


def test_a_click_does_not_redraw_two_hundred_masks(open_page):
    server = new_server()
    many_masks(server.images["a"], 200, ["apple", "leaf"])
    c = open_page(server)
    c.until("app.panel.rows.size === 200")
    c.page.wait_for_timeout(300)
    before = c.js("app.layers.restRedrawn")
    for x in (200, 320, 440):
        c.click(x, 240)
        c.until(f"window.__onelabel.latencies.length === {(x - 80) // 120}")
    c.page.wait_for_timeout(200)
    c.press("Enter")
    c.saved()
    c.page.wait_for_timeout(100)
    assert c.js("app.layers.restRedrawn") == before


def test_the_stage_is_mounted_once_and_taken_down_when_its_element_goes(open_page):
    c = open_page()
    c.js("(window.old = app, app.element.closest('.html-container').remove(), 0)")
    c.page.wait_for_function("() => window.old.gone.signal.aborted")
    started = time.time()
    count = len(c.server.asked)
    c.page.wait_for_timeout(5500)
    assert len(c.server.asked) == count and time.time() - started > 5
