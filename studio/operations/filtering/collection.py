"""Which images of a project have vectors of a model, and where these lie."""

from __future__ import annotations

import threading
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from weakref import WeakKeyDictionary

import numpy as np

from studio.adapters import Card
from studio.errors import BadInput, NotAllowed, NotFound
from studio.hub.cache import COMMIT
from studio.project import Job
from studio.studio import Studio
from studio.vectors import VectorFile

EMBED = "embed"  # the kind of job that makes vectors
MOST_KEPT = 8  # collections in memory; one of a million images takes some 200 MB
GATHERED = (
    4  # where fewer than one in so many vectors take part, they are picked out rather than all multiplied
)


@dataclass(frozen=True, eq=False)
class Collection:
    """The images of a project that have a vector, in the order they came; those out of view only where asked for.

    ``rows`` (n,) are their places among the model's vectors. ``missing`` images have no vector yet, ``hidden`` are
    out of view. ``stamp`` is another text whenever the images are others.
    """

    project_id: str
    model_id: str
    ids: tuple[str, ...]
    rows: np.ndarray
    missing: int
    hidden: int
    stamp: str
    file: VectorFile

    def __len__(self) -> int:
        return len(self.ids)

    def vectors(self) -> np.ndarray:
        """Return the vectors, float32 of shape (n, d), in order: mapped from the disk where they lie in one piece."""
        matrix = self.file.matrix()
        if not len(self.rows):
            return matrix[:0]
        first, last = int(self.rows[0]), int(self.rows[-1])
        if last - first == len(self.rows) - 1 and (np.diff(self.rows) == 1).all():
            return matrix[first : last + 1]
        return matrix[self.rows]

    def vectors_at(self, places: np.ndarray) -> np.ndarray:
        """Return the vectors of some images by their places in the order."""
        return self.file.matrix()[self.rows[places]]

    def products(self, queries: np.ndarray) -> np.ndarray:
        """Return the cosine of each image with each query: float32 (n, k) of queries (k, d)."""
        matrix = self.file.matrix()
        queries = np.ascontiguousarray(queries.T, dtype=np.float32)
        if len(self.rows) * GATHERED < len(matrix):
            return matrix[self.rows] @ queries
        first, last = int(self.rows.min(initial=0)), int(self.rows.max(initial=-1))
        products = matrix[first : last + 1] @ queries
        return (
            products if len(products) == len(self.rows) and self._in_order() else products[self.rows - first]
        )

    def place(self, image_id: str) -> int | None:
        """Return where an image stands in the order, None where it is not among them."""
        return self._places.get(image_id)

    def _in_order(self) -> bool:
        return bool((np.diff(self.rows) == 1).all())

    @property
    def _places(self) -> dict[str, int]:
        found = self.__dict__.get("places")
        if found is None:
            found = {image_id: number for number, image_id in enumerate(self.ids)}
            object.__setattr__(self, "places", found)
        return found


@dataclass(frozen=True)
class State:
    """How far a project is embedded by a model; ``job`` is the one that runs or waits to go on, if any."""

    total: int
    embedded: int
    hidden: int
    job: Job | None


