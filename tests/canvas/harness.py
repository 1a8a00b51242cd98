"""Mounts the canvas on a page with the fake server. Run it to try the canvas by hand: python -m tests.canvas.harness"""

from __future__ import annotations

import argparse
import io
import os
from pathlib import Path

import gradio as gr
import numpy as np
import uvicorn
from fastapi import FastAPI, Response
from PIL import Image

from studio.canvas.canvas import FOLDER, prompt_canvas
from studio.scripts import ScriptFiles
from tests.canvas.fake_server import FakeImage, FakeServer, many_masks

DATA = Path(
    os.environ.get("STUDIO_SHARED_DATA", Path(__file__).resolve().parents[2].parent / "shared" / "data")
)


def picture(width: int, height: int, seed: int = 0) -> bytes:
    """A JPEG that looks like soft blobs, so that the tests need no file."""
    random = np.random.default_rng(seed)
    small = random.integers(40, 220, (max(2, height // 96), max(2, width // 96), 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC).save(out, "JPEG", quality=88)
    return out.getvalue()


def make_app(
    server: FakeServer, pictures: dict[str, bytes], heard: list[tuple[str, dict]] | None = None
) -> FastAPI:
    heard = heard if heard is not None else []
    app = FastAPI()
    app.mount("/static/canvas", ScriptFiles(FOLDER))

    @app.get("/picture/{image_id}")
    def serve(image_id: str) -> Response:
        return Response(pictures[image_id], media_type="image/jpeg")

    def note(name: str):
        def hear(event: gr.EventData) -> None:
            heard.append((name, dict(event._data)))

        return hear

    with gr.Blocks(title="Canvas", fill_width=True) as page:
        first = next(iter(server.images), "")
        with gr.Tabs():
            with gr.Tab("Segment"):
                canvas = prompt_canvas(server, image=first, model="sam2.1-tiny", model_title="SAM 2.1 tiny")
            with gr.Tab("Other"):
                box = gr.Textbox(label="Something else", elem_id="else")
                to = gr.Textbox(label="Image", elem_id="image-id")
        box.submit(lambda value: gr.HTML(model=value), box, canvas)
        to.submit(lambda value: gr.HTML(image=value), to, canvas)
        for name in ("opened", "saved", "need_model"):
            # "once", the default, would drop a move that follows quickly on another
            getattr(canvas, name)(
                note(name), None, None, show_progress="hidden", queue=False, trigger_mode="always_last"
            )
    return gr.mount_gradio_app(app, page, path="/")


def demo(masks: int = 0, width: int = 1024, height: int = 768) -> tuple[FakeServer, dict[str, bytes]]:
    """Three images: a photograph where there is one, a wide one, a large one."""
    found = sorted((DATA / "inst_coco6" / "images").glob("*.jpg"))[:2] if DATA.is_dir() else []
    images, pictures = [], {}
    for i, path in enumerate(found):
        with Image.open(path) as opened:
            images.append(FakeImage(f"p{i}", path.name, *opened.size, url=f"picture/p{i}"))
        pictures[f"p{i}"] = path.read_bytes()
    for i, (w, h) in enumerate([(width, height), (4000, 3000)]):
        images.append(FakeImage(f"s{i}", f"blobs {w} × {h}.jpg", w, h, url=f"picture/s{i}"))
        pictures[f"s{i}"] = picture(w, h, i)
    server = FakeServer(images)
    if masks:
        many_masks(server.images["s0"], masks, [c["name"] for c in server.classes])
    return server, pictures


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=7871)
    parser.add_argument("--masks", type=int, default=0)
    arguments = parser.parse_args()
    uvicorn.run(make_app(*demo(arguments.masks)), port=arguments.port, log_level="warning")
