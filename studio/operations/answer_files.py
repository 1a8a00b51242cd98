"""Answers given out as files: CSV for spreadsheets, JSONL for programs."""

from __future__ import annotations

import csv
import json
import os
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from studio.annotations import Label
from studio.errors import BadInput, Cancelled, NotFound, StudioError, unknown
from studio.project import Cell, ImageColumn, ImageRecord, Store

Kind = Literal["csv", "jsonl"]
PAGE = 500
_FORMULA = "=+-@\t\r\n＝＋－＠"  # what spreadsheets may take for the beginning of a formula


@dataclass(frozen=True)
class Written:
    """What was written: how many images, and how many answers of them."""

    path: Path
    images: int
    answers: int


def write_answers(
    store: Store,
    project_id: str,
    target: Path,
    kind: str,
    *,
    columns: Sequence[str] = (),
    answered: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Written:
    """Write a line for each image of a project: its name, its values in some columns (by id; all, where none is
    named), and its tags. With ``answered`` only images that have any of these.

    A CSV has values alone, none of which a spreadsheet takes for a formula; JSONL also says of each who wrote it,
    and when. The file appears whole or not at all. Raises BadInput, NotFound, and Cancelled.
    """
    if kind not in get_args(Kind):
        raise unknown("kind of file", kind, get_args(Kind))
    chosen = _columns(store, project_id, columns)
    target = Path(target)
    part = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        # A byte order mark: without one spreadsheets take the text for that of an old code page.
        with part.open("x", encoding="utf-8-sig" if kind == "csv" else "utf-8", newline="") as file:
            write = _csv(file, chosen) if kind == "csv" else _jsonl(file, chosen)
            count = answers = done = 0
            total = store.count_images(project_id)
            for image, cells, tags in _lines(store, project_id, chosen):
                if cancelled():
                    raise Cancelled("Stopped. No file was written.")
                done += 1
                progress(done, total)
                if answered and not cells and not tags:
                    continue
                write(image, cells, tags)
                count += 1
                answers += len(cells)
        os.replace(part, target)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise StudioError(f"{target} cannot be written: {reason}. Choose another place.") from error
    finally:
        part.unlink(missing_ok=True)
    return Written(target, count, answers)


def safe(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula; a number stays what it is."""
    if not text.lstrip()[:1] or (text.lstrip()[0] not in _FORMULA and text[0] not in _FORMULA):
        return text
    try:
        float(text)
    except ValueError:
        return "'" + text
    return text


def kind_of(target: Path) -> str:
    """Return the kind of file that a name asks for. Raises BadInput."""
    ending = target.suffix.lower().removeprefix(".")
    kind = {"csv": "csv", "jsonl": "jsonl", "ndjson": "jsonl"}.get(ending)
    if kind is None:
        raise BadInput(f"“{target.name}” ends neither in .csv nor in .jsonl. Give the file such a name.")
    return kind


def _columns(store: Store, project_id: str, ids: Sequence[str]) -> list[ImageColumn]:
    there = {c.id: c for c in store.columns(project_id)}
    if missing := [each for each in ids if each not in there]:
        raise NotFound(f"{len(missing)} of these columns are not in the project any more. Choose others.")
    return [there[each] for each in dict.fromkeys(ids)] or list(there.values())


def _lines(
    store: Store, project_id: str, columns: Sequence[ImageColumn]
) -> Iterator[tuple[ImageRecord, dict[str, Cell], list[tuple[str, bool]]]]:
    wanted, offset = {c.id for c in columns}, 0
    while page := store.images(project_id, offset=offset, limit=PAGE):
        cells = store.cells(project_id, [image.id for image in page])
        for image in page:
            tags = [
                (a.class_name, a.draft)
                for a in (store.annotations(image.id) if image.count or image.drafts else ())
                if isinstance(a.shape, Label)
            ]
            yield image, {k: v for k, v in cells.get(image.id, {}).items() if k in wanted}, tags
        offset += len(page)


def _csv(file: Any, columns: Sequence[ImageColumn]) -> Callable[..., None]:
    writer = csv.writer(file, lineterminator="\r\n")
    writer.writerow(["image", *(safe(c.name) for c in columns), "tags"])

    def write(image: ImageRecord, cells: dict[str, Cell], tags: Sequence[tuple[str, bool]]) -> None:
        values = [safe(cells[c.id].value) if c.id in cells else "" for c in columns]
        writer.writerow([safe(image.name), *values, safe("; ".join(name for name, _ in tags))])

    return write


def _jsonl(file: Any, columns: Sequence[ImageColumn]) -> Callable[..., None]:
    def write(image: ImageRecord, cells: dict[str, Cell], tags: Sequence[tuple[str, bool]]) -> None:
        line = {
            "image": image.name,
            "id": image.id,
            "answers": {c.name: cell_json(cells[c.id]) for c in columns if c.id in cells},
            "tags": [{"name": name, "draft": draft} for name, draft in tags],
        }
        file.write(json.dumps(line, ensure_ascii=False) + "\n")

    return write


def cell_json(cell: Cell) -> dict[str, Any]:
    """Return a value as JSON says it; ``model`` is null where a person wrote it."""
    return {
        "value": cell.value,
        "model": cell.model,
        "question": cell.question,
        "changed": cell.changed.isoformat(),
    }
