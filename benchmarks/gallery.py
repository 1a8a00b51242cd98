"""How long the page stands still while 10,000 thumbnails are paged and scrolled, in headless Chromium.

Prints the longest block of the main thread over several passes, each of six page turns with a scroll from top to
bottom; the median pass counts.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.browser import chromium, served
from benchmarks.common import parser, save, table

TURN_AND_SCROLL = """async () => {
  const blocks = [];
  const seen = new PerformanceObserver((list) => blocks.push(...list.getEntries().map((e) => e.duration)));
  seen.observe({type: 'longtask'});
  const frame = () => new Promise(requestAnimationFrame);
  const grid = document.querySelector('#gallery .grid');
  for (let i = 0; i < 6; i += 1) {
    const first = grid.firstChild.dataset.id;
    document.querySelector('#gallery [aria-label="Next page"]').click();
    while (grid.firstChild.dataset.id === first) await frame();
    for (let y = 0; y < grid.scrollHeight; y += 250) { grid.scrollTop = y; await frame(); }
  }
  await new Promise((done) => setTimeout(done, 300));
  seen.disconnect();
  return Math.max(0, ...blocks);
}"""


def longest_blocks(images: int, passes: int) -> list[float]:
    """Return the longest block of each pass in ms; what is shorter than 50 ms counts as 0, as browsers have it."""
    from studio.access import LOCAL
    from studio.app import serve
    from studio.settings import Settings
    from studio.studio import Studio
    from tests.gallery.crowd import fill

    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        studio = Studio(Settings(Path(folder)))
        fill(studio.store, studio.store.create_project("Crowd", LOCAL).id, images)
        with served(serve(studio)) as address:
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            page.goto(address)
            page.wait_for_selector("#gallery .tile", timeout=60_000)
            page.wait_for_timeout(2000)
            found = [page.evaluate(TURN_AND_SCROLL) for _ in range(passes)]
        studio.close()
    return found


def main() -> None:
    arguments = parser(__doc__).parse_args()
    blocks = longest_blocks(10_000, 3 if arguments.quick else 7)
    figures = {"longest_block_ms_10k": median(blocks)}
    print(
        table(
            ["figure", "value", "bar"], [("longest_block_ms_10k", figures["longest_block_ms_10k"], "≤ 200")]
        )
    )
    save(figures, arguments.json)


if __name__ == "__main__":
    main()
