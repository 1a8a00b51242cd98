"""Mattes of many images as jobs: detectors or words, or what is labelled, or what stands out → alphas as drafts.

Once begun, a job is paused, gone on with, cancelled and undone by ``studio.operations.jobs``, as every job is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

import numpy as np

from studio.annotations import Alpha, Annotation, Box, Mask, Polygon, Prompt
from studio.errors import BadInput, NotAllowed, unknown
from studio.gate import Turn
from studio.geometry import shape_mask
from studio.operations import jobs
from studio.operations.jobs import PREVIEWED, Preview
from studio.operations.label import check_class_name
from studio.operations.matting import looking
from studio.operations.matting.finding import masks_of
from studio.operations.matting.matte import VERB, checked, matted, matter_options, stand_out
from studio.operations.matting.stored import Bits, kept, models_of
from studio.operations.matting.trimaps import Band, trimap_of
from studio.operations.merging import Merged, Policy, merge, policy_of
from studio.operations.predict import Recipe, find
from studio.operations.predict import check as check_finding
from studio.operations.running import Run
from studio.project import ImageRecord, Job
from studio.studio import Studio

KIND = "matte"
SAME = 0.8  # overlap from which two mattes of a class are of one object
POLICIES = ("append", "merge", "skip", "replace-drafts")

Take = Literal["found", "labels", "alone"]


@dataclass(frozen=True)
class MatteRecipe:
    """How images are matted. JSON holds it, so that a job goes on with what it began with.

    ``take`` says of what: of what ``find`` finds (a detector's or words' recipe, with a segmenter), of what is
    labelled with masks, polygons and boxes (of the ``classes``, all where there are none; ``segmenter`` makes masks
    of boxes, which are passed over without one), or of what stands out, which then is of ``class_name``. ``matter``
    is the model that makes the alphas; where things stand out it is a cutter, or empty for a guess without a
    download. ``policy`` is about mattes alone: masks stay beside them, and so does every matte that a person made.
    """

    matter: str = ""
    take: Take = "found"
    find: Recipe | None = None
    segmenter: str = ""
    classes: tuple[str, ...] = ()
    class_name: str = "object"
    options: Mapping[str, Any] = field(default_factory=dict)
    band: Band = Band()
    policy: Policy = "merge"
    same: float = SAME
    bits: Bits = 8

    def to_json(self) -> dict[str, Any]:
        return {
            "matter": self.matter,
            "take": self.take,
            "find": None if self.find is None else self.find.to_json(),
            "segmenter": self.segmenter,
            "classes": list(self.classes),
            "class_name": self.class_name,
            "options": dict(self.options),
            "band": self.band.to_json(),
            "policy": self.policy,
            "same": self.same,
            "bits": self.bits,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> MatteRecipe:
        """Read a recipe. Raises BadInput that says what is wrong with it."""
        try:
            take = str(data.get("take", "found"))
            if take not in get_args(Take):
                raise unknown("choice of what to matte", take, get_args(Take))
            finding = data.get("find")
            return cls(
                matter=str(data.get("matter") or ""),
                take=take,
                find=None if finding is None else Recipe.from_json(finding),
                segmenter=str(data.get("segmenter") or ""),
                classes=tuple(str(name) for name in data.get("classes") or ()),
                class_name=str(data.get("class_name") or "object"),
                options=dict(data.get("options") or {}),
                band=Band.from_json(data.get("band") or {}),
                policy=policy_of(str(data.get("policy", "merge"))),
                same=float(data.get("same", SAME)),
                bits=int(data.get("bits", 8)),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BadInput(
                f"The settings of a matte cannot be read: {type(error).__name__} {error}."
            ) from None


def check(studio: Studio, recipe: MatteRecipe) -> None:
    """Raise BadInput where a recipe cannot be followed, and NotFound where it names a model nobody knows."""
    if recipe.policy not in POLICIES:
        raise BadInput(
            "A job's mattes are drafts: they never replace what people made. Choose another policy."
        )
    if not 0 < recipe.same <= 1:
        raise BadInput(f"The overlap from which two are one lies above 0, up to 1; it is {recipe.same:g}.")
    if recipe.bits not in (8, 16):
        raise BadInput(f"An alpha is kept with 8 or 16 bits, not {recipe.bits}.")
    role = "cutter" if recipe.take == "alone" else "matter"
    if recipe.matter or recipe.take != "alone":
        card = studio.registry.card(recipe.matter)
        if role not in card.roles:
            needs = "a trimap" if role == "matter" else "nothing but the image"
            raise BadInput(f"{card.title} makes no matte from {needs}. Choose another model.")
        matter_options(card, recipe.options)
    if recipe.take == "found":
        if recipe.find is None:
            raise BadInput("Choose a detector, or write what to look for.")
        if not recipe.find.segmenter:
            raise BadInput("Choose a segmenter that makes masks of what is found.")
        check_finding(studio, recipe.find)
    if recipe.take == "alone":
        check_class_name(recipe.class_name)
    if recipe.segmenter and "segmenter" not in studio.registry.card(recipe.segmenter).roles:
        raise BadInput(f"{studio.registry.card(recipe.segmenter).title} makes no masks. Choose another one.")


def ready(studio: Studio, recipe: MatteRecipe) -> None:
    """Raise NeedsDownload, or another sentence, where a model of a recipe is not here yet."""
    detector = recipe.band.detector if recipe.band.see_through and recipe.take != "alone" else ""
    for model_id in filter(None, (recipe.matter, recipe.segmenter, detector)):
        if studio.hub.state(card := studio.registry.card(model_id)) == "absent":
            raise studio.hub.absent(card, studio.registry.instead_of(card))
    if recipe.take == "found" and recipe.find is not None:
        jobs.ready(studio, recipe.find)


def begin(
    studio: Studio,
    person: str,
    project_id: str,
    recipe: MatteRecipe,
    image_ids: Sequence[str],
    *,
    title: str = "",
) -> Job:
    """Begin to matte images of a project. Raises BadInput, NotFound, and NeedsDownload for a model not here."""
    if not studio.store.may_see(project_id, person):
        raise NotAllowed("This project is not yours. Ask whoever owns it to add you.")
    check(studio, recipe)
    ready(studio, recipe)
    if recipe.find is not None:
        jobs.remember(studio, project_id, recipe.find, person)
        recipe = replace(recipe, find=jobs.with_own_classes(studio, project_id, recipe.find))
    title = title or f"Mattes of {described(studio, recipe)}"
    job = studio.store.add_job(project_id, person, KIND, title, recipe.to_json(), image_ids)
    return start(studio, job)


def start(studio: Studio, job: Job) -> Job:
    """Begin or go on with a job. Raises where it cannot, as ``begin`` does, and Conflict where it is running."""
    recipe = MatteRecipe.from_json(job.settings)
    check(studio, recipe)
    ready(studio, recipe)
    jobs.runs(studio).start(studio.store, job, lambda: Matting(studio, recipe), MatteRun)
    return studio.store.job(job.id)


def preview(
    studio: Studio, person: str, recipe: MatteRecipe, wanted: Sequence[ImageRecord]
) -> Iterator[Preview]:
    """Yield what a job would do to each of some images, PREVIEWED at most, by the masks that it would matte."""
    check(studio, recipe)
    ready(studio, recipe)
    if not wanted:
        raise BadInput("There is no image to work on. Add images, or choose fewer filters.")
    work = Matting(studio, recipe)
    places = np.linspace(0, len(wanted) - 1, min(PREVIEWED, len(wanted))).round().astype(int)
    for place in dict.fromkeys(places.tolist()):
        image = studio.store.image(wanted[place].id)
        drafts = work.masks(image, looking.picture_of(studio, image))
        yield Preview(image, merged_mattes(image, studio.store.annotations(image.id), drafts, recipe))


def described(studio: Studio, recipe: MatteRecipe) -> str:
    """Return what a recipe mattes, and by which models: "what is labelled: ViTMatte small"."""
    models = [recipe.matter]
    if recipe.take == "found" and recipe.find is not None:
        models = [*recipe.find.models, recipe.find.segmenter, recipe.matter]
    names = " + ".join(studio.registry.card(m).title for m in models if m) or "a guess"
    words = ", ".join(word.phrase for word in recipe.find.words if not word.negative) if recipe.find else ""
    what = {"found": words or "what is found", "labels": "what is labelled", "alone": "what stands out"}
    return f"{what[recipe.take]}: {names}"


def merged_mattes(
    image: ImageRecord, there: Sequence[Annotation], drafts: Sequence[Annotation], recipe: MatteRecipe
) -> Merged:
    """Say what becomes of an image's mattes when a job's come to them. Nothing that a person made is deleted."""
    mattes = [a for a in there if isinstance(a.shape, Alpha)]
    merged = merge(image, mattes, drafts, recipe.policy, recipe.same)
    return replace(merged, gone=tuple(a for a in merged.gone if a.draft and a.source == "model"))


@dataclass(frozen=True)
class _Made:
    """The drafts of an image with the files that they name."""

    drafts: tuple[Annotation, ...]
    files: Mapping[str, bytes]


class Matting:
    """A recipe as the work of a job. What it finds on an image is drafts with their files."""

    batch = 1

    def __init__(self, studio: Studio, recipe: MatteRecipe) -> None:
        check(studio, recipe)
        self.studio, self.recipe = studio, recipe
        self.policy, self.same = recipe.policy, recipe.same
        # On a processor a piece takes seconds, too long for a turn, and there a click may well go on beside it.
        self._turn = None if studio.pool.device.name == "cpu" else Turn.BATCH

    def annotate(self, records: Sequence[ImageRecord], pictures: Sequence[np.ndarray]) -> list[list[Any]]:
        """Return for each image, as the one thing of its list, the drafts with their files."""
        pairs = zip(records, pictures, strict=True)
        return [[self._mattes(record, picture)] for record, picture in pairs]

    def masks(self, record: ImageRecord, picture: np.ndarray) -> list[Annotation]:
        """Return drafts with the masks that are to be matted."""
        recipe = self.recipe
        if recipe.take == "found":
            found = find(self.studio, recipe.find, [picture], floor=self._floor(), turn=self._turn)[0]
            return masks_of(self.studio, recipe.find, found)
        if recipe.take == "labels":
            return self._labelled(record, picture)
        draft, *_ = stand_out(
            self.studio, record.project_id, picture, recipe.matter, recipe.options, mask_only=True
        )
        return [replace(draft, class_name=recipe.class_name)]

    def _mattes(self, record: ImageRecord, picture: np.ndarray) -> _Made:
        studio, recipe = self.studio, self.recipe
        if recipe.take == "alone":
            draft, levels, alpha, _ = stand_out(
                studio, record.project_id, picture, recipe.matter, recipe.options, turn=Turn.BATCH
            )
            given = kept(alpha, levels, recipe.bits)
            return _Made((replace(draft, class_name=recipe.class_name, shape=given.shape),), given.files)
        masks = self.masks(record, picture)
        masks = list(merged_mattes(record, studio.store.annotations(record.id), masks, recipe).kept)
        made: list[Annotation] = []
        files: dict[str, bytes] = {}
        refused: list[BadInput] = []
        for draft in masks:
            try:
                shape, own = self._alpha(record, picture, draft)
            except (
                BadInput
            ) as error:  # one that covers the whole image, say; the others are matted all the same
                refused.append(error)
                continue
            made.append(self._with_alpha(draft, shape))
            files |= own
        if refused and not made:
            raise refused[0]
        return _Made(tuple(made), files)

    def _alpha(
        self, record: ImageRecord, picture: np.ndarray, draft: Annotation
    ) -> tuple[Alpha, dict[str, bytes]]:
        studio, recipe = self.studio, self.recipe
        through = looking.see_through(studio, record, picture, recipe.band, self._turn)
        levels = trimap_of(picture, draft.shape.to_array(), recipe.band, through)
        card = checked(studio, recipe.matter, "matter")
        alpha = matted(studio, card, picture, levels, recipe.options, turn=Turn.BATCH)
        given = kept(alpha, levels, recipe.bits)
        return given.shape, given.files

    def _with_alpha(self, draft: Annotation, shape: Alpha) -> Annotation:
        model, version = models_of(self.studio, draft, self.studio.registry.card(self.recipe.matter))
        return replace(draft, shape=shape, model=model, model_version=version)

    def _labelled(self, record: ImageRecord, picture: np.ndarray) -> list[Annotation]:
        """Return drafts with the masks of what is labelled, each beside the object that it is of."""
        recipe, drafts, embedding = self.recipe, [], None
        for there in self.studio.store.annotations(record.id):
            if recipe.classes and there.class_name not in recipe.classes:
                continue
            made = Annotation(there.class_name, there.shape, source="model", draft=True, model=there.model,
                              model_version=there.model_version, prompt=there.prompt)  # fmt: skip
            if isinstance(there.shape, Mask | Polygon):
                drafts.append(replace(made, shape=shape_mask(there.shape, record.height, record.width)))
            elif isinstance(there.shape, Box) and recipe.segmenter:
                card, prompt = checked(self.studio, recipe.segmenter, "segmenter"), Prompt(box=there.shape)
                run = self.studio.pool.run
                if embedding is None:
                    embedding = run(card.id, lambda model: model.embed(picture), turn=self._turn)
                answers = run(
                    card.id,
                    lambda model, e=embedding, p=prompt: model.segment(e, p),
                    turn=self._turn,
                )
                if answers and answers[0].mask.area:
                    drafts.append(
                        replace(
                            made,
                            shape=answers[0].mask,
                            model=card.id,
                            model_version=card.version,
                            prompt=prompt,
                        )
                    )
        return drafts

    def _floor(self) -> float:
        limits = [w.threshold for w in self.recipe.find.words if w.threshold is not None]
        return max(min([self.recipe.find.threshold, *limits]), 1e-6)


class MatteRun(Run):
    """A run whose results are drafts with files, which go together with the image's other mattes alone."""

    def _finish(self, record: ImageRecord, found: list[Any]) -> None:
        (made,), work = found, self._work
        now = self._store.image(record.id)
        merged = merged_mattes(now, self._store.annotations(record.id), made.drafts, work.recipe)
        counts = {"added": len(merged.kept), "merged": len(merged.dropped), "dropped": len(merged.gone)}
        named = {digest for a in merged.kept for digest in a.shape.digests}
        files = {digest: data for digest, data in made.files.items() if digest in named}
        done = self._store.finish_job_image(
            self.job_id, record.id, merged.changes(), verb=VERB, counts=counts, files=files
        )
        if done is not None:
            self._count(counts)
