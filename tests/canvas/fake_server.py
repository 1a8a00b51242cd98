"""A labelling server in memory that speaks the canvas wire, with a segmenter that draws discs and boxes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from studio.annotations import Mask, shape_to_json

PALETTE = ["#e6194b", "#3cb44b", "#4363d8", "#f58231", "#911eb4", "#46c0c0", "#f032e6", "#9a6324"]


@dataclass
class FakeImage:
    id: str
    name: str
    width: int
    height: int
    url: str
    status: str = "todo"
    version: int = 0
    annotations: dict[str, dict[str, Any]] = field(default_factory=dict)
    changes: list[tuple[int, str]] = field(default_factory=list)
    done: list[dict[str, tuple[Any, Any]]] = field(default_factory=list)
    undone: list[dict[str, tuple[Any, Any]]] = field(default_factory=list)


def mask_json(array: np.ndarray) -> dict[str, Any]:
    return shape_to_json(Mask.from_array(array))


class FakeServer:
    """Answers requests as the studio would; ``asked`` holds each of them, ``delay`` is in seconds."""

    def __init__(
        self, images: list[FakeImage], classes: list[str] | None = None, delay: float = 0.004
    ) -> None:
        self.images = {image.id: image for image in images}
        self.classes: list[dict[str, Any]] = []
        for name in classes if classes is not None else ["apple", "leaf", "background"]:
            self._add_class(name)
        self.delay = delay
        self.down = False
        self.lose_answers = 0
        self.missing = False
        self.download: dict[str, int] | None = None
        self.asked: list[dict[str, Any]] = []

    def __call__(self, request: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(request)
        if self.down:
            raise RuntimeError("the server is down")
        try:
            answer = getattr(self, "op_" + request["op"])(request)
        except ValueError as error:
            return {"ok": False, "seq": request["seq"], "error": str(error), "kind": "BadInput"}
        if self.lose_answers:
            self.lose_answers -= 1
            raise RuntimeError("the answer is lost")
        return {"ok": True, "seq": request["seq"], **answer}

    # ---- reading -------------------------------------------------------------------------------

    def op_open(self, request: dict[str, Any]) -> dict[str, Any]:
        image = self.images[request["image"]]
        ids = list(self.images)
        at = ids.index(image.id)
        return {
            "image": {"id": image.id, "name": image.name, "url": image.url, "width": image.width,
                      "height": image.height, "version": image.version, "status": image.status, "position": at,
                      "total": len(ids), "previous": ids[at - 1] if at else None,
                      "next": ids[at + 1] if at + 1 < len(ids) else None},
            "annotations": list(image.annotations.values()), "classes": self.classes, "person": "me",
        }  # fmt: skip

    def op_prepare(self, request: dict[str, Any]) -> dict[str, Any]:
        return self._missing(request) or {"encode_ms": 12.0, "cached": False}

    def op_poll(self, request: dict[str, Any]) -> dict[str, Any]:
        image = self.images[request["image"]]
        touched = {id for version, id in image.changes if version > request["version"]}
        return {"annotations": [image.annotations[i] for i in touched if i in image.annotations],
                "deleted": [i for i in touched if i not in image.annotations], "version": image.version}  # fmt: skip

    # ---- changes -------------------------------------------------------------------------------

    def op_segment(self, request: dict[str, Any]) -> dict[str, Any]:
        missing = self._missing(request)
        if missing:
            return missing
        began = time.perf_counter()
        time.sleep(self.delay)
        image = self.images[request["image"]]
        masks = self._masks(image, request["points"], request.get("box"))
        scores = [0.93, 0.88, 0.71]
        decode = (time.perf_counter() - began) * 1000
        shapes = [mask_json(m) for m in masks]
        annotation = {
            "id": request["annotation"], "class": request["class"], "shape": shapes[0], "source": "model",
            "draft": request["draft"], "model": request["model"], "model_version": "1", "score": scores[0],
            "prompt": {"points": request["points"], **({"box": request["box"]} if request["box"] else {})},
            "revision": request["revision"], "created_by": "me",
        }  # fmt: skip
        applied = self._apply(image, [annotation], [])
        offered = [{"shape": s, "score": c} for s, c in zip(shapes, scores, strict=False)]
        several = len(request["points"]) == 1 and not request["box"]
        return {"annotation": image.annotations[request["annotation"]], "version": applied["version"],
                "candidates": offered if several else [],
                "timing": {"encode_ms": 0.0, "decode_ms": decode}}  # fmt: skip

    def op_put(self, request: dict[str, Any]) -> dict[str, Any]:
        return self._apply(self.images[request["image"]], request["annotations"], [])

    def op_delete(self, request: dict[str, Any]) -> dict[str, Any]:
        return self._apply(self.images[request["image"]], [], request["ids"])

    def op_undo(self, request: dict[str, Any]) -> dict[str, Any]:
        return self._step(self.images[request["image"]], "done", "undone", 0)

    def op_redo(self, request: dict[str, Any]) -> dict[str, Any]:
        return self._step(self.images[request["image"]], "undone", "done", 1)

    def op_status(self, request: dict[str, Any]) -> dict[str, Any]:
        self.images[request["image"]].status = request["status"]
        return {"image": self.op_open(request)["image"]}

    def op_add_class(self, request: dict[str, Any]) -> dict[str, Any]:
        if not any(c["name"] == request["name"] for c in self.classes):
            self._add_class(request["name"])
        return {"classes": self.classes}

    # ---- inside --------------------------------------------------------------------------------

    def _missing(self, request: dict[str, Any]) -> dict[str, Any] | None:
        if not self.missing or request["model"] == "simple":
            return None
        return {"ok": False, "kind": "NeedsDownload", "error": "The files of this model are not here yet.",
                "model": {"id": request["model"], "title": "SAM 2.1 tiny", "bytes": 156_000_000,
                          "licence": "Apache-2.0"},
                "instead": {"id": "simple", "title": "GrabCut"}, "progress": self.download}  # fmt: skip

    def _add_class(self, name: str) -> None:
        n = len(self.classes)
        self.classes.append({"id": f"c{n}", "name": name, "colour": PALETTE[n % len(PALETTE)],
                             "hotkey": str(n + 1) if n < 9 else None})  # fmt: skip

    @staticmethod
    def _masks(image: FakeImage, points: list[list[float]], box: list[float] | None) -> list[np.ndarray]:
        y, x = np.mgrid[0 : image.height, 0 : image.width]
        side = min(image.width, image.height)
        masks = []
        for radius in (side * 0.1, side * 0.055, side * 0.18):
            mask = np.zeros((image.height, image.width), bool)
            if box:
                x0, y0, x1, y1 = box
                mask |= ((x - (x0 + x1) / 2) / max((x1 - x0) / 2, 1)) ** 2 + (
                    (y - (y0 + y1) / 2) / max((y1 - y0) / 2, 1)) ** 2 <= 1  # fmt: skip
            angle = np.arctan2(y - points[0][1], x - points[0][0]) if points else 0
            for px, py, positive in points:
                disc = np.hypot(x - px, y - py) < radius * (1 + 0.12 * np.sin(5 * angle)) * (
                    1 if positive else 0.6
                )
                mask = mask | disc if positive else mask & ~disc
            masks.append(mask)
        return masks

    def _apply(
        self, image: FakeImage, put: list[dict[str, Any]], deletes: list[dict[str, Any]]
    ) -> dict[str, Any]:
        conflicts, step, out, gone = [], {}, [], []
        for annotation in put:
            stored = image.annotations.get(annotation["id"])
            if stored and stored["revision"] != annotation["revision"]:
                conflicts.append(
                    f"Somebody else changed “{annotation['class']}”; yours is kept beside it as a draft."
                )
                annotation = {**annotation, "id": annotation["id"] + "-mine", "draft": True, "revision": 0}
                stored = None
            new = {**annotation, "revision": annotation["revision"] + 1, "created_by": "me"}
            step[new["id"]] = (stored, new)
            out.append(new)
        for entry in deletes:
            stored = image.annotations.get(entry["id"])
            if stored and stored["revision"] == entry["revision"]:
                step[entry["id"]] = (stored, None)
                gone.append(entry["id"])
            elif stored:
                conflicts.append("Somebody else changed what you deleted; it was kept.")
        self._write(image, {id: after for id, (_, after) in step.items()})
        image.done.append(step)
        image.undone.clear()
        return {"annotations": out, "deleted": gone, "conflicts": conflicts, "version": image.version}

    @staticmethod
    def _write(image: FakeImage, state: dict[str, Any]) -> None:
        image.version += 1
        for id, annotation in state.items():
            if annotation is None:
                image.annotations.pop(id, None)
            else:
                image.annotations[id] = annotation
            image.changes.append((image.version, id))

    def _step(self, image: FakeImage, source: str, target: str, which: int) -> dict[str, Any]:
        steps = getattr(image, source)
        if not steps:
            return {"annotations": [], "deleted": [], "version": image.version, "done": False}
        step = steps.pop()
        getattr(image, target).append(step)
        state = {}
        for id, pair in step.items():
            now = image.annotations.get(id)
            revision = (now or pair[1 - which] or pair[which])["revision"] + 1
            state[id] = {**pair[which], "revision": revision} if pair[which] else None
        self._write(image, state)
        return {"annotations": [a for a in state.values() if a], "deleted": [i for i, a in state.items() if not a],
                "version": image.version, "done": True}  # fmt: skip

    def others_put(self, image_id: str, annotation: dict[str, Any]) -> None:
        """Change something as somebody else would, past this person's history."""
        image = self.images[image_id]
        revision = image.annotations.get(annotation["id"], {"revision": 0})["revision"] + 1
        self._write(image, {annotation["id"]: {**annotation, "revision": revision, "created_by": "other"}})


