"""The scripts and styles of the studio's own components, served so that one release never mixes with another."""

from __future__ import annotations

import hashlib
import re
from collections.abc import MutableMapping
from functools import cache
from pathlib import Path
from typing import Any

from starlette.responses import Response
from starlette.staticfiles import StaticFiles

SERVED = {".js", ".css"}
VERSIONED = re.compile(r"^v-[0-9a-f]{12}/")


@cache
def version(folder: Path) -> str:
    """Return twelve hex digits that change with any script or style in a folder."""
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.suffix in SERVED):
        digest.update(path.relative_to(folder).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


class ScriptFiles(StaticFiles):
    """Serves a folder's scripts and styles, and nothing else of it.

    Below ``v-<version>/``, where all modules come from the same release, they may be cached for good; elsewhere a
    browser asks each time whether they changed.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(directory=folder)
        self.folder = folder

    async def get_response(self, path: str, scope: MutableMapping[str, Any]) -> Response:
        path = path.replace("\\", "/")
        plain = VERSIONED.sub("", path)
        if Path(plain).suffix not in SERVED:
            return Response("Not found", status_code=404)
        response = await super().get_response(plain, scope)
        fixed = path != plain and path.startswith(f"v-{version(self.folder)}/")
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable" if fixed else "no-cache"
        return response
