"""How long a click takes, from the button to the drawn mask, in a real browser.

Three parts, each in this one run: our canvas (a segmenter that answers at once, so that only the way is
measured; with no mask and with 200 masks on the image), the plain way (gr.Image.select returning a picture,
encoding at every click) with the same SAM 2.1 on both sides, and encode + 20 clicks of each family against its
reference predictor in the same process. Weights are random: they do not change the time.
"""

from __future__ import annotations

import io
import itertools
import sys
import tempfile
from pathlib import Path
from statistics import median

import gradio as gr
import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import reference
from benchmarks.browser import chromium, served
from benchmarks.common import parser, save, table
from studio.adapters import Candidate, Card, Embedding
from studio.annotations import Annotation, Mask, Point, Prompt

WIDTH, HEIGHT = 1024, 768
QUICK_FAMILIES = "sam2,ritm,focalclick,cdnet"  # the others' encoders take long on a processor
PAGE = {"width": 1440, "height": 1000}


class Idle:
    """A segmenter that answers with a disc at once; counts its encodings."""

    def __init__(self) -> None:
        self.encodes = 0

    def embed(self, image: np.ndarray) -> Embedding:
        self.encodes += 1
        return Embedding(*image.shape[:2], None, 1000)

    def segment(
        self, embedding: Embedding, prompt: Prompt, previous: np.ndarray | None = None
    ) -> list[Candidate]:
        p = prompt.points[-1]
        return [Candidate(disc(p.x, p.y, 120), 0.9)]


def disc(x: float, y: float, radius: float) -> Mask:
    ys, xs = np.mgrid[:HEIGHT, :WIDTH]
    return Mask.from_array((xs - x) ** 2 + (ys - y) ** 2 < radius**2)


def smooth(sam):
    """Let a SAM of random weights compute all it has to, and answer with discs.

    Its own answers are noise: hundreds of thousands of runs, which no photograph's objects have.
    """
    decode, asked = sam._decode, itertools.count(1)

    def decode_to_discs(*arguments):
        logits, scores = decode(*arguments)
        ys, xs = np.mgrid[: logits.shape[1], : logits.shape[2]] / logits.shape[1] - 0.5
        grown = 0.003 * next(asked)  # each differs, or a browser would have nothing new to draw
        discs = [20 * (r + grown - np.hypot(xs, ys)) for r in (0.1, 0.15, 0.2)[: len(logits)]]
        return np.stack(discs).astype(np.float32), scores

    sam._decode = decode_to_discs
    return sam


def card(card_id: str, load, rank: int) -> Card:
    return Card(card_id, card_id, "benchmark", ("segmenter",), ("point",), "none", load, 1000, rank=rank)


def photograph(seed: int) -> bytes:
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 255, (HEIGHT // 16, WIDTH // 16, 3), dtype=np.uint8)
    pixels = np.asarray(Image.fromarray(small).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC), np.int16)
    pixels = np.clip(pixels + rng.integers(-12, 12, pixels.shape), 0, 255).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=90)
    return out.getvalue()


def canvas_clicks(
    page, address: str, image_id: str, model: str, clicks: int, seed: int, an_object: int = 5
) -> list[dict]:
    """Open an image and click it, ``an_object`` clicks each; return what the page noted of each click, in ms."""
    page.goto(f"{address}/?image={image_id}&model={model}")
    canvas = page.locator("#canvas canvas").first
    canvas.wait_for(state="visible", timeout=60_000)
    ready = """([id, model]) => { const stage = window.__onelabel?.stage;
        return stage?.image?.id === id && stage.model === model && stage.picture
          && !document.querySelector('.ol-busy, .ol-loading'); }"""
    for _ in range(2):  # between opening and encoding there is a moment that looks ready
        page.wait_for_function(ready, arg=[image_id, model], timeout=120_000)
        page.wait_for_timeout(400)
    box = canvas.bounding_box()
    for i in range(clicks):
        known = page.evaluate("window.__onelabel.latencies.length")
        # A sequence without near neighbours (steps of 1/φ₂ and 1/φ₂²): a click on a point takes it away.
        x, y = 0.3 + 0.4 * ((seed * 0.37 + (i + 1) * np.array([0.7548777, 0.5698403])) % 1)
        page.mouse.click(box["x"] + x * box["width"], box["y"] + y * box["height"])
        page.wait_for_function(
            "n => window.__onelabel.latencies.length > n", arg=known, timeout=60_000, polling=20
        )
        if i % an_object == an_object - 1:
            page.keyboard.press("Enter")  # accept, and start the next object
        page.wait_for_timeout(120)
    return page.evaluate("window.__onelabel.latencies")


def overheads(noted: list[dict]) -> list[float]:
    """Return click to drawn, less the model's own time; the first click of a page warms it up."""
    return [n["t_drawn"] - n["t_click"] - n["decode_ms"] for n in noted[1:]]


def whole(noted: list[dict]) -> list[float]:
    return [n["t_drawn"] - n["t_click"] for n in noted[1:]]


