"""What the API takes and gives, as JSON. Boxes are x0, y0, x1, y1 in pixels of the upright image."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from studio.adapters import Card, Detection, Task
from studio.annotations import Box
from studio.errors import BadInput
from studio.geometry import mask_to_rle
from studio.operations.answer_files import cell_json
from studio.operations.ask import ANSWER, MOST_TAGS, Answer, Query
from studio.operations.fusion import TWICE
from studio.operations.merging import POLICY, SAME_FOUND
from studio.operations.recipe import FIRST_THRESHOLD, Recipe, named_or_described
from studio.operations.reports import Report
from studio.operations.running import Run
from studio.project import Cell, ImageColumn, ImageRecord, Job, Project
from studio.studio import Studio


class Body(BaseModel):
    """What every body has in common."""

    model_config = ConfigDict(extra="forbid")  # a field that is misspelt is told, not passed over


class TilingBody(Body):
    """Look at large images in overlapping tiles."""

    side: int = 640
    overlap: int = 128
    together: Literal["nms", "nmm", "none"] = "nms"
    same: float = 0.5
    batch: int = Field(4, ge=1, le=64)
    whole: bool = True


class FusionBody(Body):
    """How several detectors' findings become one."""

    way: Literal["wbf", "nms", "soft-nms"] = "wbf"
    same: float = 0.55
    weights: list[float] = []


class WordBody(Body):
    """A phrase to look for, and the class of what it finds; of a negative one, what is not wanted."""

    phrase: str
    class_name: str = ""
    threshold: float | None = None
    negative: bool = False


class RecipeBody(Body):
    """Which models predict, and what becomes of what they find."""

    models: list[str] = Field(
        description="1 to 5 detectors, or models that find words, or one classifier or semantic segmenter."
    )
    words: list[str | WordBody] | None = Field(
        None,
        description="What to look for; an empty list has a caption written first, and its things looked for.",
    )
    describer: str = Field("", description="Writes that caption; else the first model that can.")
    task: Literal["", *get_args(Task)] = Field("", description="Without words: what a describer is to tell.")
    caption: str = Field("", description="One of your own, to be grounded instead of the model's.")
    all_as: str = Field("", description="The class of all that is described, instead of its words.")
    segmenter: str = Field("", description="Makes masks of boxes.")
    pose: str = Field("", description="Places keypoints in boxes.")
    threshold: float = FIRST_THRESHOLD
    options: dict[str, dict[str, Any]] = Field({}, description="Values of a model's options, by its id.")
    classes: dict[str, str | None] = Field(
        {}, description="A model's name → the project's; null leaves it out."
    )
    unknown: Literal["add", "drop"] = "add"
    tiling: TilingBody | None = None
    fusion: FusionBody = FusionBody()
    policy: Literal["append", "merge", "skip", "replace-drafts", "replace-all"] = POLICY
    same: float = SAME_FOUND
    twice: float = Field(TWICE, description="Overlap from which one model found a thing twice.")

    def recipe(self, studio: Studio) -> Recipe:
        recipe = Recipe.from_json(self.model_dump(include=set(RecipeBody.model_fields)))
        return recipe if self.words is None else named_or_described(studio, recipe)


class PredictBody(RecipeBody):
    """Predict an image of a project; nothing is saved."""

    image: str = Field(description="The image's id.")
    region: list[float] | None = Field(None, description="x0, y0, x1, y1 of the part to look at.")


class ImagesBody(Body):
    """Images of a project."""

    project: str = Field(description="The project's id.")
    images: Literal["all", "unlabelled", "todo"] | list[str] = Field(
        "all", description="Which, or their ids."
    )
    title: str = ""


class JobBody(RecipeBody, ImagesBody):
    """Predict images of a project, and save what is found as drafts."""


class QueryBody(Body):
    """A question to a model."""

    model: str = Field(description="A model of the role answerer.")
    question: str = Field("", description="Without one, the answer is a caption.")
    options: dict[str, Any] = Field({}, description="Values of the model's options.")

    def query(self, **more: Any) -> Query:
        return Query.from_json({**self.model_dump(include=set(QueryBody.model_fields)), **more})


class AskBody(QueryBody):
    """Ask about an image of a project; nothing is saved."""

    image: str = Field(description="The image's id.")
    region: list[float] | None = Field(None, description="x0, y0, x1, y1 of the part to ask about.")


