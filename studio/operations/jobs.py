"""Predictions of many images as jobs: begin one, go on with it, watch it, look ahead, and take it all back."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from weakref import WeakKeyDictionary

import numpy as np

from studio import images
from studio.adapters import Detection
from studio.annotations import Box
from studio.errors import BadInput, NotAllowed, NotFound, unknown
from studio.gate import Turn
from studio.operations.describing import PLAIN, Told
from studio.operations.examples import ExampleSet, Step, check_reach, example_set
from studio.operations.merging import Merged, merge
from studio.operations.predict import Prediction, Recipe, annotations, check, find_in
from studio.operations.ray_engine import Cluster, RayRun, Spread
from studio.operations.running import VERB, Run, Runs
from studio.project import Applied, Filters, ImageRecord, Job
from studio.studio import Studio

KIND = "predict"
CLASS_NAMES = "class names of models"  # the project's setting: what each model's classes are called there
PREVIEWED = 12  # images that a preview looks at, at most
IMAGES: dict[str, Filters] = {"all": {}, "unlabelled": {"unlabelled": True}, "todo": {"status": "todo"}}

_RUNS: WeakKeyDictionary[Studio, Runs] = WeakKeyDictionary()
_LOCK = threading.Lock()


def runs(studio: Studio) -> Runs:
    """Return the jobs that this process works on for a studio."""
    with _LOCK:
        return _RUNS.setdefault(studio, Runs())


# ---- whole datasets --------------------------------------------------------------------------------


def begin(
    studio: Studio,
    person: str,
    project_id: str,
    recipe: Recipe,
    image_ids: Sequence[str],
    *,
    title: str = "",
    cluster: Cluster | None = None,
) -> Job:
    """Begin to predict images of a project, here or on a cluster.

    Raises BadInput, NotFound, NeedsDownload for a model not here, and what ``Cluster.join`` does.
    """
    _see(studio, project_id, person)
    check(studio, recipe)
    ready(studio, recipe)
    _shown(studio, project_id, recipe)
    _check_reach(studio, recipe, image_ids)
    if cluster is not None:
        cluster.join(studio, recipe)
    if recipe.task in PLAIN:
        raise BadInput(f"A {recipe.task} marks nothing in an image. Choose another way for many images.")
    names = " + ".join(studio.registry.card(m).title for m in recipe.model_ids)
    if sought := _sought(recipe):
        names = f"{sought}: {names}"
    remember(studio, project_id, recipe, person)
    recipe = with_own_classes(studio, project_id, recipe)
    job = studio.store.add_job(project_id, person, KIND, title or names, recipe.to_json(), image_ids)
    return _start(studio, job, recipe, cluster)


def go_on(studio: Studio, person: str, job_id: str, *, cluster: Cluster | None = None) -> Job:
    """Go on with a job that was paused, cancelled, or cut off by the end of its process, where it stood.

    It may go on elsewhere than it began: the images that are left are all that counts.

    Images that failed are tried once more, also of a job that is done. Raises Conflict where it is running, and
    BadInput where nothing is left to do.
    """
    job = job_for(studio, job_id, person)
    if job.kind in ("ask", "matte"):
        return _other_on(studio, job, cluster)
    if job.kind == "embed":
        return _embed_on(studio, job, cluster)
    recipe = Recipe.from_json(job.settings)
    check(studio, recipe)
    ready(studio, recipe)
    _shown(studio, job.project_id, recipe)
    if cluster is not None:
        cluster.join(studio, recipe)
    _again(studio, job)
    return _start(studio, job, recipe, cluster)


def _other_on(studio: Studio, job: Job, cluster: Cluster | None) -> Job:
    """Go on with a job that asks or mattes."""
    from studio.operations import ask_jobs  # they stand on this module
    from studio.operations.matting import jobs as matte_jobs

    if cluster is not None:
        raise BadInput("This job works on this machine alone. Go on without a cluster.")
    _again(studio, job)
    return (ask_jobs if job.kind == "ask" else matte_jobs).start(studio, job)


def _embed_on(studio: Studio, job: Job, cluster: Cluster | None) -> Job:
    from studio.operations.filtering import embedding  # it stands on this module

    _again(studio, job)
    return embedding.start(studio, job, cluster)


def _again(studio: Studio, job: Job) -> None:
    """Put what failed among what is left, also of a job that is done. Raises BadInput where nothing is left."""
    if job.state == "running":
        return
    again = studio.store.retry_job_images(job.id)
    if job.state == "done":
        if not again:
            raise BadInput(f"“{job.title}” is done: no image of it is left.")
        studio.store.set_job_state(job.id, "paused", only=("done",))


def _start(studio: Studio, job: Job, recipe: Recipe, cluster: Cluster | None) -> Job:
    if cluster is None:
        shown = _shown(studio, job.project_id, recipe)
        runs(studio).start(studio.store, job, lambda: Prediction(studio, recipe, shown))
    else:
        runs(studio).start(studio.store, job, lambda: Spread(studio, recipe, cluster), RayRun)
    return studio.store.job(job.id)


def images_of(studio: Studio, project_id: str, which: str | Sequence[str]) -> list[str]:
    """Return the ids of a project's images: all, those without a label, those not marked done, or those named.

    Raises NotFound where one that is named is not of the project.
    """
    if not isinstance(which, str):
        if not which:
            raise BadInput("There is no image to work on. Name one, or leave images out for all.")
        there = set(studio.store.image_ids(project_id))
        if missing := [image for image in which if image not in there]:
            raise NotFound(
                f"{len(missing):,} of the {len(which):,} images are not in this project: {missing[0][:40]} …"
            )
        return list(which)
    if which not in IMAGES:
        raise unknown("choice of images", which, IMAGES)
    return studio.store.image_ids(project_id, **IMAGES[which])


def running(studio: Studio, job_id: str) -> Run | None:
    """Return the run of a job where this process works on it."""
    run = runs(studio).get(job_id)
    return run if run is not None and run.running else None


def pause(studio: Studio, person: str, job_id: str) -> None:
    """Stop a job after the images in hand. Another process that works on it does so within a few seconds."""
    job = job_for(studio, job_id, person)
    if (run := running(studio, job_id)) is not None:
        run.pause()
    elif job.state == "running":
        studio.store.set_job_state(job_id, "paused", only=("running",))


def cancel(studio: Studio, person: str, job_id: str) -> None:
    """Stop a job for good; what it did stays until it is undone."""
    job = job_for(studio, job_id, person)
    if (run := running(studio, job_id)) is not None:
        run.cancel()
    elif job.state in ("paused", "running"):
        studio.store.set_job_state(job_id, "cancelled", only=("paused", "running"))


def undo(studio: Studio, person: str, job_id: str) -> int:
    """Take back all that a job did, and return how many images it touched. Raises BadInput while it is running."""
    job = job_for(studio, job_id, person)
    if job.state == "running":
        raise BadInput(f"“{job.title}” is running. Cancel it first, then undo it.")
    count = studio.store.undo_group(job.id, person)
    if count:  # said with the job from now on
        pictures = "1 image" if count == 1 else f"{count:,} images"
        told = f"Taken back on {pictures}. What people accepted or changed since stays."
        studio.store.set_job_state(job.id, job.state, problem=told)
    return count


def forget(studio: Studio, person: str, job_id: str) -> None:
    """Take a job off the list; what it did stays."""
    job_for(studio, job_id, person)
    studio.store.delete_job(job_id)


def job_for(studio: Studio, job_id: str, person: str) -> Job:
    """Return a job, or raise NotFound alike when it does not exist and when it is not this person's to see."""
    job = studio.store.job(job_id)
    if not studio.store.may_see(job.project_id, person):
        raise NotFound("This job is not here any more.")
    return job


