"""Studio: everything one running studio holds, put together once and handed to operations and tabs."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from studio.access import HEADER, LOCAL, current_person
from studio.adapters import Card, Role
from studio.checkpoints import Checkpoints
from studio.continuations import Continuations
from studio.embeddings import EmbeddingCache
from studio.errors import NotAllowed, NotFound
from studio.hub import Hub
from studio.hub.added import HubModels
from studio.pool import Pool
from studio.project import ImageRecord, Store
from studio.registry import Registry
from studio.settings import Settings
from studio.vectors import Vectors

SAMPLE = "sample"  # the setting of a project that holds the scenes which demo models know


class Studio:
    """One store, one registry, one pool. Holds nothing that belongs to a single person."""

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        registry: Registry | None = None,
        hub: Hub | None = None,
        pool: Pool | None = None,
    ) -> None:
        self.settings = settings or Settings()
        self.settings.data.mkdir(parents=True, exist_ok=True)
        self.store = Store(self.settings.data, self.settings.database)
        self.registry = registry or Registry.discover()
        self.checkpoints = Checkpoints(
            self.settings.data / "checkpoints", self.registry, self.settings.max_checkpoint_bytes
        )
        self.checkpoints.offer()
        self.hub = hub or Hub()
        self.hub_models = HubModels(self.settings.data / "hub-models", self.registry, self.hub)
        self.hub_models.offer()
        self.continuations = Continuations()
        self._pool = pool

    @cached_property
    def pool(self) -> Pool:
        # Asking a device for its memory imports torch, which opening the page should not wait for.
        return self._pool or Pool(self.registry, self.hub)

    @cached_property
    def embeddings(self) -> EmbeddingCache:
        return EmbeddingCache(self.settings.embedding_bytes)

    @cached_property
    def vectors(self) -> Vectors:
        return Vectors(self.settings.data / "vectors")

    def person(self, request: Any = None) -> str:
        """Return the id of the person asking: from a Gradio request, else from the running context."""
        if request is not None:
            found = request.headers.get(HEADER)
            if found:
                return found
        found = current_person()
        if found:
            return found
        if self.settings.people == "one":
            return LOCAL
        raise NotAllowed("The studio cannot tell who you are. Allow cookies for this page and load it again.")

    def image_for(self, image_id: str, person: str) -> ImageRecord:
        """Return the image, or raise NotFound alike when it does not exist and when it is not this person's."""
        try:
            image = self.store.image(image_id)
        except NotFound:
            image = None
        if image is None or not self.store.may_see(image.project_id, person):
            raise NotFound("This image is not here any more. Open another one from Data.")
        return image

    def default_model(self, role: Role, project_id: str = "") -> Card:
        """Return the best card of a role that works now: downloaded, or downloadable, else one without any.

        Where none of those to download can be had, a demo model goes first in the sample project, which it
        knows, and last in any other.
        """
        cards = self.registry.cards(role)
        if not cards:
            raise NotFound(f"No {role} is installed. Look at the Models tab for what could not be loaded.")
        if self.is_sample(project_id):
            cards = sorted(cards, key=lambda card: (card.download is None, not card.demo))
        for card in cards:
            state = self.hub.state(card)
            if state in ("ready", "no download") or (not card.download.gated and self.hub.reachable()):
                return card
        return cards[0]

    def is_sample(self, project_id: str) -> bool:
        """Say whether a project holds the drawn scenes, which demo models know."""
        try:
            return bool(project_id and self.store.project(project_id).settings.get(SAMPLE))
        except NotFound:
            return False

    def close(self) -> None:
        self.store.close()
