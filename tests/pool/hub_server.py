"""A small server that answers what the Hugging Face hub answers to those who fetch a model."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from tests.pool.local_server import LocalServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class FakeHubServer(LocalServer):
    """Serves ``files`` as the model ``hub_id``. The other fields make it behave badly."""

    hub_id: str
    files: dict[str, bytes]
    piece: int = 1 << 14
    pause: float = 0.0  # seconds between pieces
    break_after: int | None = None  # bytes of a file, once
    status: int | None = None
    error_code: str = ""
    ignore_ranges: bool = False
    spoil: bool = False
    gate: dict[str, int] | None = None  # by token the status it is answered with; others 401, as on the hub
    open_listing: bool = (
        False  # whether everybody may see what files there are, as of gated models on the hub
    )
    facts: dict = field(default_factory=dict)  # what else the listing says of the model
    elsewhere: str = ""  # where the weights lie
    heard: list[tuple[str, str]] = field(default_factory=list)  # path, and the authorization sent with it
    asked: list[str] = field(default_factory=list)

    def handler(self) -> type[BaseHTTPRequestHandler]:
        return _handler(self)

    @property
    def endpoint(self) -> str:
        return self.address

    def listing(self) -> dict:
        siblings = []
        for name, data in self.files.items():
            entry = {"rfilename": name, "size": len(data), "blobId": _git_digest(data)}
            if name.endswith(".safetensors"):
                entry["lfs"] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
            siblings.append(entry)
        return {"id": self.hub_id, "sha": COMMIT, "gated": False, "siblings": siblings, **self.facts}


def checkpoint_files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def _git_digest(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def _handler(hub: FakeHubServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self._answer(200, b"")

        def do_GET(self) -> None:
            address = urlsplit(self.path)
            path, query = unquote(address.path), parse_qs(address.query)
            hub.asked.append(f"{path} {self.headers.get('range', '')}".strip())
            given = self.headers.get("authorization", "")
            hub.heard.append((path, given))
            if hub.gate is not None and not (hub.open_listing and path.startswith("/api/")):
                status = hub.gate.get(given.removeprefix("Bearer "), 401)
                if status != 200:
                    return self._answer(
                        status, b"no", {"x-error-code": "" if given and status == 401 else "GatedRepo"}
                    )
            if hub.status is not None:
                return self._answer(hub.status, b"no", {"x-error-code": hub.error_code})
            listing = [f"/api/models/{hub.hub_id}/revision/{version}" for version in ("main", COMMIT)]
            if path in listing and query.get("blobs") == ["true"]:
                return self._answer(200, json.dumps(hub.listing()).encode())
            name = path.removeprefix(f"/{hub.hub_id}/resolve/{COMMIT}/")
            if name not in hub.files:
                return self._answer(404, b"")
            if hub.elsewhere and name.endswith(".safetensors"):
                return self._answer(302, b"", {"location": hub.elsewhere + address.path})
            self._file(hub.files[name], name)

        def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for key, value in {"content-length": str(len(body)), **(headers or {})}.items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(body)

        def _file(self, data: bytes, name: str) -> None:
            start = 0
            wanted = self.headers.get("range")
            if wanted and not hub.ignore_ranges:
                start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            body = data[start:]
            if hub.spoil and name.endswith(".safetensors"):
                body = body[:-1] + bytes([body[-1] ^ 1])
            self.send_response(206 if start else 200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            for at in range(0, len(body), hub.piece):
                if hub.break_after is not None and name.endswith(".safetensors") and at >= hub.break_after:
                    hub.break_after = None
                    return
                try:
                    self.wfile.write(body[at : at + hub.piece])
                except OSError:
                    return
                time.sleep(hub.pause)

    return Handler
