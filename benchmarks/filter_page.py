"""How the Filter page behaves with a large collection, in headless Chromium.

Prints the longest block of the main thread while 10,000 ranked thumbnails are scrolled from top to bottom and the
threshold is dragged to and fro (the median of several passes counts), how many questions the drag asked of the server
(none), and how long it takes from Enter to the ranked pictures' places on the page.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.browser import chromium, served
from benchmarks.common import parser, save, table

MODEL = "demo-clip"

SCROLL_AND_DRAG = """async () => {
  const blocks = [];
  const seen = new PerformanceObserver((list) => blocks.push(...list.getEntries().map((e) => e.duration)));
  seen.observe({type: 'longtask'});
  const frame = () => new Promise(requestAnimationFrame);
  const reel = document.querySelector('#filter-page .reel');
  for (let y = 0; y <= reel.scrollHeight; y += 300) { reel.scrollTop = y; await frame(); }
  for (const part of [0.2, 0.9, 0.5, 0.05, 0]) {
    reel.scrollTop = part * reel.scrollHeight;
    await new Promise((done) => setTimeout(done, 120));
  }
  const line = document.querySelector('#filter-page .histogram canvas');
  const box = line.getBoundingClientRect();
  const send = (kind, share) => line.dispatchEvent(new PointerEvent(kind, {
    bubbles: true, button: 0, pointerId: 1, clientX: box.left + share * box.width, clientY: box.top + 20}));
  line.setPointerCapture = () => {};
  for (const shown of ['all', 'kept', 'left']) {
    document.querySelector(`#filter-page [data-shown=${shown}]`).click();
    send('pointerdown', 0.1);
    for (let i = 0; i < 40; i += 1) { send('pointermove', 0.1 + 0.8 * Math.abs(Math.sin(i / 6))); await frame(); }
    send('pointerup', 0.5);
    await new Promise((done) => setTimeout(done, 150));
  }
  document.querySelector('#filter-page [data-shown=all]').click();
  await new Promise((done) => setTimeout(done, 300));
  seen.disconnect();
  return Math.max(0, ...blocks);
}"""

ASK = """async (phrase) => {
  const box = document.querySelector('#filter-page input[type=search]');
  const reel = document.querySelector('#filter-page .reel');
  const top = () => reel.querySelector('.tile[data-place="0"]:not([hidden])');
  const first = () => top()?.querySelector('.caption b').textContent + top()?.dataset.row;
  const before = first();
  box.value = phrase;
  const started = performance.now();
  box.form.requestSubmit();
  while (first() === before && performance.now() - started < 10_000) await new Promise(requestAnimationFrame);
  return performance.now() - started;
}"""


@dataclass
class Found:
    """Longest blocks (ms; what is shorter than 50 ms counts as 0, as browsers have it), times from Enter to pictures
    (ms), and how many questions the server was asked while scores were scrolled and the threshold dragged."""

    blocks: list[float]
    times: list[float]
    asked: int


def measured(images: int, passes: int, *, pictures: bool = True) -> Found:
    """Drive the page over a project of so many images; without ``pictures`` their files are not there."""
    from studio.access import LOCAL
    from studio.app import serve
    from studio.settings import Settings
    from studio.studio import Studio

    phrases = ["a banana", "a pear on wood", "a red apple", "two cups", "a leaf", "a dark table", "a spoon"]
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        studio = Studio(Settings(Path(folder)))
        project = studio.store.create_project("Crowd", LOCAL).id
        crowd(studio, project, images, pictures=pictures)
        with served(serve(studio)) as address:
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.goto(address)
            page.wait_for_selector("#gallery .tile", timeout=120_000)
            page.get_by_role("tab", name="Filter").click()
            page.wait_for_selector("#filter-page .reel .tile:not([hidden])", timeout=120_000)
            page.wait_for_timeout(1500)
            page.evaluate(ASK, "a plum")  # loads the model
            page.wait_for_timeout(1500)
            times = [page.evaluate(ASK, phrase) for phrase in phrases]
            page.wait_for_timeout(1000)
            asked: list[str] = []
            page.on("request", lambda request: _note(asked, request))
            blocks = [page.evaluate(SCROLL_AND_DRAG) for _ in range(passes)]
        studio.close()
    return Found(blocks, times, len(asked))


def _note(asked: list[str], request) -> None:
    """Note a question about scores; names of the tiles that come into sight are none."""
    text = request.post_data or ""
    if "component_server" in request.url and not ('"op":"names"' in text or '"op":"state"' in text):
        asked.append(text[:200])


def crowd(studio, project: str, images: int, *, pictures: bool = True) -> None:
    """Fill a project with images whose vectors are random, a few of them near each phrase."""
    from studio.operations.filtering.collection import embedder, vectors_of
    from tests.gallery.crowd import fill

    fill(studio.store, project, images, pictures=24 if pictures else 1)
    rng = np.random.default_rng(0)
    length = studio.pool.run(MODEL, lambda model: model.embed_texts(["a pear"])).shape[1]
    file = vectors_of(studio, embedder(studio, MODEL))
    digests = studio.store.image_keys(project).digests
    for start in range(0, images, 10_000):
        part = digests[start : start + 10_000]
        vectors = rng.normal(size=(len(part), length)).astype(np.float32)
        file.append(part, vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def main() -> None:
    arguments = parser(__doc__).parse_args()
    small = measured(10_000, 3 if arguments.quick else 7)
    figures: dict[str, float | int | None] = {
        "longest_block_ms_10k": median(small.blocks),
        "questions_while_dragging": small.asked,
        "page_query_10k_ms": median(small.times),
        "page_query_100k_ms": None,
    }
    if not arguments.quick:
        figures["page_query_100k_ms"] = median(measured(100_000, 0).times)
    bars = {"longest_block_ms_10k": "≤ 200", "questions_while_dragging": "= 0", "page_query_100k_ms": "≤ 150"}
    print(table(["figure", "value", "bar"], [(k, v, bars.get(k, "")) for k, v in figures.items()]))
    save(figures, arguments.json)


if __name__ == "__main__":
    main()