def ready(studio: Studio, recipe: Recipe) -> None:
    """Raise NeedsDownload, or another sentence, where a model of a recipe is not here yet."""
    for model_id in recipe.model_ids:
        if studio.hub.state(card := studio.registry.card(model_id)) == "absent":
            raise studio.hub.absent(card, studio.registry.instead_of(card))


# ---- one image, and looking ahead ------------------------------------------------------------------


@dataclass(frozen=True)
class Findings:
    """What a recipe finds on one image, down to scores far below its threshold, in the image's own pixels."""

    image: ImageRecord
    recipe: Recipe
    detections: tuple[Detection, ...]
    told: Told | None = None  # what a model said of it, where it was one that describes images


@dataclass(frozen=True)
class Preview:
    """What a job would do to an image."""

    image: ImageRecord
    merged: Merged

    @property
    def counts(self) -> tuple[int, int, int]:
        """How many it would add, find there already, and delete."""
        return len(self.merged.kept), len(self.merged.dropped), len(self.merged.gone)


def look(
    studio: Studio,
    image: ImageRecord,
    recipe: Recipe,
    *,
    region: Box | None = None,
    turn: Turn | None = Turn.CLICK,
    step: Step | None = None,
) -> Findings:
    """Predict one image, or a region of it, without changing anything. ``step`` is that of ``predict.find``."""
    check(studio, recipe)
    ready(studio, recipe)
    shown = _shown(studio, image.project_id, recipe)
    picture = images.decode(studio.store.original_path(image), image.name)
    named = with_own_classes(studio, image.project_id, recipe)
    told: list[Told] = []
    found = find_in(
        studio,
        named,
        picture,
        region,
        turn=turn,
        shown=shown,
        image_id=image.id,
        step=step,
        heard=told.append,
    )
    return Findings(image, recipe, tuple(found), told[0] if told else None)


