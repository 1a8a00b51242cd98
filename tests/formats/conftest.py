from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from studio.formats import Imported, format_of

SIZES = {"a.jpg": (640, 480), "b.jpg": (100, 100)}


@pytest.fixture
def coco(tmp_path: Path) -> Callable[..., Imported]:
    """Read a COCO file made of one sound image and category and the annotations or keys given."""

    def read(*annotations: Any, sizes: dict[str, tuple[int, int]] = SIZES, **keys: Any) -> Imported:
        defaults = {"image_id": 1, "category_id": 1}
        data = {
            "images": [{"id": 1, "file_name": "a.jpg", "width": 640, "height": 480}],
            "categories": [{"id": 1, "name": "cat"}],
            "annotations": [defaults | a if isinstance(a, dict) else a for a in annotations],
        } | keys
        file = tmp_path / "file.json"
        file.write_text(json.dumps(data), encoding="utf-8")
        return format_of("coco").read(file, sizes)

    return read


def shapes(imported: Imported, name: str = "a.jpg") -> list[Any]:
    return [annotation.shape for annotation in imported.annotations.get(name, [])]
