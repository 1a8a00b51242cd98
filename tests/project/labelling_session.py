"""A scripted labelling session that is meant to be killed.

Started as a program with a data folder, it imports once and then answers each line of its input, a JSON
object ``{"seed": …, "steps": …, "skip_commit_at": …}``, by forking a child that opens the store and labels.
The child writes a line before each call (what it is about to do) and one after the call has returned; a line
is one write, so it is there wholly or not at all.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from studio.annotations import Annotation, Box, Mask, Point, Prompt
from studio.project import Change, ImageRecord, Store

ME = "ann"
WIDTH, HEIGHT = 64, 48
MOST_IMAGES, MOST_OBJECTS, MOST_CLASSES = 8, 12, 9


class Session:
    """One person at work. What she does follows from the seed and from what the store holds."""

    def __init__(self, store: Store, seed: int) -> None:
        self.store, self.rng = store, random.Random(seed)
        projects = store.projects(ME)
        if projects:
            self.project = projects[0].id
        else:
            with told({"op": "project"}):
                self.project = store.create_project("Session", ME).id

    def step(self) -> None:
        images = self.store.images(self.project, limit=MOST_IMAGES)
        names = [c.name for c in self.store.classes(self.project)]
        if not images or (len(images) < MOST_IMAGES and self.rng.random() < 0.08):
            return self.add_image()
        if not names or (len(names) < MOST_CLASSES and self.rng.random() < 0.05):
            return self.add_class()
        image = self.rng.choice(images)
        deeds = [self.click] * 5 + [self.accept, self.reclass, self.delete] * 2 + [self.undo] * 3
        deeds += [self.redo] * 2 + [self.status, self.recolour, self.delete_class, self.delete_image]
        self.rng.choice(deeds)(image, self.store.annotations(image.id), names)

    def add_image(self) -> None:
        name = f"photo {self.rng.randrange(10**9)}.jpg"
        data = self.rng.randbytes(100) * self.rng.choice([1, 10_000])
        with told({"op": "add_image", "image": name, "digest": hashlib.sha256(data).hexdigest()}):
            self.store.add_image(
                self.project, name, data, width=WIDTH, height=HEIGHT,
                display=data[::-1], thumbnail=data[:50], person=ME,
            )  # fmt: skip

    def add_class(self) -> None:
        name = f"class {self.rng.randrange(10**6)}"
        with told({"op": "add_class", "class": name}):
            self.store.add_class(self.project, name)

    def click(self, image: ImageRecord, there: list[Annotation], names: list[str]) -> None:
        """Click a new object several times; each answer is saved before the next click."""
        if len(there) >= MOST_OBJECTS:
            return
        thing = Annotation(self.rng.choice([*names, "unheard of"]), Box(0, 0, 1, 1), draft=True)
        points: tuple[Point, ...] = ()
        for _ in range(self.rng.randrange(1, 5)):
            points += (Point(self.rng.randrange(WIDTH), self.rng.randrange(HEIGHT)),)
            answer = np.random.default_rng(self.rng.randrange(2**32)).random((HEIGHT, WIDTH)) < 0.3
            thing = self.put(image, [thing.with_(shape=Mask.from_array(answer), prompt=Prompt(points))])

    def accept(self, image: ImageRecord, there: list[Annotation], names: list[str]) -> None:
        drafts = [a.with_(draft=False) for a in there if a.draft]
        if drafts:
            self.put(image, drafts)

    def reclass(self, image: ImageRecord, there: list[Annotation], names: list[str]) -> None:
        if there:
            self.put(image, [self.rng.choice(there).with_(class_name=self.rng.choice(names))])

    def put(self, image: ImageRecord, annotations: list[Annotation]) -> Annotation:
        with told({"op": "put", "image": image.name, "put": {a.id: seen(a) for a in annotations}}):
            done = self.store.apply(image.id, ME, [Change(a) for a in annotations], verb="put")
        return done.put[0]

    def delete(self, image: ImageRecord, there: list[Annotation], names: list[str]) -> None:
        gone = self.rng.sample(there, min(len(there), self.rng.randrange(1, 3)))
        if gone:
            with told({"op": "delete", "image": image.name, "ids": [a.id for a in gone]}):
                changes = [Change(delete=a.id, revision=a.revision) for a in gone]
                self.store.apply(image.id, ME, changes, verb="delete")

    def undo(self, image: ImageRecord, there: list[Annotation], names: list[str]) -> None:
        with told({"op": "undo", "image": image.name}):
            self.store.undo(image.id, ME)

    def redo(self, image: ImageRecord, there: list[Annotation], names: list[str]) -> None:
        with told({"op": "redo", "image": image.name}):
            self.store.redo(image.id, ME)

    def status(self, image: ImageRecord, there: list[Annotation], names: list[str]) -> None:
        status = "todo" if image.status == "done" else "done"
        with told({"op": "status", "image": image.name, "status": status}):
            self.store.set_status(image.id, status, ME)

    def recolour(self, image: ImageRecord, there: list[Annotation], names: list[str]) -> None:
        label = self.rng.choice(self.store.classes(self.project))
        colour = f"#{self.rng.randrange(16**6):06x}"
        with told({"op": "recolour", "class": label.name, "colour": colour}):
            self.store.update_class(label.id, colour=colour)

    def delete_class(self, image: ImageRecord, there: list[Annotation], names: list[str]) -> None:
        if len(names) > 2:
            gone, other = self.rng.sample(self.store.classes(self.project), 2)
            with told({"op": "delete_class", "class": gone.name, "other": other.name}):
                self.store.delete_class(gone.id, other.id, person=ME)

    def delete_image(self, image: ImageRecord, there: list[Annotation], names: list[str]) -> None:
        with told({"op": "delete_image", "image": image.name}):
            self.store.delete_images([image.id], ME)


def seen(annotation: Annotation) -> list[Any]:
    """Return what of an annotation must survive, in a form that JSON keeps."""
    shape = annotation.shape
    counts = shape.counts.tolist() if isinstance(shape, Mask) else shape.xyxy
    points = [[p.x, p.y] for p in annotation.prompt.points] if annotation.prompt else []
    return [annotation.class_name, annotation.draft, hashlib.sha256(str(counts).encode()).hexdigest(), points]


@contextmanager
def told(deed: dict[str, Any]) -> Iterator[None]:
    tell({"begin": deed})
    yield
    tell({"done": deed["op"]})


def tell(line: dict[str, Any]) -> None:
    os.write(1, (json.dumps(line) + "\n").encode())


def skip_commits(store: Store) -> None:
    """Make the store forget every further change of annotations, which the test must notice."""
    write, apply = store._db.write, store.apply

    @contextmanager
    def rolled_back():
        with store._db._turn, store._db._writing.connect() as connection:
            yield connection
            connection.rollback()

    def forgetful(*args, **kwargs):
        store._db.write = rolled_back
        try:
            return apply(*args, **kwargs)
        finally:
            store._db.write = write

    store.apply = forgetful


def work(folder: Path, order: dict[str, Any]) -> None:
    store = Store(folder)
    session = Session(store, order["seed"])
    for number in range(order["steps"]):
        if number == order.get("skip_commit_at"):
            skip_commits(store)
        session.step()


def main() -> None:
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                work(Path(sys.argv[1]), json.loads(line))
                code = 0
            finally:
                os._exit(code)
        tell({"child": child})
        tell({"ended": os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])})


if __name__ == "__main__":
    main()
