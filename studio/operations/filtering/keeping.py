"""What is kept of a ranking: a tag with its score, a project of its own, or images taken out of view."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from studio.annotations import Alpha, Annotation, Label
from studio.errors import BadInput, Cancelled
from studio.operations.filtering.collection import embedder, see, version_of
from studio.operations.label import check_class_name
from studio.project import Change, ImageRecord, Project
from studio.studio import Studio

AT_ONCE = 50  # images in one transaction, so that clicks get in between
VERB = "filter"

Told = Callable[[float], None]
Asked = Callable[[], bool]


def untold(share: float) -> None: ...


def never() -> bool:
    return False


@dataclass(frozen=True)
class Kept:
    """What was kept: on how many ``images``, and how many were left as they are since people had been there before.

    ``group`` takes all of it back: ``store.undo_group(group, person)``; empty where there is nothing to take back.
    """

    images: int
    left: int = 0
    group: str = ""


def tag(
    studio: Studio,
    person: str,
    project_id: str,
    model_id: str,
    scored: Sequence[tuple[str, float | None]],
    class_name: str,
    *,
    draft: bool = True,
    told: Told = untold,
    cancelled: Asked = never,
) -> Kept:
    """Give images a tag with their scores, if any, as drafts unless said otherwise; one undo takes it back.

    A tag that a person made or accepted stays as it is, and so does the image then; a draft of the same tag gets the
    new score. Raises Cancelled where it is stopped: what was tagged stays until it is undone.
    """
    see(studio, project_id, person)
    card = embedder(studio, model_id)
    name = check_class_name(class_name)
    made = {"source": "model", "draft": draft, "model": card.id, "model_version": version_of(studio, card)}
    wanted = dict(scored)

    def changes(image_id: str, there: Sequence[Annotation]) -> list[Change] | None:
        return tag_changes(there, Annotation(name, Label(), score=wanted[image_id], **made), (name,))

    ids = _of_project(studio, project_id, list(wanted))
    return change_tags(studio, person, ids, changes, verb=VERB, told=told, cancelled=cancelled)


def tag_changes(
    there: Sequence[Annotation], new: Annotation | None, names: Sequence[str]
) -> list[Change] | None:
    """Return what puts a model's tag in the place of its earlier ones of ``names``; None where a person's stays."""
    tags = [a for a in there if isinstance(a.shape, Label) and a.class_name in names]
    if any(a.source == "person" or not a.draft for a in tags):
        return None
    same = next((a for a in tags if new is not None and a.class_name == new.class_name), None)
    gone = [Change(delete=a.id, revision=a.revision) for a in tags if a is not same]
    if new is None:
        return gone
    put = new if same is None else replace(new, id=same.id, revision=same.revision)
    return [*gone, Change(put)]


def change_tags(
    studio: Studio,
    person: str,
    image_ids: Sequence[str],
    changes: Callable[[str, Sequence[Annotation]], list[Change] | None],
    *,
    verb: str,
    told: Told = untold,
    cancelled: Asked = never,
) -> Kept:
    """Change many images' tags as one group of history; ``changes`` says what becomes of each, None for nothing."""
    group, done, left = uuid.uuid4().hex, 0, 0
    for part in _parts(image_ids):
        if cancelled():
            raise Cancelled(f"Stopped: {done:,} images have their tag. Undo takes them back.")
        there = studio.store.annotations_of(part)
        wanted: dict[str, list[Change]] = {}
        for image_id in part:
            found = changes(image_id, there.get(image_id, ()))
            if found is None:
                left += 1
            elif found:
                wanted[image_id] = found
        done += len(studio.store.apply_to_many(wanted, person, verb=verb, group=group))
        told(min(1.0, (done + left) / max(1, len(image_ids))))
    return Kept(done, left, group if done else "")


def new_project(
    studio: Studio,
    person: str,
    project_id: str,
    image_ids: Sequence[str],
    name: str,
    *,
    labels: bool = True,
    told: Told = untold,
    cancelled: Asked = never,
) -> Project:
    """Make a project of some images of another, in the order given; their files are shared, not copied.

    With ``labels`` come the classes and all annotations, drafts as drafts. Raises BadInput for no images, and
    Cancelled where it is stopped: what was made of it is deleted again.
    """
    see(studio, project_id, person)
    ids = _of_project(studio, project_id, image_ids)
    if not ids:
        raise BadInput("No image is chosen. Move the threshold until some are, then make a project of them.")
    store = studio.store
    made = store.create_project(name, person)
    try:
        if labels:
            for entry in store.classes(project_id):
                store.add_class(made.id, entry.name, entry.colour, entry.hotkey, person=person)
        done, group = 0, uuid.uuid4().hex
        for part in _parts(ids):
            if cancelled():
                raise Cancelled("Stopped. No project was made.")
            pairs = store.copy_images(part, made.id, person)
            if labels:
                _copy_labels(studio, person, pairs, group)
            done += len(part)
            told(done / len(ids))
    except BaseException:
        store.delete_project(made.id, person=person)
        raise
    return store.project(made.id)


def hide(studio: Studio, person: str, project_id: str, image_ids: Sequence[str]) -> Kept:
    """Take images out of view, and delete nothing; ``show`` brings them back."""
    see(studio, project_id, person)
    return Kept(studio.store.hide_images(project_id, image_ids, person))


def show(studio: Studio, person: str, project_id: str, image_ids: Sequence[str] | None = None) -> Kept:
    """Bring images back into view; all of them where none is named."""
    see(studio, project_id, person)
    if image_ids is None:
        image_ids = studio.store.image_ids(project_id, hidden=True)
    return Kept(studio.store.show_images(project_id, image_ids, person))


def hidden(studio: Studio, person: str, project_id: str, *, limit: int = 1000) -> list[ImageRecord]:
    """Return the images that are out of view, in the order they came."""
    see(studio, project_id, person)
    return studio.store.images(project_id, limit=limit, hidden=True)


def _copy_labels(
    studio: Studio, person: str, pairs: Sequence[tuple[ImageRecord, ImageRecord]], group: str
) -> None:
    there = studio.store.annotations_of([old.id for old, _ in pairs])
    simple: dict[str, list[Change]] = {}
    for old, new in pairs:
        found = there.get(old.id, [])
        changes = [Change(replace(a, id=uuid.uuid4().hex, revision=0)) for a in found]
        files = _files(studio, old, found)
        if files:
            studio.store.apply(new.id, person, changes, verb="copy", group=group, files=files)
        elif changes:
            simple[new.id] = changes
        if old.status == "done":
            studio.store.set_status(new.id, "done", person)
    studio.store.apply_to_many(simple, person, verb="copy", group=group)


def _files(studio: Studio, image: ImageRecord, annotations: Sequence[Annotation]) -> Mapping[str, bytes]:
    """Return the files that alphas of an image name, by their digests."""
    digests = {digest for a in annotations if isinstance(a.shape, Alpha) for digest in a.shape.digests}
    return {digest: studio.store.alpha_path(image.id, digest).read_bytes() for digest in digests}


def _of_project(studio: Studio, project_id: str, image_ids: Sequence[str]) -> list[str]:
    """Return those of some images that are in a project still, in order, each once."""
    there = set(studio.store.image_ids(project_id))
    return [each for each in dict.fromkeys(image_ids) if each in there]


def _parts(image_ids: Sequence[str]) -> Iterator[list[str]]:
    ids = list(dict.fromkeys(image_ids))
    for start in range(0, len(ids), AT_ONCE):
        yield ids[start : start + AT_ONCE]
