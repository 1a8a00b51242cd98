"""Images of a Hugging Face dataset, a page of rows at a time.

They come through the hub's dataset viewer (https://huggingface.co/docs/dataset-viewer), which serves rows of
any public dataset with images as signed addresses. Of the ways there are it alone needs no package and
downloads only the rows asked for; ``datasets`` or parquet with ``pyarrow`` would bring 40 MB of wheels and
read whole row groups. Its price: a dataset whose viewer is off cannot be read so, and says so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from studio.errors import BadInput, NotFound, Unreachable, unknown
from studio.intake.web import Answered, Fetched, Fetcher

VIEWER = "https://datasets-server.huggingface.co"
CONNECT_SECONDS = 2.5
PAGE = 100  # the most rows the viewer gives at once
MAX_LIMIT = 20_000
IMAGE_TYPES = ("Image",)
ELSEWHERE = "Without the hub, add images as files, a folder or a zip."


@dataclass(frozen=True)
class DatasetChoice:
    """Which images of which dataset; what is None is chosen when the dataset is looked at."""

    dataset: str
    config: str | None = None
    split: str | None = None
    column: str | None = None
    limit: int = 100


@dataclass(frozen=True)
class Row:
    """One image of a dataset: a name made of its place, and the address it can be fetched from."""

    name: str
    address: str


class HubDataset:
    """Reads one dataset's rows; ``fetcher`` and ``viewer`` can be replaced."""

    def __init__(
        self,
        choice: DatasetChoice,
        *,
        token: str | None = None,
        fetcher: Fetcher | None = None,
        viewer: str = VIEWER,
    ) -> None:
        """``token`` is the asking person's own, for gated datasets; it is sent to the viewer alone."""
        if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", choice.dataset) or len(choice.dataset) > 200:
            raise BadInput(f"“{choice.dataset[:80]}” is not a dataset's id; one looks like “owner/name”.")
        if not 1 <= choice.limit <= MAX_LIMIT:
            raise BadInput(f"Between 1 and {MAX_LIMIT:,} images can be taken at once, not {choice.limit:,}.")
        self.choice = choice
        self._token = token
        self._fetcher = fetcher or Fetcher(connect_seconds=CONNECT_SECONDS)
        self._viewer = viewer

    def look(self) -> tuple[DatasetChoice, int]:
        """Settle config, split and column; return them with the number of images that will come.

        Raises NotFound with the nearest name, BadInput, or Unreachable within 3 s.
        """
        choice = self._with_split(self.choice)
        page = self._rows(choice, 0, 1)
        columns = _image_columns(page)
        if choice.column is None:
            if not columns:
                raise BadInput(f"The dataset “{choice.dataset}” has no column of images.")
            choice = replace(choice, column=columns[0])
        elif choice.column not in columns:
            raise unknown("column of images", choice.column, columns)
        total = page.get("num_rows_total")
        return choice, min(choice.limit, total) if isinstance(total, int) else choice.limit

    def rows(self, choice: DatasetChoice) -> Iterator[Row]:
        """Yield the images of a settled choice, asking for a page when the one before is used up.

        The addresses are signed for a short time, so each is to be fetched when it comes.
        """
        stem = f"{choice.dataset.rsplit('/', 1)[-1]}/{choice.split}"
        done = 0
        while done < choice.limit:
            page = self._rows(choice, done, min(PAGE, choice.limit - done))
            rows = page.get("rows") or []
            for number, row in enumerate(rows, start=done):
                for place, address in enumerate(_addresses(row, str(choice.column))):
                    yield Row(f"{stem}/{number:06d}" + (f"-{place}" if place else ""), address)
            if not rows:
                return
            done += len(rows)

    def fetch(self, row: Row) -> Fetched:
        """Return one image's bytes. Raises BadInput or Unreachable."""
        return self._fetcher.fetch(row.address)

    def _with_split(self, choice: DatasetChoice) -> DatasetChoice:
        found = self._ask("splits", dataset=choice.dataset).get("splits")
        pairs = [(str(s["config"]), str(s["split"])) for s in _dicts(found) if "config" in s and "split" in s]
        if not pairs:
            raise BadInput(f"The dataset “{choice.dataset}” has no split that can be read. {ELSEWHERE}")
        configs = list(dict.fromkeys(config for config, _ in pairs))
        config = choice.config or ("default" if "default" in configs else configs[0])
        if config not in configs:
            raise unknown("configuration", config, configs)
        splits = [split for c, split in pairs if c == config]
        split = choice.split or ("train" if "train" in splits else splits[0])
        if split not in splits:
            raise unknown("split", split, splits)
        return replace(choice, config=config, split=split)

    def _rows(self, choice: DatasetChoice, offset: int, length: int) -> dict[str, Any]:
        return self._ask(
            "rows",
            dataset=choice.dataset,
            config=str(choice.config),
            split=str(choice.split),
            offset=str(offset),
            length=str(length),
        )

    def _ask(self, verb: str, **query: str) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        address = f"{self._viewer}/{verb}?{urlencode(query)}"
        try:
            fetched = self._fetcher.fetch(address, headers)
        except Unreachable:
            raise Unreachable(f"The Hugging Face hub did not answer. {ELSEWHERE}") from None
        except Answered as error:
            raise self._refused(error.status) from None
        try:
            answer = json.loads(fetched.data)
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            raise Unreachable(f"The hub's dataset viewer gave no sensible answer. {ELSEWHERE}")
        return answer

    def _refused(self, status: int) -> BadInput | NotFound | Unreachable:
        dataset = self.choice.dataset
        if status in (401, 403, 404):
            return NotFound(
                f"The hub has no public dataset “{dataset}”, or it is gated. Check the id; for a gated one "
                "accept its terms on the hub and give your token."
            )
        if status == 429:
            return Unreachable("The hub has been asked too often from here. Try again in a few minutes.")
        return BadInput(
            f"The hub's dataset viewer cannot show “{dataset}” (it answered {status}). {ELSEWHERE}"
        )


def _image_columns(page: dict[str, Any]) -> list[str]:
    columns = []
    for feature in _dicts(page.get("features")):
        kind = feature.get("type")
        kind = kind[0] if isinstance(kind, list) and kind else kind
        if isinstance(kind, dict):
            inner = kind.get("feature")
            kinds = {kind.get("_type"), inner.get("_type") if isinstance(inner, dict) else None}
            if kinds & set(IMAGE_TYPES):
                columns.append(str(feature.get("name")))
    return columns


def _addresses(row: Any, column: str) -> list[str]:
    cells = row.get("row") if isinstance(row, dict) else None
    cell = cells.get(column) if isinstance(cells, dict) else None
    return [str(c["src"]) for c in _dicts(cell if isinstance(cell, list) else [cell]) if c.get("src")]


def _dicts(values: Any) -> list[dict[str, Any]]:
    return [v for v in values if isinstance(v, dict)] if isinstance(values, list) else []