def plain_app(model):
    """The plain way: a picture goes back for every click, and the image is encoded for every click."""
    pixels = np.asarray(Image.open(io.BytesIO(photograph(0))))

    def select(event: gr.SelectData, points: list):
        points = [*points, (event.index[0], event.index[1])][-5:]
        prompt = Prompt(tuple(Point(float(x), float(y)) for x, y in points))
        mask = model.segment(model.embed(pixels), prompt)[0].mask.to_array()
        drawn = pixels.copy()
        drawn[mask] = (drawn[mask] * 0.45 + np.array([30, 144, 255]) * 0.55).astype(np.uint8)
        return drawn, points

    with gr.Blocks(analytics_enabled=False) as page:
        points = gr.State([])
        image = gr.Image(pixels, interactive=False, elem_id="plain", height=HEIGHT)
        image.select(select, points, [image, points], show_progress="hidden")
    from fastapi import FastAPI

    return gr.mount_gradio_app(FastAPI(), page, path="/", ssr_mode=False)


def plain_clicks(page, address: str, clicks: int, seed: int) -> list[float]:
    page.goto(address)
    image = page.locator("#plain img")
    image.wait_for(state="visible", timeout=60_000)
    page.wait_for_timeout(1000)
    rng, times = np.random.default_rng(seed), []
    for _ in range(clicks + 1):
        box, before = image.bounding_box(), image.get_attribute("src")
        x, y = rng.uniform(0.35, 0.65, 2)
        page.evaluate(
            """before => { const i = document.querySelector('#plain img'); window.__drawn = null;
            addEventListener('pointerdown', () => { window.__pressed = performance.now(); }, {once: true});
            const look = () => { const now = document.querySelector('#plain img');
              if (now && now.src !== i.src || now && now.getAttribute('src') !== before) {
                now.decode().then(() => requestAnimationFrame(() => {
                  window.__drawn = performance.now() - window.__pressed; })); return; }
              requestAnimationFrame(look); }; look(); }""",
            before,
        )
        page.mouse.click(box["x"] + x * box["width"], box["y"] + y * box["height"])
        page.wait_for_function("window.__drawn !== null", timeout=120_000, polling=20)
        times.append(page.evaluate("window.__drawn"))
    return times[1:]


def browser_part(clicks: int, plain: int, seed: int) -> dict[str, float | int | None]:
    from models._sam.sam2 import Sam2Segmenter
    from studio.access import LOCAL
    from studio.app import serve
    from studio.project import Change
    from studio.registry import Registry
    from studio.settings import Settings
    from studio.studio import Studio

    idle, sam = Idle(), smooth(Sam2Segmenter(reference.random_sam2()))
    registry = Registry([card("idle", lambda *_: idle, 0), card("sam2-random", lambda *_: sam, 1)])
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        studio = Studio(Settings(Path(folder)), registry=registry)
        project = studio.store.create_project("clicks", LOCAL)
        records = []
        for i in range(3):
            data = photograph(i)
            records.append(
                studio.store.add_image(
                    project.id,
                    f"{i}.jpg",
                    data,
                    width=WIDTH,
                    height=HEIGHT,
                    display=None,
                    thumbnail=data,
                    person=LOCAL,
                )[0]
            )
        rng = np.random.default_rng(seed)
        many = [Annotation("thing", disc(*rng.uniform((0, 0), (WIDTH, HEIGHT)), 60)) for _ in range(200)]
        studio.store.apply(records[1].id, LOCAL, [Change(a) for a in many], verb="put")
        with served(serve(studio)) as ours, served(plain_app(sam)) as theirs:
            page = browser.new_page(viewport=PAGE)
            empty, full = [], []
            for round_ in range(2):  # A B A B
                empty += overheads(
                    canvas_clicks(page, ours, records[0].id, "idle", clicks // 2, seed + round_)
                )
                full += overheads(
                    canvas_clicks(page, ours, records[1].id, "idle", clicks // 2, seed + round_)
                )
            # Two images and the next ones read ahead: each of the three was encoded at most once.
            encodes = idle.encodes / len(records)
            ours_ms = whole(canvas_clicks(page, ours, records[2].id, "sam2-random", plain + 1, seed, 1))
            theirs_ms = plain_clicks(page, theirs, plain, seed)
        studio.close()
    return {
        "overhead_median_ms": median(empty),
        "overhead_p90_ms": float(np.percentile(empty, 90)),
        "overhead_ratio_200_masks": median(full) / median(empty),
        "encodes_per_image": encodes,
        "our_click_ms": median(ours_ms),
        "gr_image_click_ms": median(theirs_ms),
        "vs_gr_image_ratio": median(ours_ms) / median(theirs_ms),
    }


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--families", default="", help="measure these only, as sam,ritm")
    options.add_argument("--no-browser", action="store_true", help="leave the browser's part out")
    arguments = options.parse_args()
    quick = arguments.quick
    figures: dict[str, float | int | None] = {}
    if not arguments.no_browser:
        try:
            figures |= browser_part(20 if quick else 60, 2 if quick else 6, arguments.seed)
        except ImportError as missing:
            print(f"The browser part was left out: {missing}")
    families = arguments.families or (QUICK_FAMILIES if quick else "")
    figures |= reference.ratios(1 if quick else 5, 20, arguments.seed, families)
    bars = {
        "overhead_median_ms": "≤ 40",
        "overhead_p90_ms": "≤ 80",
        "overhead_ratio_200_masks": "≤ 1.1",
        "encodes_per_image": "= 1",
        "vs_gr_image_ratio": "≤ 0.25",
    }
    rows = [
        (k, v, bars.get(k, "≤ 1.05" if k.endswith("_vs_reference_ratio") else "")) for k, v in figures.items()
    ]
    print(table(["figure", "value", "bar"], rows))
    save(figures, arguments.json)


if __name__ == "__main__":
    main()