class _Kept:
    """The collections that were asked for last, for one studio."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._items: OrderedDict[tuple[str, str, bool], tuple[str, int, Collection]] = OrderedDict()

    def get(self, key: tuple[str, str, bool], stamp: str, vectors: int) -> Collection | None:
        """Return what is kept, where it is what it was: more vectors matter only to what lacks some."""
        with self._lock:
            was, had, made = self._items.get(key, ("", 0, None))
            if made is None or was != stamp or (made.missing and had != vectors):
                return None
            self._items.move_to_end(key)
            return made

    def put(self, key: tuple[str, str, bool], stamp: str, vectors: int, made: Collection) -> None:
        with self._lock:
            self._items[key] = stamp, vectors, made
            self._items.move_to_end(key)
            while len(self._items) > MOST_KEPT:
                self._items.popitem(last=False)


_KEPT: WeakKeyDictionary[Studio, _Kept] = WeakKeyDictionary()
_LOCK = threading.Lock()


def collection(
    studio: Studio, person: str, project_id: str, model_id: str, *, with_hidden: bool = False
) -> Collection:
    """Return the images of a project that a model's vectors are there of.

    Raises NotAllowed where the project is not this person's, and NotFound for a model nobody knows.
    """
    see(studio, project_id, person)
    file = vectors_of(studio, embedder(studio, model_id))
    with _LOCK:
        kept = _KEPT.setdefault(studio, _Kept())
    key = project_id, model_id, with_hidden
    vectors = len(file)
    known = kept.get(key, f"{studio.store.image_stamp(project_id)}-{file.version}", vectors)
    if known is not None:
        return known
    keys = studio.store.image_keys(project_id)
    rows = file.rows(keys.digests)
    out = np.array(keys.hidden, bool)
    chosen = np.flatnonzero((rows >= 0) if with_hidden else (rows >= 0) & ~out)
    made = Collection(
        project_id,
        model_id,
        tuple(keys.ids[i] for i in chosen),
        rows[chosen],
        int(((rows < 0) & (with_hidden | ~out)).sum()),
        int(out.sum()),
        # What was embedded meanwhile for other projects makes it no other collection to those who look at it.
        f"{keys.stamp}-{len(chosen)}-{int(with_hidden)}-{file.version}",
        file,
    )
    kept.put(key, f"{keys.stamp}-{file.version}", vectors, made)
    return made


def asked(
    studio: Studio, person: str, project_id: str, model_id: str, *, with_hidden: bool = False
) -> Collection:
    """Return a collection as ``collection`` does; raises BadInput where it has no image yet, saying what to do."""
    found = collection(studio, person, project_id, model_id, with_hidden=with_hidden)
    if len(found):
        return found
    title = studio.registry.card(model_id).title
    if found.missing:
        raise BadInput(
            f"No image has been embedded by {title} yet. Embed the project first; that is done once."
        )
    if found.hidden:
        raise BadInput(
            f"All {found.hidden:,} images of this project are out of view. Show them to search them."
        )
    raise BadInput("This project has no images. Add some in Data.")


def packed_ids(found: Collection) -> bytes:
    """Return the ids of a collection in order, 16 bytes each: to be sent once for all queries of a stamp."""
    return bytes.fromhex("".join(found.ids))


def state(studio: Studio, person: str, project_id: str, model_id: str) -> State:
    """Return how far a project is embedded, images out of view counted too."""
    found = collection(studio, person, project_id, model_id, with_hidden=True)
    open_jobs = (
        job
        for job in studio.store.jobs(project_id, kind=EMBED)
        if job.state in ("running", "paused") and job.settings.get("model") == model_id
    )
    return State(len(found) + found.missing, len(found), found.hidden, next(open_jobs, None))


def models(studio: Studio) -> list[Card]:
    """Return the embedders, in the order they are to be offered."""
    return studio.registry.cards("embedder")


def embedder(studio: Studio, model_id: str) -> Card:
    """Return the card of an embedder. Raises NotFound, and BadInput where the model is none."""
    card = studio.registry.card(model_id)
    if "embedder" not in card.roles:
        raise BadInput(f"{card.title} places no images by what they show. Choose a model such as CLIP.")
    return card


def version_of(studio: Studio, card: Card) -> str:
    """Return what a model's vectors are kept under besides its id: its version, and the commit its files are of."""
    if card.download is None:
        return card.version
    revision = card.download.revision
    if not COMMIT.fullmatch(revision):
        with suppress(NotFound):  # its files are not here
            revision = Path(studio.hub.folder(card) or revision).name
    return f"{card.version}@{revision}"


def vectors_of(studio: Studio, card: Card) -> VectorFile:
    return studio.vectors.of(card.id, version_of(studio, card))


def see(studio: Studio, project_id: str, person: str) -> None:
    if not studio.store.may_see(project_id, person):
        raise NotAllowed("This project is not yours. Ask whoever owns it to add you.")
