"""Takes the README's picture from the running studio: a photograph labelled by clicks in a headless browser.

The photograph comes with scikit-image; the masks are whatever the segmenter that needs no download answers.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.browser import chromium, served

PICTURE = ROOT / "assets" / "studio.png"
# Class, key, then what is clicked in the picture's own pixels: (x, y), or a box (x0, y0, x1, y1).
OBJECTS = [("saucer", (340, 330)), ("coffee", (300, 180)), ("spoon", (405, 285))]


def main() -> None:
    import skimage

    from studio.access import LOCAL
    from studio.app import serve
    from studio.operations import intake
    from studio.settings import Settings
    from studio.studio import Studio

    data = Path(skimage.__file__).parent / "data"
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        studio = Studio(Settings(Path(folder)))
        project = studio.store.create_project("Breakfast", LOCAL)
        names = ("coffee.png", "chelsea.png", "astronaut.png", "rocket.jpg")
        intake.add_files(studio.store, project.id, LOCAL, [data / name for name in names])
        for name, _ in OBJECTS:
            studio.store.add_class(project.id, name)
        first = studio.store.images(project.id)[0]
        with served(serve(studio)) as address:
            page = browser.new_page(viewport={"width": 1360, "height": 860}, device_scale_factor=1.25)
            page.goto(f"{address}/?image={first.id}&model=grabcut")
            page.wait_for_function("window.__onelabel?.stage.picture && !document.querySelector('.ol-busy')")
            page.wait_for_timeout(1500)
            for number, (_, place) in enumerate(OBJECTS, 1):
                page.keyboard.press(str(number))
                click(page, *place)
                if number < len(OBJECTS):
                    page.keyboard.press("Enter")
                page.wait_for_timeout(500)
            page.screenshot(path=str(PICTURE))
        studio.close()
    print(f"{PICTURE.relative_to(ROOT)}: {PICTURE.stat().st_size / 1e3:.0f} kB")


def click(page, x: float, y: float) -> None:
    known = page.evaluate("window.__onelabel.latencies.length")
    canvas = page.locator("#canvas canvas").first.bounding_box()
    sx, sy = page.evaluate("([x, y]) => window.__onelabel.app.view.toScreen(x, y)", [x, y])
    page.mouse.click(canvas["x"] + sx, canvas["y"] + sy)
    page.wait_for_function("n => window.__onelabel.latencies.length > n", arg=known, timeout=60_000)


if __name__ == "__main__":
    main()
