"""What a worker of a cluster does: it builds a recipe's models for itself and knows no project.

Nothing here imports Ray, so that it can be told apart from what Ray does.
"""

from __future__ import annotations

import pickle
import socket
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import studio as package
from studio import images
from studio.checkpoints import Checkpoints
from studio.errors import StudioError
from studio.failures import sentence
from studio.hub import Hub
from studio.hub.added import HubModels
from studio.operations.examples import ExampleSet
from studio.operations.predict import Prediction, Recipe
from studio.operations.running import READERS, ImageWork, annotate_each, reader_of
from studio.pool import Pool
from studio.project import ImageRecord
from studio.registry import Registry

if TYPE_CHECKING:
    from studio.studio import Studio


@dataclass(frozen=True)
class Row:
    """An image on its way: its encoded bytes, or why they could not be read."""

    record: ImageRecord
    data: bytes = b""
    problem: str = ""


@dataclass(frozen=True)
class Answer:
    """What became of an image. ``unable`` says that this worker can do none, and so why the job cannot go on."""

    found: tuple[Any, ...] = ()
    problem: str = ""
    unable: bool = False


@dataclass(frozen=True)
class Workshop:
    """The part of a studio that predictions stand on."""

    registry: Registry
    hub: Hub
    pool: Pool


@dataclass(frozen=True)
class Order:
    """All a worker has to be told. ``notes`` are those of models added from the hub, by the name of their file.

    ``checkpoints`` is where the studio keeps checkpoints that were added, which a worker may or may not see.
    ``shown`` are the images that the recipe's examples lie on, by their ids: names, and files as they are.
    """

    version: str
    recipe: Mapping[str, Any]
    notes: Mapping[str, str] = field(default_factory=dict)
    checkpoints: str = ""
    shown: Mapping[str, tuple[str, bytes]] = field(default_factory=dict)

    @classmethod
    def of(cls, studio: Studio, recipe: Recipe) -> Order:
        data = studio.settings.data
        notes = {path.name: path.read_text("utf-8") for path in (data / "hub-models").glob("*.json")}
        shown = {}
        for image_id in {example.image for example in recipe.examples}:
            image = studio.store.image(image_id)
            shown[image_id] = image.name, studio.store.original_path(image).read_bytes()
        return cls(package.__version__, recipe.to_json(), notes, str(data / "checkpoints"), shown)

    def work(self) -> ImageWork:
        """Build what works on images, and fetch files of models that are missing on this machine.

        Raises StudioError where this machine has another version of the studio, or lacks a model.
        """
        if package.__version__ != self.version:
            raise StudioError(
                f"It has version {package.__version__} of the studio, and the job is of version {self.version}. "
                "Install the same one on each node."
            )
        return self._made(self._workshop())

    def _made(self, workshop: Workshop) -> ImageWork:
        recipe = Recipe.from_json(self.recipe)
        shown = ExampleSet(recipe.examples, self._picture) if recipe.examples else None
        made = Prediction(workshop, recipe, shown)  # of a studio it uses no more than a workshop has
        for name in recipe.model_ids:
            workshop.hub.download(workshop.registry.card(name))
        return made

    def _picture(self, image_id: str) -> np.ndarray:
        name, data = self.shown[image_id]
        return images.decode(data, name)

    def _workshop(self) -> Workshop:
        registry, hub = Registry.discover(), Hub()
        Checkpoints(Path(self.checkpoints), registry, 0).offer()
        with tempfile.TemporaryDirectory() as folder:
            for name, text in self.notes.items():
                (Path(folder) / name).write_text(text, "utf-8")
            HubModels(Path(folder), registry, hub).offer()
        return Workshop(registry, hub, Pool(registry, hub))


class Worker:
    """A replica of the models. Thread-safe: one block may be decoded while another is predicted."""

    def __init__(self, order: Order) -> None:
        self._work: ImageWork | None = None
        self._unable = ""
        try:
            self._work = order.work()
        except Exception as error:
            self._unable = f"The worker on {socket.gethostname()} cannot do it. {sentence(error)}"

    def answers(self, rows: Sequence[Row]) -> list[Answer]:
        """Return what becomes of images, in order. Never raises: what is raised here would be tried again."""
        if self._work is None:
            return [Answer(problem=self._unable, unable=True) for _ in rows]
        answers: dict[str, Answer] = {}
        records, pictures = [], []
        with ThreadPoolExecutor(READERS) as readers:
            read = partial(_decoded, reader_of(self._work))
            for row, picture in zip(rows, readers.map(read, rows), strict=True):
                if isinstance(picture, str):
                    answers[row.record.id] = Answer(problem=picture)
                else:
                    records.append(row.record)
                    pictures.append(picture)
        size = self._work.batch
        for start in range(0, len(records), size):
            part = slice(start, start + size)
            for record, found in annotate_each(self._work, records[part], pictures[part]):
                failed = isinstance(found, Exception)
                answers[record.id] = Answer(problem=sentence(found)) if failed else Answer(tuple(found))
        return [answers[row.record.id] for row in rows]

    def __call__(self, table: Any) -> Any:
        """Answer a table of rows with one of answers: as Ray Data has it, pickled like all else that Ray sends."""
        import pyarrow

        rows = [
            Row(pickle.loads(record), data or b"", problem or "")
            for record, data, problem in zip(*(table[n].to_pylist() for n in COLUMNS), strict=True)
        ]
        ids = [row.record.id for row in rows]
        answers = [pickle.dumps(answer) for answer in self.answers(rows)]
        return pyarrow.table({"id": ids, "answer": pyarrow.array(answers, pyarrow.large_binary())})


COLUMNS = ("record", "data", "problem")


def _decoded(read: Callable[[bytes, str], Any], row: Row) -> Any:
    if row.problem:
        return row.problem
    try:
        return read(row.data, row.record.name)
    except Exception as error:
        return sentence(error)


def read(record: ImageRecord, path: str) -> Row:
    """Read an image's file, in this machine's data folder."""
    file = Path(path)
    try:
        if file.stat().st_size <= images.MAX_BYTES:
            return Row(record, file.read_bytes())
    except OSError:
        pass
    try:
        images.decode(file, record.name)  # which says what is wrong with it, as anywhere else
    except Exception as error:
        return Row(record, problem=sentence(error))
    return Row(record, file.read_bytes())
