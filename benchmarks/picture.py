"""Takes the README's picture from the running studio: a photograph labelled by clicks in a headless browser.

The photograph comes with scikit-image; the masks are whatever the segmenter that needs no download answers.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.browser import chromium, served  # noqa: E402

PICTURE = ROOT / "assets" / "studio.png"
# Class, key, then what is clicked in the picture's own pixels: (x, y), or a box (x0, y0, x1, y1).
OBJECTS = [("nose", (269, 243)), ("eye", (324, 136)), ("eye", (134, 82, 207, 150))]


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
        project = studio.store.create_project("A few photographs", LOCAL)
        names = ("chelsea.png", "coffee.png", "astronaut.png", "rocket.jpg")
        intake.add_files(studio.store, project.id, LOCAL, [data / name for name in names])
        keys = {studio.store.add_class(project.id, name).hotkey: name for name in ("nose", "eye", "ear")}
        first = studio.store.images(project.id)[0]
        with served(serve(studio)) as address:
            page = browser.new_page(viewport={"width": 1360, "height": 860}, device_scale_factor=1.25)
            page.goto(f"{address}/?image={first.id}&model=grabcut")
            page.wait_for_function("window.__onelabel?.stage.picture && !document.querySelector('.ol-busy')")
            page.wait_for_timeout(1500)
            for number, (name, place) in enumerate(OBJECTS, 1):
                page.keyboard.press(next(key for key, named in keys.items() if named == name))
                show(page, *place)
                if number < len(OBJECTS):
                    page.keyboard.press("Enter")
                page.wait_for_timeout(500)
            page.screenshot(path=str(PICTURE))
        studio.close()
    print(f"{PICTURE.relative_to(ROOT)}: {PICTURE.stat().st_size / 1e3:.0f} kB")


def show(page, *place: float) -> None:
    """Click a point of the picture, or drag a box, and wait for the mask."""
    known = page.evaluate("window.__onelabel.latencies.length")
    canvas = page.locator("#canvas canvas").first.bounding_box()
    for i in range(0, len(place), 2):
        sx, sy = page.evaluate("([x, y]) => window.__onelabel.app.view.toScreen(x, y)", place[i : i + 2])
        page.mouse.move(canvas["x"] + sx, canvas["y"] + sy, steps=4)
        if i == 0:
            page.mouse.down()
    page.mouse.up()
    page.wait_for_function("n => window.__onelabel.latencies.length > n", arg=known, timeout=60_000)


if __name__ == "__main__":
    main()
