"""Stand-ins: a store in memory, a decoder that misbehaves on demand, and a server on loopback."""

from __future__ import annotations

import hashlib
import io
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import numpy as np
from PIL import Image

from studio.intake.web import Fetcher

PUBLIC = "93.184.215.14"


class FakeStore:
    """Keeps what it is given in a dict, as the contract of ``Store.add_image`` says."""

    def __init__(self) -> None:
        self.images: dict[str, dict[str, Any]] = {}

    def add_image(self, project_id: str, name: str, data: bytes, **rest: Any) -> tuple[Any, bool]:
        digest = hashlib.sha256(data).hexdigest()
        new = digest not in self.images
        if new:
            self.images[digest] = {"name": name, "data": data, **rest}
        return SimpleNamespace(id=digest, name=self.images[digest]["name"]), new

    @property
    def names(self) -> list[str]:
        return [image["name"] for image in self.images.values()]


def picture(seed: int = 0, width: int = 40, height: int = 30) -> Image.Image:
    """Return a smooth picture with no symmetry, unlike that of any other seed."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (3, 4, 3), dtype=np.uint8))
    return small.resize((width, height), Image.Resampling.BILINEAR)


def encoded(seed: int = 0, format: str = "PNG", image: Image.Image | None = None, **options: Any) -> bytes:
    out = io.BytesIO()
    (image or picture(seed)).save(out, format, **options)
    return out.getvalue()


MISBEHAVING = """
import ctypes, os, sys, time
from studio import images
from studio.intake.worker import main

def derive(data, name):
    if data.startswith(b"CRASH"): ctypes.string_at(0)
    if data.startswith(b"HANG"): time.sleep(60)
    if data.startswith(b"EAT"): bytearray(3 << 30)
    if data.startswith(b"BUG"): raise ZeroDivisionError("oh")
    if data.startswith(b"PRINT"): os.write(1, b"noise on standard output")
    if data.startswith(b"LIE"):
        os.write(3, b'{"width": 4, "height": 4, "format": "PNG", "display": -5, "thumbnail": 9}\\n')
        time.sleep(60)
    if data.startswith(b"ENV"):
        return images.Derived(1, 1, "PNG", None, repr(sorted(os.environ)).encode())
    return images.derive(data[5:] if data.startswith(b"PRINT") else data, name)

main(derive)
"""
MISBEHAVING_COMMAND = (sys.executable, "-c", MISBEHAVING)

Answer = tuple[int, dict[str, str], bytes | Iterator[bytes]]


@contextmanager
def serving(answer: Callable[[str, dict[str, str]], Answer]) -> Iterator[SimpleNamespace]:
    """Serve on loopback; ``answer`` gets host + path and the headers. Yields its port and what was asked."""
    asked: list[tuple[str, dict[str, str]]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            headers = dict(self.headers)
            asked.append((headers.get("Host", "") + self.path, headers))
            status, out, body = answer(*asked[-1])
            self.send_response(status)
            if isinstance(body, bytes) and "Content-Length" not in out:
                out = {**out, "Content-Length": str(len(body))}
            for key, value in out.items():
                self.send_header(key, value)
            self.end_headers()
            try:
                for part in [body] if isinstance(body, bytes) else body:
                    self.wfile.write(part)
                    self.wfile.flush()
            except OSError:
                self.close_connection = True

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield SimpleNamespace(port=server.server_port, asked=asked)
    finally:
        server.shutdown()
        server.server_close()


class Wires:
    """A fake network: a table of hosts, and one real port behind every address connected to."""

    def __init__(self, port: int = 0, hosts: dict[str, list[str]] | None = None) -> None:
        self.port = port
        self.hosts = hosts or {}
        self.connected: list[tuple[str, int]] = []

    def resolve(self, host: str, port: int) -> list[str]:
        return self.hosts.get(host, [PUBLIC])

    def connect(self, ip: str, port: int, seconds: float) -> socket.socket:
        self.connected.append((ip, port))
        return socket.create_connection(("127.0.0.1", self.port), timeout=seconds)

    def fetcher(self, **options: Any) -> Fetcher:
        return Fetcher(resolve=self.resolve, connect=self.connect, **options)
