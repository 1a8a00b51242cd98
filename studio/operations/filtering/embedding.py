"""A vector of each image, computed once: as a job that reads ahead, pauses, and goes on where it stood."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Protocol, runtime_checkable

import numpy as np

from studio import images
from studio.adapters import Card, Embedder
from studio.errors import BadInput
from studio.gate import Turn
from studio.hub.open_clip_names import hub_id_of
from studio.operations import hub_models, jobs
from studio.operations._ray_worker import Order, Workshop
from studio.operations.filtering.collection import EMBED, embedder, see, vectors_of
from studio.operations.merging import SAME_FOUND, Policy
from studio.operations.predict import Recipe
from studio.operations.ray_engine import Cluster, RayRun, Spread
from studio.operations.running import Run
from studio.project import ImageRecord, Job, Store
from studio.studio import Studio
from studio.vectors import VectorFile, check_vectors

BATCH, BATCH_OF_CARD = (
    16,
    64,
)  # images that go through the network together, on a processor and on a graphics card
BATCH_WHOLE = 4  # where a model takes images as they are, of which only few are to be in memory


@runtime_checkable
class PreparingEmbedder(Embedder, Protocol):
    """An embedder that readies images for its network apart from the network's work, in as many threads as one likes.

    ``side`` is how many pixels the shorter side of an image is reduced to at most: more are not needed of it.
    """

    side: int

    def prepare(self, image: np.ndarray) -> Any:
        """Ready an image. What it returns is the adapter's own, and takes little memory."""
        ...

    def embed_prepared(self, prepared: Sequence[Any]) -> np.ndarray:
        """Return what ``embed_images`` does for images that were readied before."""
        ...


class Embedding:
    """A model as the work of a job. What it finds on an image is its vector."""

    policy: Policy = "append"
    same = SAME_FOUND

    def __init__(self, studio: Studio | Workshop, model_id: str) -> None:
        self._pool, self.model_id = studio.pool, model_id
        with self._pool.use(model_id) as model:
            self.side = _side(model)
        whole = BATCH if self._pool.device.name == "cpu" else BATCH_OF_CARD
        self.batch = whole if self.side else BATCH_WHOLE

    def read(self, path: Any, name: str) -> Any:
        """Return an image as ``annotate`` takes it. May be called from many threads."""
        if not self.side:
            return images.decode(path, name)
        picture = images.decode_small(path, self.side, name)
        with self._pool.use(self.model_id) as model:
            return model.prepare(picture)

    def annotate(self, records: Sequence[ImageRecord], pictures: Sequence[Any]) -> list[list[Any]]:
        """Return for each image, as the one thing of its list, its vector."""
        if self.side:
            found = self._run(lambda model: model.embed_prepared(pictures))
        else:
            found = self._run(lambda model: model.embed_images(pictures))
        return [[vector] for vector in check_vectors(found)]

    def _run(self, work: Any) -> np.ndarray:
        return self._pool.run(self.model_id, work, turn=Turn.BATCH)


def _side(model: Any) -> int:
    """Return how many pixels a model needs of an image, 0 where it takes it whole."""
    return model.side if isinstance(model, PreparingEmbedder) else 0


class EmbedRun(Run):
    """A run whose results are vectors, kept together with others of a batch, and only then marked as done.

    Images are decoded and readied for the network while it works on those before.
    """

    def __init__(self, file: VectorFile, store: Store, job: Job, work: Any) -> None:
        self._file = file
        super().__init__(store, job, work)

    def _keep(self, records: Sequence[ImageRecord], vectors: np.ndarray) -> None:
        """Keep vectors and mark their images. Killed in between, it goes on with an image that has its vector."""
        self._file.append([record.digest for record in records], vectors)
        for _ in range(self._store.finish_job_images(self.job_id, [record.id for record in records])):
            self._count({"added": 1})

    def _write(self) -> None:
        waiting: list[tuple[ImageRecord, np.ndarray]] = []
        while True:
            result = self._results.get()
            if result is not None:
                waiting.append((result[0], result[1][0]))
            # As many at once as there are: those of a batch come together.
            if waiting and (result is None or self._results.empty() or len(waiting) >= self._work.batch):
                self._flush(waiting)
                waiting = []
            if result is None:
                return

    def _flush(self, waiting: Sequence[tuple[ImageRecord, np.ndarray]]) -> None:
        if self._error is not None:
            return  # let the others through, so that nobody waits for room
        try:
            self._keep([record for record, _ in waiting], np.stack([vector for _, vector in waiting]))
        except (
            Exception
        ) as error:  # a full disk, or vectors of another length: so it is with all that are left
            self._error = error


