"""Models of the Hugging Face hub: added by their id, and removed, by whoever runs the studio."""

from __future__ import annotations

from studio.adapters import Card
from studio.errors import NotFound
from studio.hub.open_clip_names import hub_id_of
from studio.operations.checkpoints import check_may_change, take_out
from studio.studio import Studio


def add(studio: Studio, person: str, hub_id: str) -> Card:
    """Add a model by its id, or a name of open_clip such as "ViT-B-32/laion2b_s34b_b79k", and return its card.

    Raises NotAllowed, and what ``hub_id_of`` and ``HubModels.add`` do.
    """
    check_may_change(studio, person)
    return studio.hub_models.add(hub_id_of(hub_id) or hub_id, person)


def by_id(studio: Studio, person: str, hub_id: str) -> Card:
    """Return the card of a model of the hub, which is added where it is not known yet. Raises what ``add`` does."""
    wanted = hub_id.strip().lower()
    for card in studio.registry.cards():
        if card.download and not card.download.addresses and card.download.hub_id.lower() == wanted:
            return card
    return add(studio, person, hub_id)


def remove(studio: Studio, person: str, model_id: str) -> str:
    """Forget an added model, out of the memory too, and return its title. Raises Conflict while it is in use.

    Its files stay in the hub's cache, which other programs use as well.
    """
    check_may_change(studio, person)
    if model_id not in [key for _, key in added(studio)]:
        raise NotFound("This model is not here any more, or comes with the studio.")
    return take_out(studio, model_id, studio.hub_models)


def added(studio: Studio) -> list[tuple[str, str]]:
    """Return title and id of the added models, the latest first."""
    return [(each.hub_id, each.id) for each in studio.hub_models.read()]
