"""What many tests stand on: a studio in a folder of its own, a running server, a browser."""

from __future__ import annotations

import io
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.fakes import DiscSegmenter, disc_card

ROOT = Path(__file__).parents[1]
SHARED_DATA = Path(os.environ.get("STUDIO_SHARED_DATA", ROOT.parent / "shared" / "data"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    if not SHARED_DATA.is_dir():
        pytest.skip("the annotated sets in ../shared/data are not here")
    return SHARED_DATA


@pytest.fixture(autouse=True)
def own_folders(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep every test out of the user's own data and model folders."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("STUDIO_DATA", str(home / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))


def photograph(width: int = 320, height: int = 240, seed: int = 0) -> bytes:
    """Return a JPEG of smooth noise, unlike that of any other seed."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 255, (max(height // 16, 2), max(width // 16, 2), 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC).save(out, "JPEG", quality=90)
    return out.getvalue()


def add_photograph(store, project_id: str, name: str = "a.jpg", person: str = "local", **size):
    """Put a photograph into a project by the store alone."""
    data = photograph(**size)
    with Image.open(io.BytesIO(data)) as image:
        width, height = image.size
    record, _ = store.add_image(
        project_id, name, data, width=width, height=height, display=None, thumbnail=data, person=person
    )
    return record


@pytest.fixture
def disc() -> DiscSegmenter:
    return DiscSegmenter()


@pytest.fixture
def studio(tmp_path: Path, disc: DiscSegmenter) -> Iterator:
    """A studio with the disc segmenter alone."""
    from studio.registry import Registry
    from studio.settings import Settings
    from studio.studio import Studio

    made = Studio(Settings(tmp_path / "data", sample=False), registry=Registry([disc_card(disc)]))
    yield made
    made.close()


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    """Start ASGI apps on loopback; each call returns an address, and all are stopped at the end."""
    import uvicorn

    running: list[tuple[uvicorn.Server, threading.Thread]] = []

    def start(app) -> str:
        port = free_port()
        server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error"))
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        deadline = time.monotonic() + 30
        while not server.started:
            if time.monotonic() > deadline or not thread.is_alive():
                raise RuntimeError("the test server did not start")
            time.sleep(0.02)
        running.append((server, thread))
        return f"http://127.0.0.1:{port}"

    yield start
    for server, thread in running:
        server.should_exit = server.force_exit = True
        thread.join(5)


CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def find_chromium() -> str | None:
    import shutil

    names = ("chromium", "chromium-browser", "google-chrome")
    return os.environ.get("STUDIO_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)


@pytest.fixture(scope="session")
def browser() -> Iterator:
    path = find_chromium()
    if path is None:
        pytest.skip("no Chromium is installed: install Debian's package chromium, or set STUDIO_CHROMIUM")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        yield opened
        opened.close()