def disc_annotation(
    id: str, image: FakeImage, x: float, y: float, radius: float, name: str, **more: Any
) -> dict[str, Any]:
    rows, columns = np.mgrid[0 : image.height, 0 : image.width]
    wobble = 1 + 0.15 * np.sin(6 * np.arctan2(rows - y, columns - x) + x)
    shape = mask_json(np.hypot(columns - x, rows - y) < radius * wobble)
    return {"id": id, "class": name, "shape": shape, "source": "model", "draft": False, "model": "sam2.1-tiny",
            "model_version": "1", "score": 0.91, "prompt": None, "revision": 1, "created_by": "me", **more}  # fmt: skip


def many_masks(image: FakeImage, count: int, classes: list[str], seed: int = 0) -> None:
    """Put ``count`` blobs on an image."""
    random = np.random.default_rng(seed)
    for i in range(count):
        x, y = random.uniform(0.05, 0.95) * image.width, random.uniform(0.05, 0.95) * image.height
        radius = random.uniform(0.015, 0.06) * image.height
        annotation = disc_annotation(
            f"m{i}", image, x, y, radius, classes[i % len(classes)], draft=i % 7 == 3
        )
        image.annotations[annotation["id"]] = annotation


Call = Callable[[dict[str, Any]], dict[str, Any]]