class AskJobBody(QueryBody, ImagesBody):
    """Ask about images of a project, and write the answers into tags or a column."""

    column: str = Field("", description="The name of the column for the answers; it is added if need be.")
    tag: str = Field("", description=f"Or the tag, with {ANSWER} where the answer stands.")
    choices: list[str] = Field([], description="The only answers that count.")
    most: int = Field(MOST_TAGS, description="How many different tags a job may make.")
    again: Literal["fill", "replace"] = "fill"

    def asked(self) -> Query:
        if bool(self.column.strip()) == bool(self.tag.strip()):
            raise BadInput("Name a column for the answers, or a tag.")
        into = {"into": "tag", "template": self.tag} if self.tag.strip() else {"into": "column"}
        return self.query(**into, choices=self.choices, most=self.most, again=self.again)


def region_of(corners: list[float] | None) -> Box | None:
    if corners is None:
        return None
    if len(corners) != 4:
        raise BadInput(f"A region is x0, y0, x1, y1; this one has {len(corners)} numbers.")
    return Box(*corners)


def project_json(project: Project) -> dict[str, Any]:
    return {
        "id": project.id,
        "name": project.name,
        "images": project.image_count,
        "created": project.created.isoformat(),
    }


def image_json(image: ImageRecord) -> dict[str, Any]:
    return {
        "id": image.id,
        "name": image.name,
        "width": image.width,
        "height": image.height,
        "status": image.status,
        "annotations": image.count,
        "drafts": image.drafts,
    }


def model_json(studio: Studio, card: Card) -> dict[str, Any]:
    defaults = card.options()
    return {
        "id": card.id,
        "title": card.title,
        "roles": list(card.roles),
        "licence": card.licence,
        "commercial": card.commercial,
        "demo": card.demo,
        "state": studio.hub.state(card),
        "download_bytes": card.download.bytes if card.download else 0,
        "options": {
            option.name: {"default": getattr(defaults, option.name), **dict(option.metadata)}
            for option in fields(card.options)
        },
    }


def detection_json(detection: Detection, said: str = "") -> dict[str, Any]:
    """Return a detection; ``said`` are the words that it was found by, where they are not its class."""
    found: dict[str, Any] = {
        "class": detection.name,
        "score": float(detection.score),
        "box": list(detection.box.xyxy),
    }
    if said not in ("", detection.name):
        found["phrase"] = said
    if detection.mask is not None:
        found["mask"] = mask_to_rle(detection.mask)
    if detection.keypoints is not None:
        found["keypoints"] = [list(point) for point in detection.keypoints.points]
        found["keypoint_scores"] = [float(score) for score in detection.keypoint_scores]
    return found


def job_json(job: Job, run: Run | None) -> dict[str, Any]:
    """Return a job; with what this process knows of it where it works on it."""
    found: dict[str, Any] = {
        "id": job.id,
        "project": job.project_id,
        "kind": job.kind,
        "title": job.title,
        "state": job.state,
        "problem": job.problem,
        "created": job.created.isoformat(),
        "done": job.done,
        "failed": job.failed,
        "total": job.total,
        "settings": job.settings,
    }
    if run is not None:
        found |= {"now": run.progress.now, "seconds_left": run.progress.seconds_left}
    return found


def answer_json(answer: Answer) -> dict[str, Any]:
    """Return an answer, with the places that it speaks of in pixels of the image."""
    reading = answer.said.reading
    places = [
        {
            "phrase": place.phrase,
            "span": list(place.span),
            "box": list(place.box.xyxy) if place.box else None,
            "points": [list(point) for point in place.points],
            "outline": [list(point) for point in place.outline],
        }
        for place in reading.places
    ]
    return {"answer": reading.text, "places": places, "raw": answer.said.text, "seconds": answer.seconds}


def column_json(column: ImageColumn) -> dict[str, Any]:
    return {
        "id": column.id,
        "name": column.name,
        "question": column.question,
        "model": column.model,
        "answers": column.answers,
    }


def answered_json(image: ImageRecord, cell: Cell | None) -> dict[str, Any]:
    return {"image": image.id, "name": image.name, "answer": None if cell is None else cell_json(cell)}


def report_json(report: Report) -> dict[str, Any]:
    return {
        "job": job_json(report.job, None),
        "added": report.added,
        "merged": report.merged,
        "dropped": report.dropped,
        "failed": [{"image": name, "problem": problem} for name, problem in report.failed],
        "sentence": report.sentence(),
        "answers": [{"answer": text, "images": count} for text, count in report.answers],
    }