class EmbedOrder(Order):
    """What a worker of a cluster is told to embed with the recipe's one model."""

    def _made(self, workshop: Workshop) -> Embedding:
        (model_id,) = self.recipe["models"]
        workshop.hub.download(workshop.registry.card(model_id))
        return Embedding(workshop, model_id)


class EmbedSpread(Spread):
    """A model as the work of a job on a cluster."""

    def __init__(self, studio: Studio, model_id: str, cluster: Cluster) -> None:
        self.policy, self.same = "append", SAME_FOUND
        recipe = Recipe((model_id,))
        self._share = cluster.join(studio, recipe)
        self._order = EmbedOrder.of(studio, recipe)
        self._shared, self._path_of = cluster.shared, studio.store.original_path


class EmbedRayRun(EmbedRun, RayRun):
    """A run on a cluster: images are streamed there from here, and vectors are kept here."""


def add_model(studio: Studio, person: str, typed: str) -> Card:
    """Return the embedder that somebody typed: the id of one that is here, of one on the hub, or a name of open_clip.

    One that is not here yet is added, and nothing of it is fetched. Raises BadInput where it is no embedder, and what
    ``hub_models.add`` does.
    """
    typed = typed.strip()
    hub_id = hub_id_of(typed) or typed
    for card in studio.registry.cards("embedder"):
        if card.id == typed or (card.download and card.download.hub_id.lower() == hub_id.lower()):
            return card
    card = hub_models.add(studio, person, hub_id)
    try:
        return embedder(studio, card.id)
    except BadInput:
        hub_models.remove(studio, person, card.id)
        raise


# ---- whole datasets --------------------------------------------------------------------------------


def begin(
    studio: Studio,
    person: str,
    project_id: str,
    model_id: str,
    image_ids: Sequence[str] | None = None,
    *,
    title: str = "",
    cluster: Cluster | None = None,
) -> Job | None:
    """Begin to embed the images of a project that have no vector yet; None where all have one.

    ``image_ids`` names some of them, in the order they are to be done; by default all. Raises NotFound, NotAllowed,
    BadInput, NeedsDownload for a model that is not here, and what ``Cluster.join`` does.
    """
    see(studio, project_id, person)
    card = embedder(studio, model_id)
    jobs.ready(studio, Recipe((model_id,)))
    if cluster is not None:
        cluster.join(studio, Recipe((model_id,)))
    wanted = without_vector(studio, project_id, model_id, image_ids)
    if not wanted:
        return None
    title = title or f"Embed with {card.title}"
    job = studio.store.add_job(project_id, person, EMBED, title, {"model": model_id}, wanted)
    return start(studio, job, cluster)


def start(studio: Studio, job: Job, cluster: Cluster | None = None) -> Job:
    """Begin or go on with a job that embeds. Raises as ``begin`` does, and Conflict where it is running."""
    model_id = str(job.settings.get("model"))
    file = vectors_of(studio, embedder(studio, model_id))
    jobs.ready(studio, Recipe((model_id,)))
    _mark_done(studio, job, file)
    runs = jobs.runs(studio)
    if cluster is None:
        runs.start(studio.store, job, lambda: Embedding(studio, model_id), partial(EmbedRun, file))
    else:
        spread = partial(EmbedSpread, studio, model_id, cluster)
        runs.start(studio.store, job, spread, partial(EmbedRayRun, file))
    return studio.store.job(job.id)


def without_vector(
    studio: Studio, project_id: str, model_id: str, image_ids: Sequence[str] | None = None
) -> list[str]:
    """Return the ids of images of a project that a model has no vector of. Raises BadInput where none is given."""
    file = vectors_of(studio, embedder(studio, model_id))
    keys = studio.store.image_keys(project_id)
    left = {keys.ids[i] for i in np.flatnonzero(file.rows(keys.digests) < 0)}
    if image_ids is None:
        if not keys.ids:
            raise BadInput("This project has no images. Add some in Data.")
        return [each for each in keys.ids if each in left]
    if not image_ids:
        raise BadInput("There is no image to work on. Add images, or choose fewer filters.")
    return [each for each in image_ids if each in left]


def _mark_done(studio: Studio, job: Job, file: VectorFile) -> None:
    """Mark the images that have a vector already: from before a crash, or because another project has them too."""
    after = -1
    while page := studio.store.job_todo(job.id, after=after, limit=1000):
        after = page[-1].position
        there = file.rows([entry.image.digest for entry in page]) >= 0
        done = [entry.image.id for entry, has in zip(page, there, strict=True) if has]
        if done:
            studio.store.finish_job_images(job.id, done)
