"""Ids and scores as CSV or JSON lines, and images in a folder a class: streamed, whatever their number."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from studio.formats.base import file_names, safe_path
from studio.operations.filtering.collection import see
from studio.project import ImageRecord
from studio.studio import Studio

AT_ONCE = 500
CHUNK = 1 << 20
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet takes for the beginning of one


def plain(text: str) -> str:
    """Return a text as it goes into a table, so that no spreadsheet takes it for a formula.

    A leading apostrophe, as OWASP has it for CSV injection.
    """
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA) else text


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """Yield CSV in pieces; texts cannot be formulas, and numbers stay numbers."""
    yield _line(header)
    for row in rows:
        yield _line([plain(cell) if isinstance(cell, str) else cell for cell in row])


def _line(cells: Sequence[Any]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow(cells)
    return out.getvalue()


def scores_csv(
    studio: Studio, person: str, project_id: str, scored: Sequence[tuple[str, float | None]]
) -> Iterator[str]:
    """Yield ids, names and scores as CSV, in order; images that are gone are left out, scores may be missing."""
    see(studio, project_id, person)
    rows = ((image.id, image.name, _rounded(score)) for image, score in named(studio, project_id, scored))
    return table(("id", "name", "score"), rows)


def scores_jsonl(
    studio: Studio, person: str, project_id: str, scored: Sequence[tuple[str, float | None]]
) -> Iterator[str]:
    """Yield ids, names and scores, one JSON object a line."""
    see(studio, project_id, person)
    return (
        json.dumps({"id": image.id, "name": image.name, "score": _rounded(score)}, ensure_ascii=False) + "\n"
        for image, score in named(studio, project_id, scored)
    )


def _rounded(score: float | None) -> float | None:
    return None if score is None else round(score, 6)


def named(
    studio: Studio, project_id: str, scored: Sequence[tuple[str, Any]]
) -> Iterator[tuple[ImageRecord, Any]]:
    """Yield the images of some ids with what comes with each, in order; those of other projects are left out."""
    for start in range(0, len(scored), AT_ONCE):
        part = scored[start : start + AT_ONCE]
        there = studio.store.images_by_id([image_id for image_id, _ in part])
        for image_id, value in part:
            image = there.get(image_id)
            if image is not None and image.project_id == project_id:
                yield image, value


def folders(studio: Studio, placed: Sequence[tuple[ImageRecord, str]]) -> Iterator[bytes]:
    """Yield a zip with each image in the folder of its class, in pieces, as it is packed.

    Files are as they came in. An image whose file is missing is named in ``missing.txt``.
    """
    names = file_names(image.name for image, _ in placed)
    homes = {name: safe_path(name).replace("/", "_") for _, name in placed}
    missing: list[str] = []
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as packed:  # pictures are packed already
        for image, class_name in placed:
            path = studio.store.original_path(image)
            if not path.is_file():
                missing.append(image.name)
                continue
            info = zipfile.ZipInfo(f"{homes[class_name]}/{names[image.name]}", (1980, 1, 1, 0, 0, 0))
            info.external_attr = 0o644 << 16
            with path.open("rb") as source, packed.open(info, "w", force_zip64=True) as entry:
                while chunk := source.read(CHUNK):
                    entry.write(chunk)
                    yield from sink.taken()
            yield from sink.taken()
        if missing:
            packed.writestr("missing.txt", "\n".join(missing) + "\n")
    yield from sink.taken()


class _Sink(io.RawIOBase):
    """A file that nobody can go back in; what was written is taken from it."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def taken(self) -> list[bytes]:
        parts, self._parts = self._parts, []
        return parts