def keep(studio: Studio, person: str, findings: Findings, chosen: Iterable[int]) -> Applied | None:
    """Save the findings of these numbers as drafts of their image, however sure they are.

    They go together with what is there by the recipe's policy; one undo takes them back. None where nothing is left.
    """
    numbers = set(chosen)
    kept = [d for n, d in enumerate(findings.detections) if n in numbers]
    words = tuple(replace(word, threshold=None) for word in findings.recipe.words)
    merged = _merged(studio, findings.image, replace(findings.recipe, threshold=0.0, words=words), kept)
    changes = merged.changes()
    if not changes:
        return None
    remember(studio, findings.image.project_id, findings.recipe, person)
    return studio.store.apply(findings.image.id, person, changes, verb=VERB)


def preview(studio: Studio, person: str, recipe: Recipe, wanted: Sequence[ImageRecord]) -> Iterator[Preview]:
    """Yield what a job would do to each of some images, PREVIEWED at most, evenly out of those given."""
    if not wanted:
        raise BadInput("There is no image to work on. Add images, or choose fewer filters.")
    places = np.linspace(0, len(wanted) - 1, min(PREVIEWED, len(wanted))).round().astype(int)
    for place in dict.fromkeys(places.tolist()):
        findings = look(studio, wanted[place], recipe, turn=Turn.BATCH)
        yield Preview(wanted[place], _merged(studio, wanted[place], recipe, findings.detections))


def _merged(studio: Studio, image: ImageRecord, recipe: Recipe, chosen: Sequence[Detection]) -> Merged:
    there = studio.store.annotations(image.id)
    now = studio.store.image(image.id)
    return merge(now, there, annotations(recipe, studio, chosen), recipe.policy, recipe.same)


# ---- what a model's classes are called -------------------------------------------------------------


def remember(studio: Studio, project_id: str, recipe: Recipe, person: str) -> None:
    """Keep in the project what the recipe calls its models' classes, for the next time they are chosen."""
    if recipe.words or recipe.examples or recipe.described:  # they say themselves what is found by them
        return
    known = dict(studio.store.project(project_id).settings.get(CLASS_NAMES) or {})
    mine = {"classes": dict(recipe.classes), "unknown": recipe.unknown}
    changed = {m: mine for m in recipe.models if known.get(m) != mine}
    if changed:
        studio.store.set_setting(project_id, CLASS_NAMES, {**known, **changed}, person=person)


def remembered(studio: Studio, project_id: str, model_id: str) -> tuple[dict[str, str | None], str]:
    """Return what a model's classes were called last time in a project, and what became of unknown ones."""
    known = (studio.store.project(project_id).settings.get(CLASS_NAMES) or {}).get(model_id) or {}
    return dict(known.get("classes") or {}), str(known.get("unknown") or "add")


def with_own_classes(studio: Studio, project_id: str, recipe: Recipe) -> Recipe:
    """Return a recipe for which a class that the project has is no unknown one."""
    if recipe.unknown != "drop":
        return recipe
    own: dict[str, str | None] = {c.name: c.name for c in studio.store.classes(project_id)}
    return replace(recipe, classes={**own, **recipe.classes})


def _shown(studio: Studio, project_id: str, recipe: Recipe) -> ExampleSet | None:
    """Return the recipe's examples with their pictures. Raises NotFound where one is not of the project."""
    return example_set(studio, project_id, recipe.examples) if recipe.examples else None


def _check_reach(studio: Studio, recipe: Recipe, image_ids: Sequence[str]) -> None:
    if recipe.examples:
        check_reach(
            [studio.registry.card(m) for m in recipe.models], recipe.examples, image_ids, studio.registry
        )


def _sought(recipe: Recipe) -> str:
    """Return what a recipe looks for, for a title; nothing where its models know that themselves."""
    if recipe.examples:
        return f"Like examples of {recipe.example_class}"
    if recipe.words:
        phrases = [word.phrase for word in recipe.words if not word.negative]
        rest = f" and {len(phrases) - 3} more" if len(phrases) > 3 else ""
        return f"{', '.join(phrases[:3])}{rest}"
    return recipe.task.capitalize() if recipe.task else "What captions name" if recipe.describer else ""


def _see(studio: Studio, project_id: str, person: str) -> None:
    if not studio.store.may_see(project_id, person):
        raise NotAllowed("This project is not yours. Ask whoever owns it to add you.")
